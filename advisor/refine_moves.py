"""Variations of a recipe that a search tries next: one setting changed, all else kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from probes.recipe import catalogue
from probes.recipe.compatibility import repaired
from probes.recipe.schema import Recipe
from probes.recipe.space import STOPPING

SMALLEST_BATCH = 0.25
"""Of the task's batch size: smaller ones have more steps for the same passes, and take longer."""
_FIRST_DECAY = 1e-3
_WARMUP = 0.1
_CLIP = {"name": "norm", "max": 1.0}


def moves(recipe: Recipe, batch_size: int) -> dict[str, Recipe]:
    """The recipe's neighbours by what was changed, the recipe itself left out.

    They differ in the schedule, the batch size, the rate, the weight decay, early stopping,
    clipping or warm-up; those come first that most often lowered the loss of good recipes on six
    benchmark tasks. Whether a task can use one is for ``advisor.candidates.Applicable`` to say.

    Args:
        recipe: The centre.
        batch_size: The task's batch size.
    """
    plain, found = recipe.plain(), {}
    for name, changes in _changes(recipe, batch_size):
        changed = Recipe.parse(repaired({**plain, **changes}))
        if changed.key != recipe.key:
            found[name] = changed
    return found


def next_move(
    near: Mapping[str, Recipe], known: Collection[str], failed: Mapping[str, int]
) -> str | None:
    """The move to make: the first of those that failed least often.

    A coordinate search (Hooke & Jeeves 1961): what has just helped is done again, what has not
    waits until everything else was tried.

    Args:
        near: Neighbours of the best recipe, by name.
        known: Keys of the recipes that were tried or are under way.
        failed: How often each move did not help.
    """
    free = [name for name, recipe in near.items() if recipe.key not in known]
    return min(free, key=lambda name: failed.get(name, 0), default=None)


def _changes(recipe: Recipe, batch_size: int) -> Iterator[tuple[str, dict[str, Any]]]:
    settings = recipe.optimizer.model_dump()
    rate, kept = recipe.optimizer.number("lr"), recipe.regularization

    def rates(*factors: float) -> Iterator[tuple[str, dict[str, Any]]]:
        for factor in factors:
            yield from _setting(f"rate x {factor:g}", settings, "lr", rate * factor)

    yield "warmup_stable_decay", {"schedule": "warmup_stable_decay"}
    half = (recipe.batch_size or batch_size) // 2
    if half >= max(SMALLEST_BATCH * batch_size, 1):
        yield "half the batch", {"batch_size": half}
    yield from rates(2.0)
    yield "one_cycle", {"schedule": "one_cycle"}
    yield "linear", {"schedule": "linear"}
    yield from rates(0.7)
    if "weight_decay" in settings:
        decay = recipe.optimizer.number("weight_decay")
        for name, value in (
            (("decay x 0.2", decay / 5), ("decay x 5", decay * 5))
            if decay
            else (("decay", _FIRST_DECAY),)
        ):
            yield from _setting(name, settings, "weight_decay", value)
    stopping = STOPPING if kept.early_stopping is None else None
    yield (
        "early stopping",
        {"regularization": {**kept.model_dump(), "early_stopping": stopping}},
    )
    if recipe.clip is None:
        yield "clipping", {"clip": _CLIP}
    if not recipe.schedule.number("warmup"):
        yield "warm-up", {"schedule": {**recipe.schedule.model_dump(), "warmup": _WARMUP}}
    yield "cosine", {"schedule": "cosine"}
    yield from rates(1.25, 0.5)


def _setting(
    move: str, settings: dict[str, Any], name: str, value: float
) -> Iterator[tuple[str, dict[str, Any]]]:
    """One of the optimizer's settings at another value, where that is valid."""
    rows = catalogue.method("optimizer", settings["name"]).hyperparameters
    low, high = next(row for row in rows if row.name == name).valid
    rounded = float(f"{value:.3g}")
    if low <= rounded <= high:
        yield move, {"optimizer": {**settings, name: rounded}}
