"""Which benchmark tasks say something of their own.

A task adds nothing when its recipes rank as those of another task, and it can teach nothing when
its recipes differ hardly more than seeds do. Such tasks need not go, but they must not be counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowledge_base.regret import Scale, scales
from knowledge_base.store import SHIPPED, load_runs
from knowledge_base.tasks import task_rows

SAME_RANKING = 0.95
LEAST_SPREAD = 5.0
_NEEDED = ("task", "recipe", "seed", "role", "initial", "final", "test", "diverged")
_FEWEST = 10
"""Recipes that two tasks must share before their rankings are compared."""


@dataclass(frozen=True)
class Discounted:
    """A task that does not count.

    Attributes:
        task: Its name.
        reason: Why, in words.
        twin: The task that ranks the recipes alike, or "".
    """

    task: str
    reason: str
    twin: str = ""


def discounted(
    runs: Iterable[Mapping[str, Any]],
    same_ranking: float = SAME_RANKING,
    least_spread: float = LEAST_SPREAD,
) -> tuple[Discounted, ...]:
    """The tasks that do not count, with reasons, in the order in which they occur.

    First those with little spread: the range of the middle four fifths of the reference recipes'
    regrets is under `least_spread` standard deviations between seeds. Of the others, in order, a
    task goes when one that stays ranks the recipes alike.

    Args:
        runs: Records with task, recipe, seed, role, initial, final, test, diverged.
        same_ranking: Spearman correlation above which two tasks rank alike, in [0, 1].
        least_spread: In standard deviations of the regret between seeds, at least 0. A task
            without repeated recipes has none, and passes.
    """
    records = list(runs)
    regrets = _reference_regrets(records)
    found: dict[str, Discounted] = {}
    for task, (values, scale) in regrets.items():
        spread = _spread(values)
        if spread < least_spread * scale.seed_spread:
            times = spread / scale.seed_spread
            found[task] = Discounted(
                task, f"recipes spread over {times:.1f} seed deviations, under {least_spread:g}"
            )
    kept: list[str] = []
    for task in regrets:
        if task in found:
            continue
        near = [(ranked_alike(regrets[task][0], regrets[other][0]), other) for other in kept]
        correlation, twin = max(near, default=(-1.0, ""))
        if correlation > same_ranking:
            reason = f"ranks the recipes as {twin} does (Spearman {correlation:.3f})"
            found[task] = Discounted(task, reason, twin)
        else:
            kept.append(task)
    return tuple(found[task] for task in regrets if task in found)


def discounted_in(folder: Path = SHIPPED) -> tuple[Discounted, ...]:
    """The tasks of a packed knowledge base that do not count; see `discounted`.

    Steps of ladders are not among them: they repeat tasks, and are counted nowhere.

    Raises:
        UserError: There is no packed knowledge base in the folder.
    """
    columns = load_runs(folder, _NEEDED)
    rows = zip(*(columns[name] for name in _NEEDED), strict=True)
    return discounted_of(dict(zip(_NEEDED, row, strict=True)) for row in rows)


def discounted_of(runs: Iterable[Mapping[str, Any]]) -> tuple[Discounted, ...]:
    """`discounted` among these runs' tasks of the CPU tier: larger forms are not tasks."""
    ordinary = task_rows()
    return discounted(run for run in runs if run["task"] in ordinary)


def ranked_alike(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Spearman's correlation of two tasks' regrets over the recipes they share, in [-1, 1].

    It is 0 where they share fewer than ten recipes, or where all of one's are equal.
    """
    shared = sorted(first.keys() & second.keys())
    if len(shared) < _FEWEST:
        return 0.0
    ranks = [_ranks(np.asarray([side[key] for key in shared])) for side in (first, second)]
    centred = [rank - rank.mean() for rank in ranks]
    scale = float(np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    return float((centred[0] * centred[1]).sum()) / scale if scale else 0.0


def _reference_regrets(
    records: list[Mapping[str, Any]],
) -> dict[str, tuple[dict[str, float], Scale]]:
    """By task: the first seed's regret of each reference recipe, and the task's scale."""
    found = {task: scale for task, (scale, _) in scales(records).items()}
    regrets: dict[str, tuple[dict[str, float], Scale]] = {}
    for run in records:
        if run["role"] == "reference" and run["seed"] == 0:
            task = str(run["task"])
            values, scale = regrets.setdefault(task, ({}, found[task]))
            loss = np.inf if run["diverged"] else float(run["final"])
            values[str(run["recipe"])] = scale.regret(loss)
    return regrets


def _spread(values: Mapping[str, float]) -> float:
    low, high = np.quantile(list(values.values()), (0.1, 0.9))
    return float(high - low)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 0; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts) - 1
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[places]
    return ranks
