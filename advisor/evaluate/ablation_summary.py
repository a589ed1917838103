"""From what every change gave task by task to the ablations as data, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from advisor.evaluate.ablation_report import Ablation, Ablations, Growth
from advisor.evaluate.bootstrap import resamples, with_interval
from advisor.evaluate.variants import DRAWS
from advisor.features import Matrix

ALL = "all probes"
"""The row of the unchanged advice."""
PART = "1/"
"""How the name of a smaller knowledge base begins; what follows is its share's denominator."""


@dataclass(frozen=True)
class Told:
    """What every change gave on one task.

    Attributes:
        group: Its leak group.
        regrets: Test regret by name of the change and number of runs.
        measured: The changes that had something to act on: what they take away, or rest on, was
            measured on this task.
    """

    group: str
    regrets: dict[tuple[str, int], float]
    measured: frozenset[str]


def at_tier(name: str, tier: int) -> str:
    """The name of a change that is made to profiles of one tier, whatever the budget."""
    return f"{name}, tier {tier}"


def summary(told: Sequence[Told], known: int, largest: int, seed: int) -> Ablations:
    """The ablations as data.

    Args:
        told: Every task that was asked about; all have the same changes.
        known: Number of data sets in the knowledge base.
        largest: The tier of the rows that are named by ``at_tier``.
        seed: Of the bootstrap.
    """
    groups = [task.group for task in told]
    draws = resamples(groups, seed)

    def interval(values: Matrix) -> tuple[float, float, float]:
        return with_interval(lambda index: float(values[index].mean()), draws)

    def regrets(name: str, runs: int) -> Matrix:
        return np.asarray([task.regrets[name, runs] for task in told])

    rows, growth = [], []
    for name, k in told[0].regrets:
        mean, low, high = interval(regrets(name, k))
        share = int(name.removeprefix(PART)) if name.startswith(PART) else 1
        if share == 1:
            against = _unchanged(name, largest)
            change = interval(regrets(name, k) - regrets(against, k))
            rows.append(
                Ablation(
                    name=name, runs=k, measured=sum(name in task.measured for task in told),
                    mean=mean, low=low, high=high, against=against, difference=change[0],
                    difference_low=change[1], difference_high=change[2],
                )
            )  # fmt: skip
        if share > 1 or name == ALL:
            growth.append(
                Growth(
                    share=1 / share, datasets=math.ceil((known - 1) / share),
                    draws=DRAWS if share > 1 else 1, runs=k, mean=mean, low=low, high=high,
                )
            )  # fmt: skip
    growth.sort(key=lambda point: (point.runs, point.share))
    return Ablations(
        tasks=len(groups), datasets=len(set(groups)), rows=tuple(rows), growth=tuple(growth)
    )


def _unchanged(name: str, largest: int) -> str:
    """What a change is compared with: the unchanged advice from profiles of the same tier."""
    beside = at_tier(ALL, largest)
    return beside if name.endswith(at_tier("", largest)) and name != beside else ALL
