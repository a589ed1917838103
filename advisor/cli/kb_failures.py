"""What failed in a build and why, and what its store holds damaged: as data, and in few lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from probes.errors import one_line

if TYPE_CHECKING:
    from knowledge_base.state import State

_MOST = 5
_LONGEST = 200
_MOST_DAMAGED = 10


def failures(state: State) -> list[dict[str, Any]]:
    """Every piece of work that failed and was not done since, in the order in which they failed.

    Returns:
        For each ``task``, ``recipe`` (its key) and ``described`` (the recipe in words; both None
        for a profile), ``seed``, ``tier`` (None for a run) and ``reason``.
    """
    return [
        {
            "task": task, "recipe": key or None, "described": _described(state, key),
            "seed": seed, "tier": tier or None, "reason": reason,
        }
        for (task, key, seed, tier), reason in state.failed.items()
    ]  # fmt: skip


def _described(state: State, key: str) -> str | None:
    from probes.recipe.schema import Recipe

    return Recipe.parse(state.recipes[key]).describe() if key in state.recipes else None


def failure_lines(failed: Sequence[dict[str, Any]]) -> list[str]:
    """A line a reason, the most frequent first, with its count and one example; then what to do.

    Args:
        failed: What ``failures`` gives; nothing gives no line.
    """
    if not failed:
        return []
    alike: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for failure in failed:
        alike[one_line(failure["reason"])[:_LONGEST]].append(failure)
    groups = sorted(alike.items(), key=lambda group: -len(group[1]))
    lines = [f"failed: {_places(those)}: {reason}" for reason, those in groups[:_MOST]]
    if len(groups) > _MOST:
        others = sum(len(those) for _, those in groups[_MOST:])
        lines.append(f"failed: {others} more for {len(groups) - _MOST} other reasons (see --json)")
    return [*lines, "advisor kb build --retry-failed does again what failed"]


def damaged_lines(set_aside: Sequence[str]) -> list[str]:
    """The first of what a store holds and cannot be used, each in a line, and how many more."""
    lines = list(set_aside[:_MOST_DAMAGED])
    if len(set_aside) > _MOST_DAMAGED:
        lines.append(f"and {len(set_aside) - _MOST_DAMAGED} more set aside")
    return lines


def _places(those: Sequence[dict[str, Any]]) -> str:
    """Where it happened: the place, or the first of several."""
    first = those[0]
    what = first["described"] or (
        f"recipe {first['recipe']}" if first["recipe"] else f"a profile of tier {first['tier']}"
    )
    place = one_line(f"{what} on {first['task']}, seed {first['seed']}")
    return place if len(those) == 1 else f"{len(those)} times, first {place}"
