"""From standings to outcomes: regrets on a scale that knows every training, and times to target."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from advisor.evaluate.contest import Ask, Entry, Standing, known_training
from advisor.evaluate.guesses import expected_of_random
from advisor.evaluate.results import FRESH_SEEDS, SEARCH_SEED, LiveTask, Outcome
from knowledge_base.regret import Scale, scales
from knowledge_base.state import State
from knowledge_base.store import SHIPPED, load_runs
from knowledge_base.target_time import time_to_target
from probes.errors import UserError
from probes.recipe.schema import Recipe

_COLUMNS = ("task", "recipe", "seed", "initial", "final", "test", "diverged")


def contest_scales(
    state: State, tasks: Iterable[LiveTask], knowledge: Path | None = None
) -> dict[str, tuple[Scale, Scale]]:
    """(validation, test) scales of the tasks: best known is the best that anybody found.

    They rest on the knowledge base's runs and the contest's on fresh seeds; trainings that a
    contender chose by are left out, as the best of many is better than it is.
    """
    names = {task.name for task in tasks}
    columns = load_runs(knowledge or SHIPPED, _COLUMNS)
    rows = zip(*columns.values(), strict=True)
    known = [dict(zip(columns, row, strict=True)) for row in rows if row[0] in names]
    fresh = [
        run for (task, _, seed), run in state.runs.items() if task in names and seed in FRESH_SEEDS
    ]
    return scales([*known, *fresh])


def outcomes(
    entries: Iterable[Entry],
    state: State,
    tasks: Mapping[str, LiveTask],
    found: Mapping[str, tuple[Scale, Scale]],
) -> list[Outcome]:
    """The outcome of every standing.

    Of a contender that draws at random there is one for each number of draws: the expectation over
    all ways to draw so many of its trainings, by the test result of the very training that was best
    on validation, so its recipe has no name.

    Args:
        entries: Whose plays are over.
        state: What the journal holds.
        tasks: By name.
        found: Scales by task.
    """
    made: list[Outcome] = []
    for entry in entries:
        assert entry.standings is not None  # noqa: S101 - the contest is over
        marks = _Marks(state, tasks[entry.task], found[entry.task])
        each = _resampled if entry.resampled else _retrained
        made.extend(each(entry, entry.standings, marks))
    return made


class _Mark(NamedTuple):
    """What a training is worth.

    Attributes:
        validation: Validation regret.
        test: Test regret.
        share: Share of the budget's passes until the target.
        pace: Wall seconds of a pass in this training; NaN where it is not known.
    """

    validation: float
    test: float
    share: float
    pace: float


class _Marks:
    """What trainings on one task are worth."""

    def __init__(self, state: State, task: LiveTask, found: tuple[Scale, Scale]) -> None:
        self._state, self._task, self._scales = state, task, found

    def of(self, recipe: Recipe, seed: int) -> _Mark:
        trained = known_training(self._state, self._task.name, Ask(recipe, seed))
        if trained is None:  # a result that is gone is not a bad result
            raise UserError(
                "a store with every training of its plays",
                f"none of {recipe.key} on {self._task.name} with seed {seed}",
                "remove plays.log from the store and run again: what is missing is trained anew",
            )
        record = trained.record
        pace = trained.seconds / trained.passes if trained.passes else math.nan
        if record is None or record["diverged"]:
            return _Mark(1.0, 1.0, 1.0, pace)
        validation, test = self._scales
        return _Mark(
            validation.regret(float(record["final"])),
            test.regret(float(record["test"])),
            time_to_target(record, self._task.target, self._task.steps),
            pace,
        )

    def seconds(self, share: float, pace: float) -> float:
        """Wall time of a share of the budget; of a step at least, as no training takes none."""
        return max(share * self._task.steps, 1.0) * pace


def _retrained(entry: Entry, standings: Sequence[Standing], marks: _Marks) -> Iterable[Outcome]:
    of: dict[str, list[_Mark]] = {}
    for at in standings:
        key = at.recipe.key
        if key not in of:
            of[key] = [marks.of(at.recipe, seed) for seed in FRESH_SEEDS]
        validation, test, trained, paces = zip(*of[key], strict=True)
        share = tuple(min(entry.probed + part, 1.0) for part in trained)
        seconds = (
            entry.probed_seconds + marks.seconds(at - entry.probed, pace)
            for at, pace in zip(share, paces, strict=True)
        )
        yield Outcome(
            task=entry.task, contender=entry.contender, study=entry.study, runs=at.runs,
            passes=at.passes, recipe=key, validation=validation, test=test, to_target=share,
            seconds=_if_known(at.seconds), seconds_to_target=_all_known(seconds),
        )  # fmt: skip


def _resampled(entry: Entry, standings: Sequence[Standing], marks: _Marks) -> Iterable[Outcome]:
    found = [marks.of(at.recipe, SEARCH_SEED) for at in standings]
    columns = np.asarray([(*mark[:3], marks.seconds(mark.share, mark.pace)) for mark in found]).T
    passes = sum(at.passes for at in standings) / len(standings)
    seconds = sum(at.seconds for at in standings) / len(standings)

    def expected(column: int, runs: int) -> tuple[float]:
        return (expected_of_random(columns[0], columns[column], runs),)

    for runs in range(1, len(standings) + 1):
        yield Outcome(
            task=entry.task, contender=entry.contender, study=entry.study, runs=runs,
            passes=passes * runs, recipe="", validation=expected(0, runs), test=expected(1, runs),
            to_target=expected(2, runs), seconds=_if_known(seconds * runs),
            seconds_to_target=_all_known(expected(3, runs)),
        )  # fmt: skip


def _if_known(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None


def _all_known(seconds: Iterable[float]) -> tuple[float, ...] | None:
    """The times, where all are known; a clock too coarse for a training does not know it."""
    times = tuple(seconds)
    return times if all(0.0 < time < math.inf for time in times) else None
