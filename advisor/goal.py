"""What the user is after: the best result at the end, or the target soonest."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from advisor.features import Matrix
from advisor.shipped import Loaded
from advisor.wording import target_in_words
from probes.errors import UserError, unknown_name
from probes.profile import Profile
from probes.recipe.schema import Recipe
from probes.task import Prepared

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20,
          "GIB": 2**30}  # fmt: skip


@dataclass(frozen=True)
class Goal:
    """A goal that was checked."""

    name: Literal["best", "fastest"]
    target: float | None


def parse_goal(name: str, target: float | None) -> Goal:
    """Check a goal and its target.

    Raises:
        UserError: An unknown goal, or a target that makes no sense.
    """
    if name == "best":
        if target is not None:
            raise UserError("a target with goal fastest alone", "goal best", "leave target out")
        return Goal("best", None)
    if name != "fastest":
        raise unknown_name("a goal", name, ("best", "fastest"))
    return Goal("fastest", None if target is None else _loss(target))


def _loss(target: object) -> float:
    """A target as a number."""
    try:
        is_number = isinstance(target, numbers.Real) and not isinstance(target, bool)
        value = float(target) if is_number else math.nan  # type: ignore[arg-type]
    except OverflowError:
        value = math.inf
    if not (math.isfinite(value) and value > 0):
        raise UserError(
            "a target as a validation loss above 0", repr(target)[:40], "change it or leave it out"
        )
    return value


def parse_memory(memory: int | str | None) -> int | None:
    """Bytes, from a number or a text such as "2GB".

    Raises:
        UserError: Anything else.
    """
    if memory is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(memory))
    size = _UNITS.get(match[2].upper()) if match else None
    whole = not isinstance(memory, bool)
    if not whole or match is None or size is None or not 0 < float(match[1]) < math.inf:
        raise UserError("max_memory as bytes or a text such as 2GB", repr(memory), "change it")
    return int(float(match[1]) * size)


def wanted_level(
    goal: Goal, profile: Profile, loaded: Loaded, similarity: Matrix
) -> tuple[float | None, str]:
    """The normalized regret of the target, and the target in words.

    None for what AdamW 1e-3 cosine reaches, which every known task's runs tell.
    """
    if goal.target is None:
        return None, target_in_words(None)
    level = _regret_of(goal.target, profile, loaded, similarity)
    return level, f"{target_in_words(goal.target)} (regret {level:.2f} on similar tasks)"


def order_by_seconds(
    recipes: Sequence[Recipe], shares: Matrix, loaded: Loaded, prepared: Prepared, profile: Profile
) -> list[int]:
    """The order of recipes by predicted seconds to the target, soonest first.

    Args:
        recipes: The recipes.
        shares: (n,) predicted shares of the budget's passes until the target.
        loaded: Knows what an optimizer's step costs.
        prepared: The task.
        profile: Of the task: the model and the device.
    """
    seconds = [
        share * seconds_a_pass(recipe, loaded, prepared, profile)
        for share, recipe in zip(shares, recipes, strict=True)
    ]
    return [int(i) for i in np.argsort(seconds, kind="stable")]


def seconds_a_pass(recipe: Recipe, loaded: Loaded, prepared: Prepared, profile: Profile) -> float:
    """Predicted wall time of a pass by a recipe over that of one by AdamW.

    A pass is one over a batch of the task's size, so a recipe with smaller batches, or with several
    passes a step, pays for as many samples as any other.

    Args:
        recipe: The recipe.
        loaded: Knows what an optimizer's step costs.
        prepared: The task.
        profile: Of the task: the model and the device.
    """
    size = (recipe.batch_size or prepared.batch_size) / prepared.batch_size
    return loaded.step_ratio(recipe, prepared, profile) / (recipe.passes_per_step * size)


def _regret_of(target: float, profile: Profile, loaded: Loaded, similarity: Matrix) -> float:
    """A loss on the regret scale, by how far losses fell on similar tasks."""
    initial = profile.values.get("landmark.initial_loss", math.nan)
    if not 0.0 < initial < math.inf:
        raise UserError(
            "a loss above 0 before training, to compare the target with", f"{initial:g}",
            "leave target out",
        )  # fmt: skip
    if target >= initial:
        raise UserError(
            f"a target below the untrained loss, {initial:.3g}", f"{target:g}", "lower it"
        )
    ranges = np.asarray([loaded.log_ranges[name] for name in loaded.model.names])
    weights = similarity / max(float(similarity.sum()), 1e-12)
    span = float((weights * ranges).sum())
    return float(np.clip(1.0 - math.log(initial / target) / max(span, 1e-6), 0.0, 1.0))
