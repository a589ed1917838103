"""A comparison on every task: how far one side is from the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from knowledge_base.findings.claims import Comparison
from knowledge_base.findings.curve import log_speed_ratio
from knowledge_base.findings.outcomes import Outcomes
from knowledge_base.findings.side import stratum


@dataclass(frozen=True)
class Difference:
    """One task's answer.

    Attributes:
        task: Its name.
        group: What is resampled as one: the leak group of its data set, or the task itself where
            a comparison looks at one data set alone.
        value: Difference, or logarithm of a ratio; what is first minus what is other.
    """

    task: str
    group: str
    value: float


@dataclass(frozen=True)
class _Stratum:
    """Columns of the recipes of each side that are equal in all that is held equal."""

    first: tuple[int, ...]
    other: tuple[int, ...]


def recipes_of(comparison: Comparison, outcomes: Outcomes) -> tuple[int, int]:
    """How many recipes of each side some task ran, of those that meet one of the other side."""
    strata = _strata(comparison, outcomes)
    ran = {int(column) for column in np.flatnonzero(np.isfinite(outcomes.validation).any(axis=0))}
    first = sum(len(ran.intersection(part.first)) for part in strata)
    return first, sum(len(ran.intersection(part.other)) for part in strata)


def differences(comparison: Comparison, outcomes: Outcomes) -> tuple[Difference, ...]:
    """What every task with runs on both sides says.

    In each stratum (recipes that are equal in all that is not set aside) the two sides meet: with
    rates set aside, each has its best recipe of an equal number of tries (`Outcomes.best`), else
    each recipe meets each. A task's value is the mean over all that met. Both sides are runs of
    the same seed: they see the same batches.
    """
    strata = _strata(comparison, outcomes)
    between = _between(comparison, outcomes)
    found = []
    for task, row in enumerate(outcomes.rows):
        if comparison.dataset and row.group != comparison.dataset:
            continue
        values = [
            between(task, *pair)
            for part in strata
            for pair in _meeting(outcomes, task, part, "rate" in comparison.aside)
        ]
        finite = [value for value in values if np.isfinite(value)]
        if finite:
            group = row.name if comparison.dataset else row.group
            found.append(Difference(row.name, group, float(np.mean(finite))))
    return tuple(found)


def _strata(comparison: Comparison, outcomes: Outcomes) -> list[_Stratum]:
    sides: list[dict[tuple[Any, ...], list[int]]] = []
    for side in (comparison.first, comparison.other):
        columns: dict[tuple[Any, ...], list[int]] = {}
        for column, recipe in enumerate(outcomes.recipes):
            if side.has(recipe):
                columns.setdefault(stratum(recipe, comparison.aside), []).append(column)
        sides.append(columns)
    first, other = sides
    return [_Stratum(tuple(first[key]), tuple(other[key])) for key in first if key in other]


def _meeting(outcomes: Outcomes, task: int, part: _Stratum, tuned: bool) -> list[tuple[int, int]]:
    """The pairs of recipes that meet on a task, of those that it ran."""
    ran = np.isfinite(outcomes.validation[task])
    sides = [[column for column in side if ran[column]] for side in (part.first, part.other)]
    tries = min(map(len, sides))
    first, other = sides
    if not tuned or not tries:
        return list(product(first, other))
    best = outcomes.best(task, first, tries), outcomes.best(task, other, tries)
    return [] if best[0] is None or best[1] is None else [(best[0], best[1])]


def _between(comparison: Comparison, outcomes: Outcomes) -> Callable[[int, int, int], float]:
    if comparison.measure == "speed":
        curves = outcomes.curves
        return lambda task, first, other: log_speed_ratio(curves[task, first], curves[task, other])
    table = outcomes.test if comparison.measure == "regret" else outcomes.error
    return lambda task, first, other: float(table[task, first] - table[task, other])
