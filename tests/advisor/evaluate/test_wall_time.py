from __future__ import annotations

import math
from pathlib import Path

import pytest
from refine_cases import GOOD, make_advice

from advisor.advice import ProbeCost
from advisor.evaluate.contenders import Need
from advisor.evaluate.prepare import Place
from advisor.evaluate.wall_time import seconds_spent
from advisor.tuned import Tuned


@pytest.mark.parametrize(
    ("need", "seconds"), [("advice", 2.0), ("fastest", 0.5), ("refine", 62.0), ("rate", math.nan)]
)
def test_seconds_of_what_was_prepared(tmp_path: Path, need: Need, seconds: float) -> None:
    advice = make_advice(GOOD)
    for name, spent in (("advice", 2.0), ("fastest", 0.5)):
        cost = ProbeCost(passes=1.0, seconds=spent, share=0.1)
        advice.model_copy(update={"probe": cost}).save(tmp_path / f"{name}.json")
    tuned = Tuned(task=advice.task, ranking=(), trials=1, pruned=0, passes=9.0, seconds=60.0)
    tuned.save(tmp_path / "refine.json")
    place = Place(tmp_path, tmp_path, tmp_path, 0)
    assert seconds_spent(place, need) == pytest.approx(seconds, nan_ok=True)
