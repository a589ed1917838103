"""One number for each task: the medians and means by which the live outcomes are compared.

The outcome of a recipe on a task is its median over the fresh seeds; a contender that was repeated
there counts with the mean over its studies. Means over tasks come after that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from advisor.evaluate.bootstrap import SAMPLES, resampled_weights
from advisor.evaluate.results import LiveResults, LiveTask, Outcome
from advisor.features import Matrix
from probes.errors import UserError

Mask = NDArray[np.bool_]
TableEntry = tuple[str, int]
"""An entry of the table: a contender and the number of full trainings it has spent."""
ADVICE: TableEntry = ("advice", 1)


@dataclass(frozen=True)
class PerTask:
    """The outcomes as one vector over tasks for each entry.

    Attributes:
        tasks: The tasks, sorted by name: the order of every vector.
        regrets: (tasks,) normalized test regret; NaN on tasks that the entry has no outcome for.
        times: (tasks,) share of the budget to the target, in (0, 1]; NaN likewise.
        passes: (tasks,) what was spent, in budgets of the task; NaN likewise.
        seconds: (tasks,) wall time that was spent; NaN also where it is not known.
        seconds_to_target: (tasks,) wall time to the target; NaN also where it is not known.
        seed: Of the resampling.
    """

    tasks: tuple[LiveTask, ...]
    regrets: Mapping[TableEntry, Matrix]
    times: Mapping[TableEntry, Matrix]
    passes: Mapping[TableEntry, Matrix]
    seconds: Mapping[TableEntry, Matrix]
    seconds_to_target: Mapping[TableEntry, Matrix]
    seed: int

    @property
    def entries(self) -> tuple[TableEntry, ...]:
        """All entries, sorted."""
        return tuple(sorted(self.regrets))

    def runs(self, contender: str) -> tuple[int, ...]:
        """The numbers of full trainings that a contender has outcomes for, rising."""
        return tuple(runs for name, runs in self.entries if name == contender)

    def guesses(self) -> tuple[TableEntry, ...]:
        """What names a recipe without a full training: entries of one run that are no search."""
        return tuple(e for e in self.entries if e[1] == 1 and not is_search(e[0]))

    def searches(self) -> tuple[str, ...]:
        """The cold searches."""
        return tuple(sorted({name for name, _ in self.entries if is_search(name)}))

    def common(self, entries: Iterable[TableEntry]) -> Mask:
        """(tasks,) true where all these entries have an outcome."""
        found = np.ones(len(self.tasks), dtype=bool)
        for entry in entries:
            found &= np.isfinite(self.regrets[entry])
        return found

    def draws(self, where: Mask) -> Matrix:
        """Resampled tasks: whole leak groups drawn with replacement, as many as there are.

        Args:
            where: (tasks,) true for the tasks to draw from.

        Returns:
            (SAMPLES, tasks) weights; each row adds up to 1 and is 0 where ``where`` is false.
        """
        groups = [task.group for task, kept in zip(self.tasks, where, strict=True) if kept]
        weights = np.zeros((SAMPLES, len(self.tasks)))
        weights[:, where] = resampled_weights(groups, self.seed)
        return weights


def is_search(contender: str) -> bool:
    """Whether a name is that of a cold search: "METHOD, SPACE space"."""
    return contender.endswith(" space")


def per_task(results: LiveResults) -> PerTask:
    """Medians over seeds, then means over studies.

    Raises:
        UserError: An outcome without seeds, of an unknown task or with a number that is not
            finite; one (task, contender, study, runs) twice.
    """
    tasks = tuple(sorted(results.tasks, key=lambda task: task.name))
    place = {task.name: index for index, task in enumerate(tasks)}
    found: dict[tuple[str, int, int], dict[int, _Numbers]] = {}
    for outcome in results.outcomes:
        if outcome.task not in place:
            raise _bad("outcomes of the tasks listed", outcome)
        studies = found.setdefault((outcome.contender, outcome.runs, place[outcome.task]), {})
        if outcome.study in studies:
            raise _bad("one outcome for each task, contender, study and runs", outcome)
        studies[outcome.study] = _numbers(outcome, 1 / tasks[place[outcome.task]].steps)
    vectors: list[dict[TableEntry, Matrix]] = [{}, {}, {}, {}, {}]
    for (contender, runs, index), studies in found.items():
        ordered = [studies[study] for study in sorted(studies)]
        for side, target in enumerate(vectors):
            vector = target.setdefault((contender, runs), np.full(len(tasks), np.nan))
            vector[index] = fmean(numbers[side] for numbers in ordered)
    regrets, times, passes, seconds, timed = vectors
    return PerTask(tasks, regrets, times, passes, seconds, timed, results.seed)


_Numbers = tuple[float, float, float, float, float]
"""Regret, time to the target, passes, seconds, seconds to the target."""


def _numbers(outcome: Outcome, one_step: float) -> _Numbers:
    """The numbers of one outcome."""
    if not (outcome.test and outcome.to_target):
        raise _bad("an outcome on at least one fresh seed", outcome)
    if not all(map(math.isfinite, (*outcome.test, *outcome.to_target, outcome.passes))):
        raise _bad("finite regrets, times to the target and passes", outcome)
    # nothing trained reaches a target before its first step
    soonest = max(median(outcome.to_target), one_step)
    seconds = math.nan if outcome.seconds is None else outcome.seconds
    timed = median(outcome.seconds_to_target) if outcome.seconds_to_target else math.nan
    return median(outcome.test), soonest, outcome.passes, seconds, timed


def _bad(expected: str, outcome: Outcome) -> UserError:
    got = f"{outcome.contender}, study {outcome.study}, runs {outcome.runs} on {outcome.task}"
    return UserError(expected, got, "run the live evaluation again")
