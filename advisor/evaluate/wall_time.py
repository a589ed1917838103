"""Wall time that a choice before the contest took, read from what was kept of it."""

from __future__ import annotations

import math

from advisor.advice import Advice
from advisor.evaluate.contenders import Need
from advisor.evaluate.prepare import Place
from advisor.tuned import Tuned


def seconds_spent(place: Place, need: Need) -> float:
    """Seconds of probing, and of refining where that was done.

    Args:
        place: Where a task's advice is kept.
        need: "advice", "fastest", "refine" or "rate".

    Returns:
        Of a refinement its whole call, validations and final trainings included; NaN for the
        learning-rate finder, whose file tells its passes alone.
    """
    if need == "rate":
        return math.nan
    name = "fastest" if need == "fastest" else "advice"
    probed = Advice.load(place.folder / f"{name}.json").probe.seconds
    if need == "refine":
        return probed + Tuned.load(place.folder / "refine.json").seconds
    return probed
