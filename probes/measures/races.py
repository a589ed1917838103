"""Short races: landmark recipes from the same weights on the same batches.

What a handful of steps says about a full run is little (a rank correlation of 0.15 to 0.4 in
public benchmarks), so races are evidence for the meta-model, never the decision itself.
"""

from __future__ import annotations

import math

from probes.errors import UserError
from probes.measures.base import Context
from probes.measures.landmark_run import curve_shape
from probes.measures.short_training import short_training
from probes.recipe.schema import Recipe


def _racer(optimizer: str, lr: float) -> Recipe:
    return Recipe.parse({"optimizer": {"name": optimizer, "lr": lr}, "schedule": "constant"})


RACERS = {
    "momentum": _racer("momentum", 0.1),
    "muon": _racer("muon", 1e-2),
    "adamw_high": _racer("adamw", 2e-2),
    "momentum_low": _racer("momentum", 0.01),
    "adamw_low": _racer("adamw", 5e-4),
}
"""Recipes by name, the most telling first."""
STEPS = {64: (12, 3), 256: (24, 5), 1024: (80, 5)}
"""Steps a race and number of racers, by tier."""
_DIVERGED = -3.0
UNITS: dict[str, str] = {
    f"race.{name}.{what}": unit
    for name in RACERS
    for what, unit in (
        ("drop", "log ratio of the first to the last quarter's training loss"),
        ("lead", "drop minus that of the landmark run over the same steps"),
        ("late_slope", "fall of the log loss per step, second half"),
    )
}


class Races:
    """Drop of the log training loss of each racer, and its lead over the landmark run."""

    name = "race"
    paper = "Jamieson & Talwalkar 2016 (early results as evidence)"
    units = UNITS

    def passes(self, tier: int) -> float:
        """Steps times racers."""
        steps, racers = STEPS.get(tier, (0, 0))
        return float(steps * racers)

    def skip(self, context: Context) -> str | None:
        """Needs a tier that pays for races."""
        return None if context.tier in STEPS else f"tier {context.tier} pays for no race"

    def measure(self, context: Context) -> dict[str, float]:
        """See the class."""
        steps, racers = STEPS[context.tier]
        found: dict[str, float] = {}
        for name in list(RACERS)[:racers]:
            try:
                losses, diverged = short_training(context, RACERS[name], steps, context.seed)
            except UserError as error:  # a torch too old for this racer: the others still run
                context.missing[f"race.{name}"] = str(error)
                continue
            beside = context.landmark[:steps]
            shape = curve_shape(losses, "race", beside)
            drop = shape.get("race.drop", _DIVERGED)
            if diverged or not math.isfinite(losses[-1]):
                drop = _DIVERGED
            found[f"race.{name}.drop"] = max(drop, _DIVERGED)
            found[f"race.{name}.late_slope"] = shape.get("race.late_slope", 0.0)
            landmark = curve_shape(beside, "landmark", losses)
            if "landmark.drop" in landmark and len(context.landmark) >= steps:
                found[f"race.{name}.lead"] = found[f"race.{name}.drop"] - landmark["landmark.drop"]
        return found
