"""Normalized regret: its ends, its order, and the task's scales."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from knowledge_base.regret import Scale, scales

LOSSES = st.floats(-100, 100)
POSITIVE = st.floats(1e-6, 1e3)


@st.composite
def scale_of_any_sign(draw: st.DrawFn) -> Scale:
    best, gap = draw(LOSSES), draw(st.floats(1e-3, 100))
    return Scale(best, best + gap)


@given(scale_of_any_sign())
def test_ends(scale: Scale) -> None:
    assert scale.regret(scale.best) == pytest.approx(0.0, abs=1e-12)
    assert scale.regret(scale.untrained) == pytest.approx(1.0)


@given(st.floats(0, 1e-290), st.floats(1e-3, 100), st.floats(0, 1))
def test_a_loss_of_almost_nothing(best: float, span: float, share: float) -> None:
    assert 0.0 <= Scale(best, best + span).regret(best + share * span) <= 1.0


@given(scale_of_any_sign(), LOSSES, LOSSES)
def test_monotone_and_clipped(scale: Scale, first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert 0.0 <= scale.regret(low) <= scale.regret(high) <= 1.0
    assert scale.regret(scale.best - 1.0) == 0.0
    assert scale.regret(scale.untrained + 1.0) == 1.0


@given(scale_of_any_sign(), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_what_is_not_finite_is_the_worst(scale: Scale, loss: float) -> None:
    assert scale.regret(loss) == 1.0


@given(POSITIVE, POSITIVE, POSITIVE, st.floats(1e-3, 1e3))
def test_units_of_a_positive_loss_do_not_matter(
    best: float, untrained: float, loss: float, unit: float
) -> None:
    assume(untrained > 1.01 * best)
    scaled = Scale(best * unit, untrained * unit).regret(loss * unit)
    assert scaled == pytest.approx(Scale(best, untrained).regret(loss), abs=1e-6)


@given(st.floats(0.1, 10), st.floats(-100, -0.1), st.floats(0, 1))
def test_negative_losses_are_shifted(gap: float, best: float, share: float) -> None:
    """The lowest known loss lies a twentieth of the range above zero, wherever the loss lies."""
    loss = best + share * gap
    expected = math.log((loss - best + 0.05 * gap) / (0.05 * gap)) / math.log(1.05 / 0.05)
    assume(best + gap > best)
    assert Scale(best, best + gap).regret(loss) == pytest.approx(expected, abs=1e-6)


def test_on_an_example() -> None:
    scale = Scale(best=0.1, untrained=10.0)
    assert [scale.regret(loss) for loss in (0.05, 0.1, 1.0, 10.0, 20.0)] == pytest.approx(
        [0.0, 0.0, 0.5, 1.0, 1.0]
    )


@pytest.mark.parametrize("untrained", [0.5, 0.4, -1.0])
def test_a_task_that_nothing_trains(untrained: float) -> None:
    scale = Scale(best=0.5, untrained=untrained)
    assert scale.regret(0.5) == 0.0
    assert scale.regret(0.6) == 1.0
    assert scale.regret(math.inf) == 1.0


def run(recipe: str, seed: int, final: float, test: float, **fields: Any) -> dict[str, Any]:
    return {"task": "a", "recipe": recipe, "seed": seed, "initial": 4.0, "final": final,
            "test": test, "diverged": False, **fields}  # fmt: skip


RUNS = [
    *(run("good", seed, final, test) for seed, final, test in
      [(0, 0.5, 0.7), (1, 0.4, 0.6), (2, 0.6, 2.0)]),
    *(run("unsteady", seed, final, 0.1) for seed, final in [(0, 0.1), (1, 0.9), (2, 0.9)]),
    run("lucky", 0, 0.01, 0.01),
]  # fmt: skip


def test_best_is_the_best_median_of_three_seeds_on_validation() -> None:
    validation, test = scales(RUNS)["a"]
    assert validation.best_recipe == test.best_recipe == "good"
    assert (validation.best, test.best) == (0.5, 0.7), "the test loss chooses nothing"
    assert validation.untrained == test.untrained == 4.0
    assert validation.regret(0.01) == 0.0


def test_spread_between_seeds() -> None:
    validation, _ = scales(RUNS)["a"]
    found = []
    for recipe in ("good", "unsteady"):
        values = [validation.regret(r["final"]) for r in RUNS if r["recipe"] == recipe]
        mean = sum(values) / 3
        found.append(math.sqrt(sum((value - mean) ** 2 for value in values) / 2))
    assert validation.seed_spread == pytest.approx(sum(found) / 2)


def test_without_repeats_every_recipe_counts() -> None:
    validation, _ = scales([run("x", 0, 0.5, 0.5), run("y", 0, 0.3, 0.3)])["a"]
    assert (validation.best_recipe, validation.seed_spread) == ("y", 0.0)


def test_a_diverged_run_is_never_best() -> None:
    runs = [run("x", 0, 0.5, 0.5), run("y", 0, 0.3, 0.3, diverged=True),
            run("z", 0, math.nan, math.nan)]  # fmt: skip
    assert scales(runs)["a"][0].best_recipe == "x"


def test_a_task_on_which_all_diverged_has_the_worst_regret() -> None:
    validation, test = scales([run("x", 0, math.nan, math.nan, diverged=True)])["a"]
    for scale in (validation, test):
        assert scale.regret(math.nan) == 1.0
        assert scale.regret(1.0) == 0.0, "anything that trains is better than what is known"


def test_tasks_have_scales_of_their_own() -> None:
    found = scales([*RUNS, {**run("x", 0, 8.0, 8.0), "task": "b", "initial": 9.0}])
    assert set(found) == {"a", "b"}
    assert found["b"][0].best == 8.0


@pytest.mark.parametrize(
    ("best", "untrained"), [(0.1, 2.0), (0.0, 2.0), (-3.0, 1.0), (1e-7, 5.0)],
    ids=["plain", "zero", "negative", "tiny"],
)  # fmt: skip
@pytest.mark.parametrize("regret", [0.0, 0.05, 0.4, 1.0])
def test_a_regret_has_one_loss(best: float, untrained: float, regret: float) -> None:
    scale = Scale(best, untrained)
    assert scale.regret(scale.loss(regret)) == pytest.approx(regret, abs=1e-9)
    assert scale.log_range > 0.0


def test_the_range_of_a_positive_loss_is_the_log_of_its_ratio() -> None:
    assert Scale(0.1, 2.0).log_range == pytest.approx(math.log(20.0))
