"""Where plays stood that take long to think through, kept in a journal from call to call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from advisor.evaluate.contest import Entry, Standing
from knowledge_base.journal import Journal
from probes.recipe.schema import Recipe


def keep(plays: Journal, entry: Entry) -> None:
    """Write down where an entry stood whose play is over."""
    plays.append("play", {"place": entry.place, "standings": _plain(entry.standings or [])})


def finished_plays(plays: Journal) -> dict[str, list[Standing]]:
    """All standings that were kept, by the place of their entry as ``named`` writes it."""
    return {
        named(record["place"]): _standings(record["standings"])
        for kind, record in plays.read()
        if kind == "play"
    }


def named(place: list[Any]) -> str:
    """A place (``Entry.place``) as text."""
    return "\n".join(map(str, place))


def _standings(kept: dict[str, Any]) -> list[Standing]:
    """Standings as they were kept; those of before seconds were noted know none."""
    at = kept["at"]
    seconds = kept.get("seconds") or [math.nan] * len(at)
    return [
        Standing(runs, passes, Recipe.parse(kept["recipes"][index]), spent)
        for (runs, passes, index), spent in zip(at, seconds, strict=True)
    ]


def _plain(standings: Sequence[Standing]) -> dict[str, Any]:
    """Standings as plain data, every recipe written once."""
    recipes = {at.recipe.key: at.recipe for at in standings}
    order = {key: index for index, key in enumerate(recipes)}
    return {
        "recipes": [recipe.brief() for recipe in recipes.values()],
        "at": [[at.runs, at.passes, order[at.recipe.key]] for at in standings],
        "seconds": [at.seconds for at in standings],
    }
