"""Weights of tasks, and what a tally amounts to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.evaluate.tally import (
    ADVISED,
    BEST_KNOWN,
    SINGLE_BEST,
    Tally,
    column,
    task_weights,
)

POSITIVE = st.floats(1e-6, 10.0)


def filled(groups: list[str], spreads: list[float], noises: list[float], **regrets) -> Tally:
    """A tally of those tasks; what is told of the advice does not matter here."""
    count = len(groups)
    tally = Tally(groups=groups, spreads=spreads, noises=noises)
    for name in ("covered", "widths", "correlations", "abstained", "boosted", "shares"):
        getattr(tally, name).extend([0.5] * count)
    names = {"advice": (ADVISED, 1), "single": (SINGLE_BEST, 1), "best": (BEST_KNOWN, 7)}
    for short, values in regrets.items():
        for value in values:
            tally.add(*names[short], value)
    return tally


@given(st.lists(st.tuples(POSITIVE, st.floats(0.0, 1.0)), min_size=1, max_size=30))
def test_weights_sum_to_one(tasks: list[tuple[float, float]]) -> None:
    weights = task_weights(*zip(*tasks, strict=True))
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()


@given(st.lists(POSITIVE, min_size=2, max_size=30), POSITIVE)
def test_weights_know_no_unit(spreads: list[float], unit: float) -> None:
    noises = [0.1 + spread**0.5 for spread in spreads]
    np.testing.assert_allclose(
        task_weights(spreads, noises),
        task_weights([unit * s for s in spreads], [unit * n for n in noises]),
    )


def test_a_task_weighs_as_its_spread_over_its_noise() -> None:
    weights = task_weights([0.1, 0.2, 0.2, *[1.0] * 30], [0.1, 0.1, 0.2, *[0.01] * 30])
    assert weights[1] == pytest.approx(2 * weights[0])
    assert weights[2] == pytest.approx(weights[0])
    assert weights[3] > 40 * weights[0]


def test_no_task_with_next_to_no_noise_decides_alone() -> None:
    weights = task_weights([0.2] * 20, [1e-6, *[0.02] * 19])
    assert weights[0] == pytest.approx(1 / 20, rel=1e-6)


def test_where_noise_is_unknown_that_of_the_others_stands_in() -> None:
    known = task_weights([0.2, 0.2, 0.4, 0.1], [0.1, 0.3, 0.2, 0.2])
    unknown = task_weights([0.2, 0.2, 0.4, 0.1], [0.1, 0.3, 0.0, 0.2])
    np.testing.assert_allclose(known, unknown)
    none = task_weights([0.2, 0.2, 0.2], [0.0, 0.0, 0.0])
    np.testing.assert_allclose(none, 1 / 3)
    np.testing.assert_allclose(task_weights([0.0, 0.0], [0.1, 0.1]), 0.5)


def test_column_of_a_tally_by_hand() -> None:
    tally = filled(
        ["a", "a", "b", "c"], [0.1, 0.3, 0.3, 0.3], [0.1, 0.1, 0.1, 0.1],
        advice=[0.1, 0.2, 0.3, 0.2], single=[0.5, 0.2, 0.4, 0.3], best=[0.0, 0.0, 0.1, 0.1],
    )  # fmt: skip
    found = column("data set", tally, 0)
    assert (found.tasks, found.datasets) == (4, 3)
    advice = found.method(ADVISED, 1)
    assert advice.mean == pytest.approx(0.2)
    assert advice.low <= advice.mean <= advice.high
    weights = np.array([1.0, 3.0, 3.0, 3.0]) / 10.0
    assert advice.weighted == pytest.approx(weights @ [0.1, 0.2, 0.3, 0.2])
    assert advice.weighted_low <= advice.weighted <= advice.weighted_high
    assert found.gap_closed[0] == pytest.approx((0.35 - 0.2) / 0.35), "the oracle has regret 0"
    assert found.gap_closed_in_set[0] == pytest.approx((0.35 - 0.2) / (0.35 - 0.05))
    single, best = weights @ [0.5, 0.2, 0.4, 0.3], weights @ [0.0, 0.0, 0.1, 0.1]
    closed = single - advice.weighted
    assert found.weighted_gap_closed[0] == pytest.approx(closed / single)
    assert found.weighted_gap_closed_in_set[0] == pytest.approx(closed / (single - best))
    for value, low, high in (found.gap_closed, found.gap_closed_in_set):
        assert low <= value <= high
    tails = [np.quantile(values, 0.95) for values in ([0.1, 0.2, 0.3, 0.2], [0.5, 0.2, 0.4, 0.3])]
    ratio, low, high = found.p95_ratio
    assert ratio == pytest.approx(tails[0] / tails[1])
    assert low <= ratio <= high


def test_a_method_that_a_task_lacks_is_left_out() -> None:
    tally = filled(["a", "b"], [0.1, 0.1], [0.1, 0.1],
                   advice=[0.1, 0.2], single=[0.5, 0.2], best=[0.0, 0.0])  # fmt: skip
    tally.add("search", 5, 0.3)
    assert column("data set", tally, 0).method("search", 5) is None
    tally.add("search", 5, 0.5)
    assert column("data set", tally, 0).method("search", 5).mean == pytest.approx(0.4)


def test_folds_are_joined() -> None:
    one = filled(["a"], [0.1], [0.01], advice=[0.1], single=[0.5], best=[0.0])
    other = filled(["b"], [0.2], [0.02], advice=[0.3], single=[0.6], best=[0.1])
    one.extend(other)
    assert one.groups == ["a", "b"]
    assert (one.spreads, one.noises) == ([0.1, 0.2], [0.01, 0.02])
    assert one.regrets == {
        (ADVISED, 1): [0.1, 0.3], (SINGLE_BEST, 1): [0.5, 0.6], (BEST_KNOWN, 7): [0.0, 0.1],
    }  # fmt: skip
    assert len(one.covered) == len(one.shares) == 2
