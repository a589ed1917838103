"""The rule: thresholds, data sets that count once, and how a claim follows from its parts."""

from __future__ import annotations

import random

import numpy as np
import pytest

from knowledge_base.findings.claims import Direction
from knowledge_base.findings.measure import Difference
from knowledge_base.findings.verdict import Verdict, decide, estimate, joined


def found(**groups: list[float]) -> list[Difference]:
    return [
        Difference(f"{group}-{place}", group, value)
        for group, values in groups.items()
        for place, value in enumerate(values)
    ]


DECIDED: list[tuple[float, float, Direction, float, Verdict]] = [
    (-0.2, -0.1, "lower", 0.0, "confirmed"),
    (0.1, 0.2, "lower", 0.0, "refuted"),
    (-0.1, 0.1, "lower", 0.0, "undecided"),
    (-0.1, 0.0, "lower", 0.0, "undecided"),
    (0.1, 0.2, "higher", 0.0, "confirmed"),
    (-0.2, -0.1, "higher", 0.0, "refuted"),
    (0.005, 0.015, "lower", 0.02, "confirmed"),
    (0.3, 0.6, "lower", 0.1, "refuted"),
]


@pytest.mark.parametrize(("low", "high", "claimed", "threshold", "verdict"), DECIDED)
def test_decide(
    low: float, high: float, claimed: Direction, threshold: float, verdict: Verdict
) -> None:
    assert decide(low, high, claimed, threshold) == verdict


def test_nothing_gives_no_estimate() -> None:
    assert estimate([]) is None


def test_every_group_counts_once() -> None:
    estimated = estimate(found(a=[1.0] * 50, b=[0.0], c=[0.0, 4.0]))
    assert estimated is not None
    assert estimated.mean == pytest.approx(1.0)
    assert estimated.groups == {"a": 1.0, "b": 0.0, "c": 2.0}


def test_tasks_of_one_group_are_resampled_together() -> None:
    spread = {f"g{place}": [(-1.0) ** place] for place in range(8)}
    alone = estimate(found(**spread))
    often = estimate(found(**{name: values * 20 for name, values in spread.items()}))
    assert alone is not None
    assert often is not None
    assert (alone.low, alone.high) == (often.low, often.high)
    assert alone.low < -0.3 < 0.3 < alone.high


def test_the_interval_covers_as_often_as_it_says() -> None:
    drawn = np.random.default_rng(0).normal(0.3, 1.0, (150, 40))
    hits = 0
    for values in drawn:
        estimated = estimate(found(**{f"g{place}": [v] for place, v in enumerate(values)}))
        assert estimated is not None
        hits += estimated.low <= 0.3 <= estimated.high
    assert 0.90 <= hits / len(drawn) <= 0.98


def test_more_parts_widen_the_joint_interval_alone() -> None:
    values = found(**{f"g{place}": [random.Random(place).random()] for place in range(12)})
    one, many = estimate(values, 1), estimate(values, 10)
    assert one is not None
    assert many is not None
    assert (one.low, one.high) == (many.low, many.high) == (one.wide_low, one.wide_high)
    assert many.wide_low < many.low
    assert many.wide_high > many.high


C, R, U = "confirmed", "refuted", "undecided"
JOINED: list[tuple[list[Verdict], list[bool], Verdict, str]] = [
    ([C], [False], C, "its one deciding part confirmed"),
    ([C, C], [False, False], C, "all deciding parts confirmed"),
    ([C, U], [False, False], U, "1 of 2 deciding parts confirmed"),
    ([C, R], [False, False], U, "1 of 2 deciding parts confirmed, 1 refuted, but not jointly"),
    ([C, R], [False, True], R, "1 of 2 deciding parts refuted"),
    ([U], [False], U, "0 of 1 deciding parts confirmed"),
]


@pytest.mark.parametrize(("parts", "jointly", "verdict", "why"), JOINED)
def test_joined(parts: list[Verdict], jointly: list[bool], verdict: Verdict, why: str) -> None:
    assert joined(parts, jointly) == (verdict, why)
