"""How near to the best the recipe that everybody copies is on a task: AdamW 1e-3 cosine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from knowledge_base.reference import COPIED
from knowledge_base.store import SHIPPED, load_runs

_COLUMNS = ("task", "recipe", "role", "test", "diverged")


def copied_places(tasks: Iterable[str], knowledge: Path | None = None) -> dict[str, float]:
    """The place of AdamW 1e-3 cosine among the reference recipes, by test loss.

    Args:
        tasks: Names of tasks.
        knowledge: Folder of the packed knowledge base; None for the shipped one.

    Returns:
        By task, the share of recipes that did as well or better, itself included, in (0, 1]; a
        task on which it has no run is left out.
    """
    runs = load_runs(knowledge or SHIPPED, _COLUMNS)
    losses = np.where(runs["diverged"] | np.isnan(runs["test"]), np.inf, runs["test"])
    found: dict[str, float] = {}
    for task in tasks:
        here = (runs["task"] == task) & (runs["role"] == "reference")
        own = losses[here & (runs["recipe"] == COPIED.key)]
        if len(own):
            found[task] = float((losses[here] <= own[0]).mean())
    return found
