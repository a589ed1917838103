"""How long a full run of each task takes, read off recorded runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from knowledge_base.tasks import known_tasks

SHORT, LONG = 0.3, 2.0
"""Seconds between which a full run of a task of the CPU tier is meant to lie."""


def full_run_seconds(
    runs: Iterable[tuple[str, str, float]], own_batches: set[str]
) -> dict[str, float]:
    """Seconds of a full run by task: the median time of a step times the budget in steps.

    Args:
        runs: Task, key of the recipe and seconds a step of each run; NaN where a run has no time
            of its own, as those trained in a stack. Tasks that this release does not know, and
            tasks without a time, are passed over.
        own_batches: Keys of the recipes with a batch size of their own, whose steps are others.
    """
    rows = known_tasks()
    paces: dict[str, list[float]] = defaultdict(list)
    for task, recipe, pace in runs:
        if task in rows and recipe not in own_batches and np.isfinite(pace):
            paces[task].append(pace)
    return {task: float(np.median(found)) * rows[task].steps for task, found in paces.items()}
