"""What importers give back: runs and methods that others published, and the problems on the way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, model_validator

Setting = float | int | bool | str
Split = Literal["train", "validation", "test"]
_KEPT_PROBLEMS = 1000


class Curve(BaseModel):
    """One metric on one split along a run.

    Attributes:
        metric: Published name; ``batch_loss`` is the loss of single training batches.
        split: Part of the data.
        steps: Steps in ascending order, in the run's ``step_unit``.
        values: The metric there; NaN or infinite where the run diverged.
        seconds: Training time until there, NaN where unknown; empty where the source has none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    metric: str
    split: Split
    steps: tuple[int, ...]
    values: tuple[float, ...]
    seconds: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if len(self.values) != len(self.steps) or len(self.seconds) not in (0, len(self.steps)):
            raise ValueError("steps, values and seconds differ in length")
        return self


class Ending(BaseModel):
    """Why a run with a target ended: its curves go no further, so they are right-censored.

    Attributes:
        metric: What the target is about, on the validation split.
        target: Value to reach.
        higher_is_better: Which side of the target counts as reached.
        reached: Whether an evaluation reached it.
        censored: Whether the time to the target is only known to be longer than ``seconds``.
        step: Step of the evaluation that reached it, else of the last evaluation.
        seconds: Training time then; NaN where the log has none.
        cause: What ended the log; "unknown" where it stops before both.
        limit_seconds: Training time after which the benchmark stops a run; NaN where unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    metric: str
    target: float
    higher_is_better: bool
    reached: bool
    censored: bool
    step: int
    seconds: float
    cause: Literal["target", "time limit", "unknown"]
    limit_seconds: float


class ImportedMethod(BaseModel):
    """A published way to train, as near to a recipe of ours as it comes.

    Attributes:
        name: Published name: a submission, an optimizer, a record.
        optimizer: Our catalogue's name where it has the optimizer, else the published one.
        in_catalogue: Whether ``optimizer`` is a name of the catalogue.
        hyperparameters: Under our names where they mean the same, else as published.
        recipe: A recipe in plain data, where the catalogue can say it but for ``missing``.
        rank: Place in a published list, 1 the best; None outside of lists.
        missing: What is not known or cannot be expressed, with the reason.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")
    name: str
    optimizer: str
    in_catalogue: bool
    hyperparameters: dict[str, Setting]
    recipe: dict[str, Any] | None = None
    rank: int | None = None
    missing: dict[str, str] = {}

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that name this method."""
        text = json.dumps(self.model_dump(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class ImportedRun(BaseModel):
    """One published run.

    Attributes:
        source: Name of the publication.
        licence: Its licence.
        origin: Where the run is in the publication.
        task: Published name of the task.
        method: How it was trained.
        seed: Random seed, where it is known.
        trial: Number of the trial, where the publication numbers them.
        step_unit: "step" counts optimizer steps; "index" only orders the evaluations.
        curves: Its learning curves.
        ending: Target and censoring; None where the publication has no target.
        diverged: Whether the loss became NaN or infinite.
        numbers: Further facts in numbers (examples, step hint ...).
        words: Further facts in words (framework, study ...).
        missing: What a run of ours would have and this has not, with the reason.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    source: str
    licence: str
    origin: str
    task: str
    method: ImportedMethod
    seed: int | None = None
    trial: int | None = None
    step_unit: Literal["step", "index"] = "step"
    curves: tuple[Curve, ...]
    ending: Ending | None = None
    diverged: bool = False
    numbers: dict[str, float] = {}
    words: dict[str, str] = {}
    missing: dict[str, str] = {}


class Problem(BaseModel):
    """Something that was skipped, or taken on a guess.

    Attributes:
        file: The file, as reached from the path that was given.
        line: Its line, counted from 1; None where the whole file is concerned.
        message: What was expected and what came.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.message}"


@dataclass
class Report:
    """What an import has met so far.

    Attributes:
        files: Files that looked like the format's, malformed ones included.
        problems: The first thousand problems.
        problem_count: All of them.
    """

    files: int = 0
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0

    def problem(self, file: str, line: int | None, message: str) -> None:
        """Note something that was skipped, or taken on a guess."""
        self.problem_count += 1
        if len(self.problems) < _KEPT_PROBLEMS:
            self.problems.append(
                Problem(file=printable(file), line=line, message=printable(message))
            )


class Importer(Protocol):
    """One published format.

    Attributes:
        source: Name of the publication.
        licence: Its licence.
        layout: What a path must hold, as a noun phrase for errors.
    """

    source: str
    licence: str
    layout: str

    def read(self, path: Path, report: Report) -> Iterator[ImportedRun | ImportedMethod]:
        """Runs (or, of a list of configurations, methods) one after the other.

        What is malformed is noted in the report and skipped.
        """


def printable(text: str) -> str:
    """The text, halves of characters replaced: names of files and JSON may have them."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def catalogue_name(*candidates: str) -> str | None:
    """The first of the names that the optimizer catalogue has, underscores aside."""
    from probes.recipe.catalogue import table

    known = {name.replace("_", ""): name for name in table("optimizer")}
    for candidate in candidates:
        if found := known.get(candidate.replace("_", "")):
            return found
    return None


def recipe_or_reason(data: Mapping[str, Any]) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """The recipe in plain data, or None and why the catalogue refuses it."""
    from probes.errors import UserError
    from probes.recipe.schema import Recipe

    try:
        return Recipe.parse(data).plain(), {}
    except UserError as error:
        return None, {"recipe": f"the catalogue takes {error.expected}, not {error.got}"}
