"""What the user is after: the best result at the end, or the target soonest."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Literal

import numpy as np

from advisor.features import Matrix
from advisor.shipped import Loaded
from advisor.wording import target_in_words
from probes.errors import UserError, unknown_name
from probes.profile import Profile


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
