"""What each kind of record in a journal may hold: one model a kind, checked where a store is read.

A right checksum only says that a line is as it was written. Bounds are those of the packed columns,
so that no record which is let in can make a store impossible to pack or to count.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from probes.errors import one_line, shown

Role = Literal["reference", "searched", "repeat"]


def _encodable(text: str) -> str:
    text.encode()  # half of a surrogate pair is text to JSON, and to nothing that is written
    return text


Text = Annotated[str, AfterValidator(_encodable)]
Small = Annotated[int, Field(ge=0, lt=2**15)]
"""A seed, or a tier in passes."""
Count = Annotated[int, Field(ge=0, lt=2**31)]


_JSON_LIST = Field(strict=False)
"""On a tuple: JSON has lists alone. What is in it is as strict as its model."""


class _Record(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, ser_json_inf_nan="constants"
    )  # fmt: skip


class RecipeRecord(_Record):
    """A recipe that runs name by its key.

    Attributes:
        key: ``Recipe.key`` as the release that wrote it made it.
        recipe: Its fields as plain data.
    """

    key: Text
    recipe: dict[str, Any]


class RunRecord(_Record):
    """One finished run of a recipe on a benchmark task.

    Attributes:
        task: Name of the task.
        recipe: Key of the recipe (``Recipe.key``).
        seed: Seed of weights and batch order.
        role: "reference" recipes run on every task; "searched" ones were chosen adaptively, on
            this task's validation loss; "repeat" runs are further seeds of either.
        initial: Validation loss before the first step.
        final: Validation loss at the end (NaN where it diverged).
        test: Test loss at the end.
        metric: Validation metric at the end (NaN where the task has none).
        test_metric: Test metric at the end.
        steps: Optimizer steps done.
        passes: Passes spent, in batches of the task's batch size.
        seconds_per_step: Wall time of a step on one core.
        diverged: Whether it was stopped for its loss.
        curve_steps: Steps of the evaluations, the first 0.
        curve_validation: Validation losses there.
        curve_train: Mean training loss since the evaluation before.
    """

    task: Text
    recipe: Text
    seed: Small
    role: Role
    initial: float
    final: float
    test: float
    metric: float
    test_metric: float
    steps: Count
    passes: Annotated[float, Field(ge=0.0)]
    seconds_per_step: float
    diverged: bool
    curve_steps: Annotated[tuple[Count, ...], _JSON_LIST]
    curve_validation: Annotated[tuple[float, ...], _JSON_LIST]
    curve_train: Annotated[tuple[float, ...], _JSON_LIST]

    @model_validator(mode="after")
    def _one_curve(self) -> Self:
        if not len(self.curve_steps) == len(self.curve_validation) == len(self.curve_train):
            raise ValueError("the curves have different numbers of points")
        return self


class RefusedRecord(_Record):
    """A recipe that cannot serve a task, and why."""

    task: Text
    recipe: Text
    reason: Text


class FailedRecord(_Record):
    """A piece of work that crashed or ran out of time.

    Attributes:
        task: Name of the task.
        recipe: Key of the recipe, "" for a profile.
        seed: Of the run or profile.
        tier: Of the profile, 0 for a run.
        reason: What happened.
    """

    task: Text
    recipe: Text
    seed: Small
    tier: Small
    reason: Text


class ProfileFacts(BaseModel):
    """What of a ``probes.profile.Profile`` is packed; what else a release noted is let be."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)
    passes: float | None = None
    seconds: float | None = None
    seconds_per_pass: float | None = None
    device: Text | None = None
    values: dict[Text, float | None] = {}
    missing: dict[Text, Text] = {}


class ProfileRecord(_Record):
    """A profile of a task at a tier."""

    task: Text
    tier: Small
    seed: Small
    profile: ProfileFacts


class StageRecord(_Record):
    """A stage of a build that began.

    Attributes:
        stage: Which one.
        total: Pieces of work it had to do.
        began: Seconds since 1970, before the year 10000.
    """

    stage: Text
    total: Count
    began: Annotated[float, Field(ge=0.0, lt=253402300800.0)]


class RowsRecord(_Record):
    """Which rows of a data set a build found, before it made runs on them.

    Attributes:
        dataset: Its name; one that this release does not know is let be.
        rows: See ``knowledge_base.recorded_rows.hash_of_rows``.
    """

    dataset: Text
    rows: Text


class SeedRecord(_Record):
    """Around what was copied from a packed knowledge base: how many records that are."""

    records: Count


RECORDS: dict[str, type[BaseModel]] = {
    "recipe": RecipeRecord,
    "run": RunRecord,
    "refused": RefusedRecord,
    "failed": FailedRecord,
    "profile": ProfileRecord,
    "stage": StageRecord,
    "rows": RowsRecord,
    "seeding": SeedRecord,
    "seeded": SeedRecord,
}


def checked(kind: str, record: dict[str, Any]) -> dict[str, Any]:
    """A record as its model has it: fields that are there, each of its own type.

    Nothing is converted but what JSON does not tell apart: a list is read as a tuple, a whole
    number as a float.

    Raises:
        ValueError: The kind is not known, or a field is missing, unknown or no such value; the
            message is one line.
    """
    if kind not in RECORDS:
        raise ValueError(f"no such kind of record: {shown(kind)}")
    try:
        return RECORDS[kind].model_validate(record).model_dump(exclude_unset=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        message = f"{place}: {first['msg']}" if place else first["msg"]
        raise ValueError(one_line(message)) from None
