from __future__ import annotations

import math
from functools import partial
from pathlib import Path

from advisor.evaluate.contenders import in_order
from advisor.evaluate.contest import Entry, Standing
from advisor.evaluate.plays import finished_plays, keep, named
from knowledge_base.journal import Journal
from probes.recipe.schema import Recipe

RECIPES = tuple(Recipe.parse({"optimizer": {"name": "adamw", "lr": rate}}) for rate in (1e-3, 1e-2))
STANDINGS = [
    Standing(1, 0.5, RECIPES[0], 0.1), Standing(2, 1.5, RECIPES[1], 0.25),
    Standing(3, 2.5, RECIPES[0], 0.7),
]  # fmt: skip


def _entry(study: int) -> Entry:
    start = partial(in_order, RECIPES, 100)
    return Entry("a", "one", study, 100, start, basis="b", standings=STANDINGS)


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    with Journal(tmp_path / "plays.log") as plays:
        keep(plays, _entry(0))
        found = finished_plays(plays)
    assert found == {named(_entry(0).place): STANDINGS}
    assert named(_entry(1).place) not in found


def test_plays_of_before_seconds_were_noted_are_read(tmp_path: Path) -> None:
    with Journal(tmp_path / "plays.log") as plays:
        record = {
            "place": ["a", "one", 0, "b"],
            "standings": {"recipes": [RECIPES[0].brief()], "at": [[1, 1.0, 0]]},
        }
        plays.append("play", record)
        ((at,),) = finished_plays(plays).values()
    assert (at.runs, at.passes, at.recipe) == (1, 1.0, RECIPES[0])
    assert math.isnan(at.seconds)
