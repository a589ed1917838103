"""From standings to outcomes: regrets on a scale that knows every training, and times to target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

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


class _Marks:
    """What trainings on one task are worth: validation regret, test regret, share to target."""

    def __init__(self, state: State, task: LiveTask, found: tuple[Scale, Scale]) -> None:
        self._state, self._task, self._scales = state, task, found

    def of(self, recipe: Recipe, seed: int) -> tuple[float, float, float]:
        trained = known_training(self._state, self._task.name, Ask(recipe, seed))
        if trained is None:  # a result that is gone is not a bad result
            raise UserError(
                "a store with every training of its plays",
                f"none of {recipe.key} on {self._task.name} with seed {seed}",
                "remove plays.log from the store and run again: what is missing is trained anew",
            )
        record = trained.record
        if record is None or record["diverged"]:
            return 1.0, 1.0, 1.0
        validation, test = self._scales
        return (
            validation.regret(float(record["final"])),
            test.regret(float(record["test"])),
            time_to_target(record, self._task.target, self._task.steps),
        )


def _retrained(entry: Entry, standings: Sequence[Standing], marks: _Marks) -> Iterable[Outcome]:
    of: dict[str, list[tuple[float, float, float]]] = {}
    for at in standings:
        key = at.recipe.key
        if key not in of:
            of[key] = [marks.of(at.recipe, seed) for seed in FRESH_SEEDS]
        validation, test, trained = zip(*of[key], strict=True)
        share = tuple(min(entry.probed + part, 1.0) for part in trained)
        yield Outcome(
            task=entry.task, contender=entry.contender, study=entry.study, runs=at.runs,
            passes=at.passes, recipe=key, validation=validation, test=test, to_target=share,
        )  # fmt: skip


def _resampled(entry: Entry, standings: Sequence[Standing], marks: _Marks) -> Iterable[Outcome]:
    columns = np.asarray([marks.of(at.recipe, SEARCH_SEED) for at in standings]).T
    passes = sum(at.passes for at in standings) / len(standings)

    def expected(column: int, runs: int) -> tuple[float]:
        return (expected_of_random(columns[0], columns[column], runs),)

    for runs in range(1, len(standings) + 1):
        yield Outcome(
            task=entry.task, contender=entry.contender, study=entry.study, runs=runs,
            passes=passes * runs, recipe="", validation=expected(0, runs), test=expected(1, runs),
            to_target=expected(2, runs),
        )  # fmt: skip
