"""What the advisor answers with: frozen data that is written to and read from JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from advisor.explanation import Explanation
from probes.errors import UserError
from probes.files import as_path, write_text
from probes.recipe.reading import read_mapping
from probes.recipe.schema import Recipe

if TYPE_CHECKING:
    from probes.task import Task

SCHEMA_VERSION = 1
T = TypeVar("T", bound="_Frozen")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True, allow_inf_nan=False)


class TaskFacts(_Frozen):
    """The task in words and numbers.

    Attributes:
        name: Its name.
        loss: Name of the loss.
        metric: Name of the metric, or None.
        batch_size: Samples a batch.
        steps: Budget in batches.
        train_samples: Training samples, None where the loader does not tell.
        device: Where it was probed.
        notes: What was inferred.
    """

    name: str
    loss: str
    metric: str | None
    batch_size: int = Field(ge=1)
    steps: int = Field(ge=1)
    train_samples: int | None
    device: str
    notes: tuple[str, ...] = ()


class Expected(_Frozen):
    """Predicted normalized regret: 0 the best known, 1 untrained; lower is better.

    Attributes:
        score: The prediction.
        low: Lower end of the 90 % interval.
        high: Upper end.
    """

    score: float
    low: float
    high: float


class Cost(_Frozen):
    """What a recipe costs.

    Attributes:
        seconds_per_step: Predicted wall time of a step on this machine, None if none was timed.
        passes_per_step: Passes over a batch a step.
        state_bytes: Optimizer state.
    """

    seconds_per_step: float | None
    passes_per_step: float
    state_bytes: int


class Candidate(_Frozen):
    """One entry of the ranking."""

    recipe: Recipe
    expected: Expected
    cost: Cost
    evidence: tuple[str, ...]


class ProbeCost(_Frozen):
    """What probing cost: passes, seconds, and the share of one full training."""

    passes: float
    seconds: float
    share: float


class Finalist(_Frozen):
    """A recipe that was rerun on fresh seeds.

    Attributes:
        recipe: The recipe.
        validation: Final validation loss per fresh seed.
        median: Their median.
        origin: Where it came from ("ranking 1", "trial 17").
    """

    recipe: Recipe
    validation: tuple[float, ...]
    median: float
    origin: str


class _Answer(_Frozen):
    """What ``recommend`` and ``refine`` answer with: a ranking for a task, written and read."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    task: TaskFacts

    def ranked(self, rank: int) -> Recipe:
        """The recipe of a rank, 1 the best.

        Raises:
            UserError: There is no such rank.
        """
        entries: tuple[Candidate | Finalist, ...] = self.__dict__["ranking"]
        is_whole = isinstance(rank, int) and not isinstance(rank, bool)
        if not is_whole or not 1 <= rank <= len(entries):
            raise UserError(
                f"a rank from 1 to {len(entries)}", repr(rank), "choose one of the ranking"
            )
        return entries[rank - 1].recipe

    @property
    def best(self) -> Recipe:
        """The recipe ranked first."""
        return self.ranked(1)

    def export(self, path: str | Path | None = None, to: str = "torch", rank: int = 1) -> str:
        """Write the recipe of that rank as a file; returns its text."""
        from advisor.export import export

        return export(
            self.ranked(rank), path, to, batch_size=self.task.batch_size, steps=self.task.steps,
            task_name=self.task.name,
        )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        write_text(as_path(path), self.to_json() + "\n")

    def to_json(self) -> str:
        """As JSON text."""
        return self.model_dump_json(by_alias=True, indent=1)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what ``save`` wrote.

        Raises:
            UserError: The file is missing, torn, of a newer release, or something else.
        """
        return _parse(cls, path)


class Advice(_Answer):
    """The answer of ``recommend``.

    Attributes:
        task: Facts of the task.
        profile: What was measured (values by name, tier, device facts).
        ranking: Candidates, the best first.
        probe: What it cost.
        abstained: Whether the meta-model kept out of it and the portfolio answers.
        reason: Why this answer, in words.
        explanation: What speaks for the first recipe, where ``recommend`` was asked for it.
    """

    profile: dict[str, Any]
    ranking: tuple[Candidate, ...]
    probe: ProbeCost
    abstained: bool
    reason: str
    explanation: Explanation | None = None
    _task: Any = PrivateAttr(default=None)
    _models: Path | None = PrivateAttr(default=None)

    def __eq__(self, other: object) -> bool:
        """Whether both are written alike; the live task takes no part."""
        return isinstance(other, Advice) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]  # the profile is a dict

    def __str__(self) -> str:
        """The ranking as a table."""
        from advisor.tables import advice_table

        return advice_table(self)

    def attach(self, task: Task, models: Path | None = None) -> Self:
        """Remember the live task, so that ``refine`` needs no argument, and the models' folder."""
        self._task, self._models = task, models
        return self

    def explained(self) -> Self:
        """The same with its explanation, which names what speaks for the first recipe.

        Raises:
            UserError: It was read from a file that has none: the models may be others now.
        """
        if self.explanation is not None:
            return self
        if not self.ranking:
            raise UserError("advice with a ranking", "an empty one", "recommend again")
        if self._models is None:
            raise UserError(
                "an advice with its explanation", "one read from a file without it",
                "recommend again with explain=True (advisor recommend --explain --out FILE)",
            )  # fmt: skip
        from advisor.explain import explain
        from advisor.shipped import load_shipped

        loaded = load_shipped(self.profile["tier"], self._models)
        return self.model_copy(update={"explanation": explain(self, loaded.model)})

    def explain(self) -> str:
        """Why the first recipe, in words: what was measured, similar tasks, runner-up and doubt.

        Raises:
            UserError: See ``explained``.
        """
        whole = self.explained()
        assert whole.explanation is not None  # noqa: S101 - explained gives one or raises
        return whole.explanation.in_words(self)

    def refine(
        self,
        trials: int = 25,
        timeout: float | None = None,
        storage: str | None = None,
        *,
        task: Task | None = None,
        seed: int = 0,
        progress: bool = False,
        device: str | None = None,
        min_gain: float | None = None,
    ) -> Tuned:
        """Search on from the ranking with Optuna; see ``advisor.refine.refine``."""
        from advisor.refine import MIN_GAIN, refine

        live = task or self._task
        if live is None:
            raise UserError("the task this advice is for", "advice read from a file", "pass task=")
        return refine(
            self, live, trials=trials, timeout=timeout, storage=storage, seed=seed,
            progress=progress, device=device,
            min_gain=MIN_GAIN if min_gain is None else min_gain,
        )  # fmt: skip


class Tuned(_Answer):
    """The answer of ``refine``.

    Attributes:
        task: Facts of the task.
        ranking: Finalists, the best median first.
        trials: Trials run in all (resumed ones included).
        pruned: How many of them were pruned.
        passes: Passes spent by this call.
        seconds: Wall time of this call.
        expected_gain: Share by which one more trial is expected to lower the best loss of the
            search; None where too few trials have finished to tell.
        stopped: Why the search ended before all its trials, in words; empty where it did not.
    """

    ranking: tuple[Finalist, ...]
    trials: int
    pruned: int
    passes: float
    seconds: float
    expected_gain: float | None = None
    stopped: str = ""

    def __str__(self) -> str:
        """The finalists as a table."""
        from advisor.tables import tuned_table

        return tuned_table(self)


def load_ranked(path: str | Path, rank: int = 1) -> tuple[Recipe, TaskFacts | None]:
    """The recipe of a rank in an advice or tuned file, or the one a recipe file holds.

    Returns:
        The recipe, and the facts of the task where the file has them.

    Raises:
        UserError: No such file or rank, or the file is none of these.
    """
    data = read_mapping(path)
    if "ranking" not in data:
        if rank != 1:
            raise UserError("rank 1 for a file with one recipe", str(rank), "leave --rank out")
        return Recipe.parse(data), None
    kind: type[Advice] | type[Tuned] = Advice if "profile" in data else Tuned
    answer = _parse(kind, path)
    return answer.ranked(rank), answer.task


def _parse(model: type[T], path: str | Path) -> T:
    data = read_mapping(path)
    if "ranking" in data and ("profile" in data) != (model is Advice):
        wanted, found = ("an advice", "a tuned") if model is Advice else ("a tuned", "an advice")
        command = "recommend" if model is Advice else "refine"
        raise UserError(
            f"{wanted} file", f"{path}, which is {found} file",
            f"give the one that advisor {command} --out wrote",
        )  # fmt: skip
    version = data.get("schema")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise UserError(
            f"a file of schema {SCHEMA_VERSION}", f"{path} of schema {version}",
            "it was written by a newer release: upgrade optimizer-advisor",
        )  # fmt: skip
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, UserError):
            raise cause from None
        where = ".".join(map(str, first["loc"]))
        raise UserError(
            f"a file written by advisor ({model.__name__.lower()})",
            f"{path} whose field {where} is wrong: {first['msg'].lower()}", "write it again",
        ) from None  # fmt: skip
