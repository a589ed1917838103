"""What the live evaluation measures, as data: the attempts of every contender on every task."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

FRESH_SEEDS = (101, 102, 103)
"""Seeds on which the recipe that a contender ends with is trained again; no search uses them."""
SEARCH_SEED = 0
"""Seed of the trainings that a contender chooses by."""


class LiveTask(BaseModel):
    """A task of the live evaluation.

    Attributes:
        name: Its name.
        group: Its leak group: tasks that share data; resampled together.
        family: Its model family.
        steps: Budget of one full training in batches.
        seconds: Wall time of one full training by AdamW 1e-3 cosine.
        target: Validation loss to reach: the median final one of AdamW 1e-3 cosine.
        noise: Standard deviation of test regret between seeds.
        copied_place: See ``copied_place.copied_places``; None where it is not known.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    group: str
    family: str
    steps: int
    seconds: float
    target: float
    noise: float
    copied_place: float | None = None


class Outcome(BaseModel):
    """Where a contender stood on a task after some full trainings.

    Attributes:
        task: The task.
        contender: Its name.
        study: Which of its independent repetitions, from 0.
        runs: Full trainings it chose by (1 for a fixed guess; the retraining is not counted).
        passes: What it spent up to there over the task's budget, probes included.
        recipe: Key of the recipe it then stands for.
        validation: Normalized validation regret of that recipe on each fresh seed.
        test: Normalized test regret on each fresh seed.
        to_target: Share of the budget's passes after which the validation loss first was at or
            below the task's target, on each fresh seed, passes for probing included; 1 where it
            never was.
        seconds: Wall time spent up to there, as measured, probes included: of trainings the time
            of their steps; None where one of these is not known, as in results of before it was
            noted.
        seconds_to_target: The passes of ``to_target`` as wall time, by the seconds that a pass took
            in the same training, that of probes as it was; None where it is not known.
    """

    model_config = ConfigDict(frozen=True)
    task: str
    contender: str
    study: int = 0
    runs: int = Field(ge=1)
    passes: float
    recipe: str
    validation: tuple[float, ...]
    test: tuple[float, ...]
    to_target: tuple[float, ...]
    seconds: float | None = None
    seconds_to_target: tuple[PositiveFloat, ...] | None = None


class LiveResults(BaseModel):
    """All attempts.

    Attributes:
        made_by: The command.
        date: Day it was made.
        versions: Of this package, torch, optuna and lightgbm, and of the peers that took part.
        edition: Which knowledge base it rests on, as ``versions.edition`` tells; empty in results
            of before it was noted.
        seed: Of searches and resampling.
        tasks: The tasks.
        outcomes: One a (task, contender, study, runs); a contender that spends n trainings has
            one for each n up to its last, also where its recipe stayed the same.
    """

    model_config = ConfigDict(frozen=True)
    made_by: str
    date: str
    versions: dict[str, str]
    edition: str = ""
    seed: int
    tasks: tuple[LiveTask, ...]
    outcomes: tuple[Outcome, ...]
