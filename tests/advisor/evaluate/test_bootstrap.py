"""Samples of data sets, written as positions and as weights, and intervals over them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from advisor.evaluate.bootstrap import (
    SAMPLES,
    interval,
    resampled_weights,
    resamples,
    with_interval,
)

GROUPS = ["b", "a", "b", "c"]


def test_tasks_that_share_data_are_drawn_together() -> None:
    groups = ["b", "a", "b", "c"]
    for draw in resamples(groups, 3)[:50]:
        counts = np.bincount(draw, minlength=4)
        assert counts[0] == counts[2]
        assert counts[0] + counts[1] + counts[3] == 3, "as many data sets as there are"
    first, again, other = (resamples(groups, seed)[:20] for seed in (0, 0, 1))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not all(np.array_equal(one, two) for one, two in zip(first, other, strict=True))


def test_interval_of_a_mean() -> None:
    values = np.random.default_rng(0).standard_normal(400)
    draws = resamples([str(i) for i in range(400)], 0)
    mean, low, high = with_interval(lambda index: float(values[index].mean()), draws)
    assert mean == pytest.approx(values.mean())
    deviation = values.std() / 20
    assert low == pytest.approx(mean - 1.96 * deviation, abs=0.15 * deviation)
    assert high == pytest.approx(mean + 1.96 * deviation, abs=0.15 * deviation)


def test_both_ways_of_writing_samples_say_the_same() -> None:
    """Mean and spread of the mean over tasks, each from random numbers of its own."""
    groups = [f"group {i % 60}" for i in range(90)]
    values = np.random.default_rng(0).standard_normal(90)
    by_position = np.asarray([values[draw].mean() for draw in resamples(groups, 0)])
    weights = resampled_weights(groups, 0)
    assert weights.shape == (SAMPLES, 90) == (len(by_position), len(values))
    by_weight = weights @ values
    deviation = by_position.std()
    assert by_weight.mean() == pytest.approx(by_position.mean(), abs=0.15 * deviation)
    assert by_weight.std() == pytest.approx(deviation, rel=0.1)


def test_weights_of_a_sample_are_how_often_each_task_is_drawn() -> None:
    weights = resampled_weights(GROUPS, 3)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    counts = weights / weights.max(axis=1, keepdims=True)
    assert {0.0, 0.5, 1.0} <= set(counts.ravel().round(6).tolist())
    np.testing.assert_array_equal(weights, resampled_weights(GROUPS, 3))
    assert not np.array_equal(weights, resampled_weights(GROUPS, 4))


def test_samples_of_a_seed_stay_as_they_were() -> None:
    """Published figures rest on them."""
    random = np.random.default_rng(0)
    members = [[1], [0, 2], [3]]
    expected = [
        [task for group in random.integers(3, size=3) for task in members[group]]
        for _ in range(SAMPLES)
    ]
    assert [draw.tolist() for draw in resamples(GROUPS, 0)] == expected
    drawn = np.random.default_rng(0).multinomial(3, [1 / 3] * 3, size=SAMPLES)[:, [1, 0, 1, 2]]
    expected_weights = drawn / drawn.sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(resampled_weights(GROUPS, 0), expected_weights)


def test_interval_keeps_infinity_as_a_value() -> None:
    assert interval([1.0] * 50 + [math.inf] * 50) == (1.0, math.inf)
    assert interval(range(1001)) == (25.0, 975.0)


def test_an_interpolated_end_lies_between_two_values() -> None:
    values = [0.0, 1.0]
    assert interval(values) == (0.0, 1.0)
    assert interval(values, interpolated=True) == pytest.approx((0.025, 0.975))


def test_a_statistic_has_interpolated_ends() -> None:
    values = np.random.default_rng(1).standard_normal(30)
    samples = resamples([str(task) for task in range(30)], 0)
    means = [float(values[sample].mean()) for sample in samples]
    found = with_interval(lambda index: float(values[index].mean()), samples)
    assert found == (float(values.mean()), *np.quantile(means, (0.025, 0.975)).tolist())
    assert found[1:] != interval(means)
