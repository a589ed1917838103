"""What errors on tasks left out decide."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from advisor.calibration import COVERAGE, best_weight, interval_offsets
from advisor.meta_model import WEIGHTS


@pytest.mark.parametrize(("count", "left_out"), [(1, 0), (6, 0), (38, 0), (39, 1), (99, 4)])
def test_offsets_are_conformal_ranks_of_the_first_recipes_errors(count: int, left_out: int) -> None:
    """With T tasks, T + 1 - ceil((T + 1) 0.95) errors lie beyond each end, but never below 0."""
    random = np.random.default_rng(0)
    predicted = random.uniform(0.5, 1.0, size=(count, 30))
    firsts = random.integers(30, size=count)
    predicted[np.arange(count), firsts] = 0.1
    errors = random.permutation(np.linspace(-0.2, 0.1, count)) if count > 1 else np.array([-0.2])
    outcomes = predicted + 7.0  # what the others' errors are is of no matter
    outcomes[np.arange(count), firsts] = 0.1 + errors
    low, high = interval_offsets(outcomes, predicted)
    ordered = np.sort(errors)
    assert low == pytest.approx(min(ordered[left_out], 0.0))
    assert high == pytest.approx(max(ordered[count - 1 - left_out], 0.0))


@pytest.mark.parametrize("count", [39, 60])
def test_the_interval_of_another_task_covers_at_least_the_nominal_share(count: int) -> None:
    """The promise of conformal prediction, over many draws of known tasks and one new one."""
    random = np.random.default_rng(1)
    errors = random.standard_normal((2000, count + 1)) ** 3
    covered = []
    for known in errors:
        outcomes = known[:count, None]
        low, high = interval_offsets(outcomes, np.zeros_like(outcomes))
        covered.append(low <= known[count] <= high)
    assert COVERAGE - 0.02 <= np.mean(covered) <= COVERAGE + 0.06


def test_the_share_of_the_correction_follows_its_worth() -> None:
    random = np.random.default_rng(0)
    regrets = random.uniform(size=(8, 30))
    smooth = regrets.mean(1, keepdims=True) + np.zeros_like(regrets)
    right = regrets - smooth
    chosen = partial(best_weight, regrets, smooth, weights=WEIGHTS, groups="aabcdefg")
    for weight in WEIGHTS[1:]:
        assert chosen(right / weight) == weight
    noise = 0.3 * random.standard_normal(regrets.shape)
    assert chosen(noise) == 0.0, "not better beyond chance"
    assert chosen(-right) == 0.0


def test_what_one_data_set_says_often_counts_once() -> None:
    """A correction that is right on one data set's tasks and useless on the others."""
    random = np.random.default_rng(0)
    regrets = random.uniform(size=(12, 30))
    smooth = np.full_like(regrets, 0.5)
    boosted = 0.05 * random.standard_normal(regrets.shape)
    boosted[:8] = 0.3 * (regrets - smooth)[:8]
    ask = partial(best_weight, regrets, smooth, boosted, (0.0, 1.0))
    assert ask("abcdefghijkl") == 1.0
    assert ask("aaaaaaaaijkl") == 0.0
