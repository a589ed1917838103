"""The expected gain of one more trial: where it is large, where it is small, what is not told."""

from __future__ import annotations

import math

import numpy as np
import pytest

from advisor.expected_gain import LEAST, expected_gains
from probes.recipe.schema import Recipe

RATES = np.geomspace(1e-4, 1.0, 9)


def at(rate: float) -> Recipe:
    return Recipe.parse({"optimizer": {"name": "adamw", "lr": float(rate)}, "schedule": "cosine"})


def expected_gain(
    recipes: list[Recipe], losses: list[float], offered: list[Recipe]
) -> float | None:
    """Of the most promising one."""
    gains = expected_gains(recipes, losses, offered)
    return None if gains is None else float(gains.max())


def bowl(rate: float, bottom: float = 0.01) -> float:
    return float(0.1 * (1.0 + np.log10(rate / bottom) ** 2))


def test_a_recipe_between_the_good_ones_promises_more_than_one_beyond_the_bad() -> None:
    tried = [at(rate) for rate in RATES if abs(rate - 0.01) > 1e-6]
    losses = [bowl(recipe.optimizer.number("lr")) for recipe in tried]
    gains = expected_gains(tried, losses, [at(0.01), at(1e-4 * 1.05), at(0.95)])
    assert gains is not None
    assert gains[0] > 3 * max(gains[1:])
    assert 0.05 < gains[0] < 0.5  # the bottom lies 24 % below the best tried


def test_where_all_is_known_little_is_to_be_gained() -> None:
    tried = [at(rate) for rate in np.geomspace(1e-3, 0.1, 25)]
    losses = [bowl(recipe.optimizer.number("lr")) for recipe in tried]
    gain = expected_gain(tried, losses, [at(0.0101), at(0.05)])
    assert gain is not None
    assert 0 <= gain < 0.005


def test_the_unit_of_the_loss_does_not_matter() -> None:
    tried = [at(rate) for rate in RATES]
    losses = [bowl(recipe.optimizer.number("lr"), 0.02) for recipe in tried]
    small = expected_gain(tried, losses, [at(0.02)])
    large = expected_gain(tried, [1000 * loss for loss in losses], [at(0.02)])
    assert small == pytest.approx(large)


@pytest.mark.parametrize("worst", [math.inf, 1e30])
def test_a_diverged_trial_is_one_that_is_merely_bad(worst: float) -> None:
    tried = [at(rate) for rate in RATES]
    losses = [bowl(recipe.optimizer.number("lr")) for recipe in tried[:-1]]
    gain = expected_gain(tried, [*losses, worst], [at(0.007)])
    assert gain is not None
    assert 0 <= gain < 0.2


def test_losses_may_be_negative_or_all_alike() -> None:
    tried = [at(rate) for rate in RATES]
    for losses in ([bowl(rate) - 1.0 for rate in RATES], [0.5] * len(RATES), [0.0] * len(RATES)):
        gain = expected_gain(tried, losses, [at(0.02)])
        assert gain is not None
        assert 0 <= gain < 1


@pytest.mark.parametrize(
    ("count", "bad", "offers"), [(LEAST - 1, 0, 1), (LEAST + 1, 2, 1), (LEAST + 1, 0, 0)]
)
def test_too_little_tells_nothing(count: int, bad: int, offers: int) -> None:
    tried = [at(rate) for rate in RATES[:count]]
    losses = [bowl(rate) for rate in RATES[: count - bad]] + [math.inf] * bad
    assert expected_gain(tried, losses, [at(0.02)] * offers) is None


@pytest.mark.parametrize("bad", [math.inf, 1e30])
def test_most_trials_may_have_diverged(bad: float) -> None:
    tried = [at(rate) for rate in np.geomspace(1e-4, 1.0, 12)]
    losses = [bowl(recipe.optimizer.number("lr")) for recipe in tried[:5]] + [bad] * 7
    gain = expected_gain(tried, losses, [at(0.007)])
    assert gain is not None
    assert 0 <= gain < 0.5
