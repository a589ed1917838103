"""The rule by which a claim is confirmed, refuted or left undecided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from knowledge_base.findings.claims import Direction
from knowledge_base.findings.measure import Difference

Verdict = Literal["confirmed", "refuted", "undecided"]
LEVEL = 0.95
FEWEST = 6
"""Data sets below which nothing is decided: five that agree may do so by chance, at the 5 % level
of a two-sided sign test (2 / 2^5 = 0.06)."""
RESAMPLES = 10_000
_SEED = 0

RULE = (
    "A task's value is what the first side has minus what the other has, at seed 0 of both. "
    "Recipes that differ in one thing meet at equal rates. Where rates cannot be equal, as between "
    "optimizers, each side has as many tries as the smaller side has recipes: those that did best "
    "on the other data sets, and validation chooses among them.",
    "Regret is normalized test regret: 0 is the best known result of a task, 1 the untrained "
    "model. Error is the test error of classifications. Speed is the passes to a validation loss "
    "that both reach, the worse of the two final ones, as a ratio.",
    "The value of a part is the mean over data sets, each of which counts once however many tasks "
    "it has; data sets that share samples are one. Its 95 % interval is from 10,000 bootstrap "
    "resamples of data sets.",
    "A part is confirmed if the interval lies on the claimed side of the threshold, refuted if it "
    "lies on the other, else undecided. With fewer than six data sets it is undecided. Where a "
    "claim names one data set, its tasks take the place of data sets.",
    "Beside each part on speed stands one on the test regret of the same two sides on the same "
    "tasks. Where the claim speaks of speed alone, that one is not part of the verdict.",
    "Costs are measured, not sampled: the value is the mean over pairs of optimizers and models, "
    "and the whole range has to lie on one side.",
    "A claim is confirmed if all parts that decide it are. It is refuted if one of them is, at an "
    "interval widened for their number (Bonferroni). Else it is undecided.",
    "Tasks whose recipes hardly differ beyond seeds, or that rank them as another task does, do "
    "not count.",
)
"""The rule in words."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its intervals.

    Attributes:
        mean: Over groups, each the mean over its tasks.
        low: Lower end of the interval of `LEVEL`.
        high: Its upper end.
        wide_low: Lower end of the interval that is widened for several parts.
        wide_high: Its upper end.
        groups: Mean of each group.
    """

    mean: float
    low: float
    high: float
    wide_low: float
    wide_high: float
    groups: dict[str, float]


def estimate(found: Sequence[Difference], parts: int = 1) -> Estimate | None:
    """Mean over groups with its bootstrap intervals; None where there is nothing.

    Args:
        found: What the tasks say.
        parts: Number of parts for which the wider interval holds jointly, at least 1.
    """
    by_group: dict[str, list[float]] = {}
    for difference in found:
        by_group.setdefault(difference.group, []).append(difference.value)
    if not by_group:
        return None
    groups = {name: float(np.mean(values)) for name, values in by_group.items()}
    means = np.asarray(list(groups.values()))
    drawn = np.random.default_rng(_SEED).integers(len(means), size=(RESAMPLES, len(means)))
    resampled = means[drawn].mean(1)
    tail = (1.0 - LEVEL) / 2
    ends = (tail, 1 - tail, tail / parts, 1 - tail / parts)
    low, high, wide_low, wide_high = (float(end) for end in np.quantile(resampled, ends))
    return Estimate(float(means.mean()), low, high, wide_low, wide_high, groups)


def decide(low: float, high: float, claimed: Direction, threshold: float) -> Verdict:
    """What an interval says of a claim that the value is on one side of a threshold."""
    if high < threshold:
        return "confirmed" if claimed == "lower" else "refuted"
    if low > threshold:
        return "confirmed" if claimed == "higher" else "refuted"
    return "undecided"


def joined(parts: Sequence[Verdict], refuted_jointly: Sequence[bool]) -> tuple[Verdict, str]:
    """The verdict of a claim from those of its parts, and why.

    Args:
        parts: The verdict of each part that decides, at the interval of `LEVEL`; at least one.
        refuted_jointly: Whether each part is refuted at the widened interval.
    """
    refuted = sum(refuted_jointly)
    if refuted:
        return "refuted", f"{refuted} of {len(parts)} deciding parts refuted"
    confirmed = sum(part == "confirmed" for part in parts)
    if confirmed == len(parts):
        those = "all deciding parts" if len(parts) > 1 else "its one deciding part"
        return "confirmed", f"{those} confirmed"
    against = sum(part == "refuted" for part in parts)
    told = f"{confirmed} of {len(parts)} deciding parts confirmed"
    return "undecided", told + (f", {against} refuted, but not jointly" if against else "")
