"""What the user is after: the best result at the end, or the target soonest."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from advisor.features import Matrix
from advisor.shipped import Loaded
from knowledge_base.reference import COPIED
from probes.errors import UserError, unknown_name
from probes.profile import Profile
from probes.recipe.schema import Recipe
from probes.task import Prepared

HORIZONS = (1.0, 0.7, 0.5, 0.3)
"""Shares of the budget among which "fastest" chooses; known tasks ran 0.3 and 1."""
_CONSIDERED = 60
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
    is_number = isinstance(target, (int, float)) and not isinstance(target, bool)
    if target is not None and not (is_number and math.isfinite(target) and target > 0):
        raise UserError("a target as a validation loss above 0", repr(target), "change target")
    return Goal("fastest", target)


def parse_memory(memory: int | str | None) -> int | None:
    """Bytes, from a number or a text such as "2GB".

    Raises:
        UserError: Anything else.
    """
    if memory is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(memory))
    size = _UNITS.get(match[2].upper()) if match else None
    if isinstance(memory, bool) or match is None or size is None or float(match[1]) <= 0:
        raise UserError("max_memory as bytes or a text such as 2GB", repr(memory), "change it")
    return int(float(match[1]) * size)


Score = Callable[[Sequence[Recipe]], Matrix]
"""Predicted regrets of recipes."""


def wanted_regret(
    goal: Goal, score: Score, profile: Profile, loaded: Loaded, similarity: Matrix
) -> tuple[float, str]:
    """The regret that counts as reaching the target, and the target in words."""
    if goal.target is None:
        return float(score([COPIED])[0]), "what AdamW 1e-3 cosine is predicted to reach"
    wanted = _regret_of(goal.target, profile, loaded, similarity)
    return wanted, f"a validation loss of {goal.target:g}"


def rank_fastest(
    promising: Sequence[Recipe],
    score: Score,
    horizons: Sequence[float],
    wanted: float,
    words: str,
    loaded: Loaded,
    prepared: Prepared,
    profile: Profile,
) -> tuple[list[Recipe], Matrix, list[int], str]:
    """Candidates ordered by predicted seconds to the target.

    Each promising recipe is offered at several horizons; those predicted to reach the target come
    first, the cheapest in front; then the rest by score.

    Args:
        promising: Recipes, the best first.
        score: Predicted regrets.
        horizons: Shares of the budget offered.
        wanted: Regret that counts as reaching the target.
        words: The target in words.
        loaded: Knows what an optimizer's step costs.
        prepared: The task.
        profile: Of the task: the model and the device.

    Returns:
        Candidates, their scores, their order, and the target in words.
    """
    offered = [
        recipe.with_(horizon=round(recipe.horizon * horizon, 3))
        for recipe in promising[:_CONSIDERED]
        for horizon in horizons
    ]
    found = score(offered)
    seconds = [
        loaded.step_ratio(recipe, prepared, profile)
        * recipe.steps_for(prepared.steps, prepared.batch_size)
        for recipe in offered
    ]
    reached = found <= wanted
    order = sorted(
        range(len(offered)),
        key=lambda i: (not reached[i], seconds[i] if reached[i] else 0.0, found[i]),
    )
    if reached.any():
        share = f"{int(reached.sum())} of {len(offered)} candidates are predicted to reach it"
    else:
        share = "no candidate is predicted to reach it: ranked by result"
    return offered, found, order, f"target: {words} (regret {wanted:.2f}); {share}"


def _regret_of(target: float, profile: Profile, loaded: Loaded, similarity: Matrix) -> float:
    """A loss on the regret scale, by how far losses fell on similar tasks."""
    measured = profile.values.get("landmark.initial_loss")
    known = (measured, *map(profile.values.get, ("data.uniform_loss", "data.chance_loss")))
    initial = next((value for value in known if value is not None), None)
    if initial is None or initial <= 0:
        raise UserError(
            "a loss above 0 before training, to compare the target with", str(initial),
            "raise the budget or leave target out",
        )  # fmt: skip
    if measured is not None and target >= measured:  # what facts tell is only a guess
        raise UserError(
            f"a target below the untrained loss, {initial:.3g}", f"{target:g}", "lower it"
        )
    ranges = np.asarray([loaded.log_ranges[name] for name in loaded.model.names])
    weights = similarity / max(float(similarity.sum()), 1e-12)
    span = float((weights * ranges).sum())
    return float(np.clip(1.0 - math.log(initial / target) / max(span, 1e-6), 0.0, 1.0))
