"""What a run is worth: its end result, or its time to the target, and how the two are ordered."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from advisor.refine_objective import (
    DIVERGED,
    FAILED,
    EndResult,
    Objective,
    TimeToTarget,
    pooled,
    time_of,
)
from probes.recipe.schema import Recipe
from probes.run import Point, Run

RECIPE = Recipe.parse({"optimizer": {"name": "adamw", "lr": 0.01}})
STEPS, BATCH, TARGET = 100, 16, 0.5
DEAR = 3.0
"""What a pass by any other optimizer than AdamW takes."""
losses = st.floats(1e-6, 1e6)


def timed(target: float = TARGET) -> TimeToTarget:
    return TimeToTarget(
        target, STEPS, BATCH, lambda recipe: 1.0 if recipe.optimizer.name == "adamw" else DEAR
    )


def run(
    points: Sequence[tuple[int, float]], *, final: float | None = None, diverged: bool = False,
    passes_per_step: float = 1.0,
) -> Run:  # fmt: skip
    curve = tuple(Point(step, 0.0, {"loss": loss}) for step, loss in points)
    steps = points[-1][0]
    return Run(
        initial=curve[0].validation, final={"loss": points[-1][1] if final is None else final},
        test=None, curve=curve, steps=steps, passes=steps * passes_per_step, seconds=1.0,
        seconds_per_step=0.01, peak_memory=0, diverged=diverged, model=nn.Identity(),
    )  # fmt: skip


def value(*points: tuple[int, float], objective: Objective | None = None) -> float:
    return (objective or timed()).judge(run([(0, 4.0), *points]), RECIPE).value


def test_an_end_result_is_the_final_loss() -> None:
    judged = EndResult().judge(run([(0, 4.0), (50, 0.2), (100, 0.3)]), RECIPE)
    assert (judged.value, judged.loss, judged.to_target) == (0.3, 0.3, None)
    for bad in (run([(0, 4.0), (9, 1.0)], diverged=True), run([(0, 4.0), (9, math.nan)])):
        assert EndResult().judge(bad, RECIPE) == FAILED
        assert timed().judge(bad, RECIPE) == FAILED


def test_a_time_is_the_share_of_the_budget_until_the_target() -> None:
    judged = timed().judge(run([(0, 4.0), (20, 1.0), (40, TARGET), (100, 0.1)]), RECIPE)
    assert judged.to_target == judged.value == pytest.approx(0.4)
    half = timed().judge(run([(0, 4.0), (40, TARGET)], passes_per_step=0.5), RECIPE)
    assert half.value == pytest.approx(0.2), "half the batch, half the samples"
    assert timed().judge(run([(0, TARGET), (1, 0.4)]), RECIPE).value == 0.0
    early = run([(0, 4.0), (30, 1.0)], final=0.4)
    assert timed().judge(early, RECIPE).to_target == pytest.approx(0.3), "its best weights did"


def test_a_run_that_is_stopped_at_the_target_tells_the_loss_it_had_there() -> None:
    restored = run([(0, 4.0), (40, 0.45)], final=0.7)  # early stopping kept older weights
    assert timed().judge(restored, RECIPE).loss == 0.45


def test_what_steps_take_counts() -> None:
    soap = RECIPE.with_(optimizer="soap")
    curve = run([(0, 4.0), (20, TARGET)])
    assert timed().judge(curve, soap).value == pytest.approx(DEAR * 0.2)
    late = timed().judge(run([(0, 4.0), (90, TARGET)]), soap)
    assert 1.0 < late.value < 2.0
    assert late.to_target == pytest.approx(0.9)
    assert time_of(late.value) == pytest.approx(DEAR * 0.9)


@given(st.integers(1, 99), st.floats(1e-3, TARGET), losses, st.sampled_from([1.0, DEAR]))
def test_who_reaches_the_target_is_before_all_who_miss_it(
    step: int, reached: float, end: float, dear: float
) -> None:
    assume(end > TARGET)
    recipe = RECIPE if dear == 1.0 else RECIPE.with_(optimizer="soap")
    found = timed().judge(run([(0, 4.0), (step, reached)]), recipe).value
    assert found < 2.0 <= value((100, end)) < DIVERGED
    assert time_of(value((100, end))) is None


@given(losses, losses)
def test_those_who_miss_are_ordered_by_their_end(one: float, other: float) -> None:
    assume(min(one, other) > TARGET)
    assert (one < other) or value((100, one)) >= value((100, other))
    assert (one > other) or value((100, one)) <= value((100, other))


@given(st.floats(0.0, 50.0), st.floats(0.0, 50.0))
def test_a_longer_time_is_a_higher_value_and_can_be_read_back(one: float, other: float) -> None:
    def of(time: float) -> float:
        objective = TimeToTarget(TARGET, STEPS, BATCH, lambda recipe: time)
        return objective.judge(run([(0, 4.0), (100, TARGET)]), RECIPE).value

    assert (one < other) <= (of(one) <= of(other))
    assert time_of(of(one)) == pytest.approx(one)


@pytest.mark.parametrize("target", [-2.0, 0.0, 1e-12])
def test_targets_below_zero_or_near_it_order_likewise(target: float) -> None:
    objective = timed(target)
    low, high = (value((100, target + far), objective=objective) for far in (0.5, 1.5))
    assert 2.0 < low < high < DIVERGED
    assert value((50, target), objective=objective) < 1.0


def test_a_run_is_over_at_the_target_and_never_before_the_end_without_one() -> None:
    at, above = (Point(3, 0.0, {"loss": loss}) for loss in (TARGET, TARGET + 1e-6))
    assert timed().settled(at)
    assert not timed().settled(above)
    assert not timed().settled(Point(3, 0.0, {"loss": math.nan}))
    assert not EndResult().settled(at)


@pytest.mark.parametrize(
    ("step", "best", "given_up"),
    [(10, 0.25, False), (50, 0.25, False), (51, 0.25, True), (99, 0.25, True), (20, 0.1, False),
     (21, 0.1, True), (100, 0.5, False), (100, 0.49, True), (100, 1.0, False), (100, 1.5, False)],
)  # fmt: skip
def test_only_what_takes_twice_as_long_as_the_best_is_given_up(
    step: int, best: float, given_up: bool
) -> None:
    assert timed().hopeless(RECIPE, step, best) is given_up
    assert not EndResult().hopeless(RECIPE, step, best)


@pytest.mark.parametrize(
    ("recipe", "last"),
    [(RECIPE.with_(optimizer="soap"), 16), (RECIPE.with_(batch_size=8), 100),
     (RECIPE.with_(batch_size=32), 25)],
    ids=["three times as dear", "half the batch", "twice the batch"],
)  # fmt: skip
def test_what_counts_is_the_time_and_not_the_steps(recipe: Recipe, last: int) -> None:
    """The best took 0.25 of the budget: whoever is not there by 0.5 of it is given up."""
    assert not timed().hopeless(recipe, last, 0.25)
    assert timed().hopeless(recipe, last + 1, 0.25)


@pytest.mark.parametrize("best", [2.0, 3.5, DIVERGED])
def test_nobody_is_given_up_before_somebody_reached_the_target(best: float) -> None:
    assert not timed().hopeless(RECIPE, 100, best)


def test_what_was_given_up_took_at_least_so_long() -> None:
    assert timed().least(RECIPE, 30) == pytest.approx(0.3)
    assert timed().least(RECIPE.with_(batch_size=4, optimizer="soap"), 40) == pytest.approx(
        DEAR * 0.1
    )


def test_seeds_are_pooled() -> None:
    assert pooled([2.0, 8.0, 1.0]) == 2.0
    assert pooled([1.0, 2.0, 4.0, 8.0]) == 4.0
    assert pooled([0.1, 2.5]) == 2.5, "there is no time between a time and a miss"
    assert pooled([0.5, DIVERGED, 0.4, DIVERGED]) == DIVERGED, "nor a loss beside none"
    assert pooled([0.5, DIVERGED, 0.4]) == 0.5


@pytest.mark.parametrize(
    ("worth", "said"),
    [(0.25, "target after 0.25 of a full training by AdamW"), (DIVERGED, "diverged"),
     (2.5, "target missed, 0.75 at the end"), (1.5, "target after 2 of a full training")],
)  # fmt: skip
def test_a_value_in_words(worth: float, said: str) -> None:
    assert timed().shown(worth).startswith(said)
    assert EndResult().shown(DIVERGED) == "diverged"
