"""What every answer of the advisor is: a ranking for a task, written to and read from JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from probes.errors import UserError
from probes.files import as_path, write_text
from probes.recipe.reading import read_mapping
from probes.recipe.schema import Recipe

if TYPE_CHECKING:
    from probes.task import Task

SCHEMA_VERSION = 1


class Frozen(BaseModel):
    """Data of an answer: never changed, and without numbers that JSON cannot hold."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, allow_inf_nan=False)


class TaskFacts(Frozen):
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


def live_facts(task: Task, device: str) -> TaskFacts:
    """The facts of a task as it is now.

    Args:
        task: The task.
        device: Where it is trained.
    """
    from probes.measures.data_facts import known_length  # torch: files are read without

    prepared = task.prepared
    metric = prepared.objective.metric
    return TaskFacts(
        name=task.name, loss=prepared.objective.loss_name,
        metric=None if metric is None else metric.name, batch_size=prepared.batch_size,
        steps=prepared.steps, train_samples=known_length(prepared.train), device=device,
        notes=prepared.notes,
    )  # fmt: skip


class RankedRecipe(Frozen):
    """One entry of a ranking.

    Attributes:
        recipe: The recipe.
    """

    recipe: Recipe


class Answer(Frozen):
    """A ranking for a task; which fields the entries have is told by the kind of answer.

    Attributes:
        task: Facts of the task.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    task: TaskFacts

    def ranked(self, rank: int) -> Recipe:
        """The recipe of a rank, 1 the best.

        Raises:
            UserError: There is no such rank.
        """
        # each kind of answer declares its ranking itself, at its own place in the file
        entries: tuple[RankedRecipe, ...] = self.__dict__["ranking"]
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
        data = read_mapping(path)
        is_advice = "profile" in cls.model_fields
        if "ranking" in data and ("profile" in data) != is_advice:
            wanted, found = ("an advice", "a tuned") if is_advice else ("a tuned", "an advice")
            command = "recommend" if is_advice else "refine"
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
            return cls.model_validate(data)
        except ValidationError as error:
            raise _unreadable(error, cls.__name__.lower(), path) from None


def _unreadable(error: ValidationError, kind: str, path: str | Path) -> UserError:
    """What is wrong with a file of that kind, told by its first wrong field."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, UserError):
        return cause
    where = ".".join(map(str, first["loc"]))
    return UserError(
        f"a file written by advisor ({kind})",
        f"{path} whose field {where} is wrong: {first['msg'].lower()}", "write it again",
    )  # fmt: skip
