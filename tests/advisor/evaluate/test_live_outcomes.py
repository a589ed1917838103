"""From trainings to outcomes: times to target, scales, and what a random draw is worth."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import synthetic

from advisor.evaluate.contenders import in_order
from advisor.evaluate.contest import Entry, Standing
from advisor.evaluate.outcomes import contest_scales, outcomes
from advisor.evaluate.results import FRESH_SEEDS, SEARCH_SEED, LiveTask
from knowledge_base.regret import Scale
from knowledge_base.state import State
from probes.errors import UserError
from probes.recipe.schema import Recipe

STEPS = 100
NAME = synthetic.TASKS[0]
TASK = LiveTask(
    name=NAME, group="g", family="mlp", steps=STEPS, seconds=1.0, target=0.5, noise=0.0
)  # fmt: skip
SCALES = (Scale(0.1, 2.0), Scale(0.2, 2.0))
RECIPES = tuple(Recipe.parse({"optimizer": {"name": "adamw", "lr": rate}}) for rate in (1e-3, 1e-2))


def curve(*points: tuple[int, float], passes: float | None = None, **more: Any) -> dict[str, Any]:
    steps = points[-1][0]
    return {
        "steps": steps, "passes": float(steps) if passes is None else passes,
        "final": points[-1][1], "diverged": False,
        "curve_steps": tuple(step for step, _ in points),
        "curve_validation": tuple(loss for _, loss in points), **more,
    }  # fmt: skip


def run(recipe: Recipe, seed: int, final: float, test: float, **more: Any) -> dict[str, Any]:
    points = ((0, 2.0), (10, 1.0), (STEPS, final))
    return {
        **curve(*points), "task": NAME, "recipe": recipe.key, "seed": seed, "initial": 2.0,
        "test": test, "role": "searched", "seconds_per_step": 0.02, **more,
    }  # fmt: skip


def entry(**more: Any) -> Entry:
    standings = [Standing(1, 0.5, RECIPES[0], 2.0), Standing(2, 1.5, RECIPES[1])]
    start = partial(in_order, RECIPES, STEPS)
    return Entry(NAME, "one", 0, STEPS, start, standings=standings, **more)


def test_a_standing_counts_by_its_recipe_on_fresh_seeds() -> None:
    state = State()
    for recipe, shift in zip(RECIPES, (0.2, 0.0), strict=True):
        state.add("run", run(recipe, SEARCH_SEED, 0.1, 0.1))  # what it was chosen by
        for place, seed in enumerate(FRESH_SEEDS):
            state.add("run", run(recipe, seed, 0.2 + shift, 0.3 + shift + place / 10))
    state.add("run", run(RECIPES[1], FRESH_SEEDS[0], 0.2, 0.3, diverged=True))
    first, second = outcomes([entry()], state, {NAME: TASK}, {NAME: SCALES})
    assert (first.runs, first.passes, first.recipe) == (1, 0.5, RECIPES[0].key)
    assert first.validation == pytest.approx([SCALES[0].regret(0.4)] * 3)
    assert first.test == pytest.approx([SCALES[1].regret(0.5 + place / 10) for place in range(3)])
    assert (second.test[0], second.validation[0], second.to_target[0]) == (1.0, 1.0, 1.0)
    assert second.to_target[1] < 1.0


def test_probing_counts_towards_the_target() -> None:
    state = State()
    for recipe in RECIPES:
        for seed in FRESH_SEEDS:
            state.add("run", run(recipe, seed, 0.2, 0.3))
    bare, _ = outcomes([entry()], state, {NAME: TASK}, {NAME: SCALES})
    probed, _ = outcomes([entry(probed=0.1)], state, {NAME: TASK}, {NAME: SCALES})
    assert probed.to_target == pytest.approx([share + 0.1 for share in bare.to_target])
    late, _ = outcomes([entry(probed=0.95)], state, {NAME: TASK}, {NAME: SCALES})
    assert late.to_target == (1.0,) * 3


def test_seconds_to_the_target_are_passes_at_the_pace_of_the_training() -> None:
    def timed(**probing: float) -> tuple[float, ...] | None:
        state = State()
        for recipe in RECIPES:
            for place, seed in enumerate(FRESH_SEEDS):
                # two passes a step: 0.01 s a pass, 0.02 s, 0.03 s
                pace = {"passes": 2.0 * STEPS, "seconds_per_step": 0.02 * (place + 1)}
                state.add("run", run(recipe, seed, 0.2, 0.3, **pace))
        first, second = outcomes([entry(**probing)], state, {NAME: TASK}, {NAME: SCALES})
        assert (first.seconds, second.seconds) == (2.0, None)
        shares.append(first.to_target[0])
        return first.seconds_to_target

    shares: list[float] = []
    bare = timed()
    assert bare == pytest.approx([shares[0] * STEPS * 0.01 * (place + 1) for place in range(3)])
    # four seconds of probing, and the last tenth of the budget or one step
    assert timed(probed=0.9, probed_seconds=4.0) == pytest.approx([4.1, 4.2, 4.3])
    assert timed(probed=2.0, probed_seconds=4.0) == pytest.approx([4.01, 4.02, 4.03])
    assert timed(probed=0.1, probed_seconds=math.nan) is None


def test_a_miss_counts_with_the_whole_budget_and_without_a_clock_not_at_all() -> None:
    state = State()
    for recipe, pace in zip(RECIPES, (0.02, math.nan), strict=True):
        for seed in FRESH_SEEDS:
            state.add("run", run(recipe, seed, 0.9, 0.9, seconds_per_step=pace, diverged=True))
    first, second = outcomes([entry()], state, {NAME: TASK}, {NAME: SCALES})
    assert first.seconds_to_target == pytest.approx((0.02 * STEPS,) * 3)
    assert second.seconds_to_target is None


def test_a_result_that_is_gone_is_not_taken_for_a_bad_one() -> None:
    state = State()
    for seed in FRESH_SEEDS:
        state.add("run", run(RECIPES[0], seed, 0.2, 0.3))
    with pytest.raises(UserError, match="with every training"):
        outcomes([entry()], state, {NAME: TASK}, {NAME: SCALES})


def test_what_was_never_trained_is_untrained() -> None:
    state = State()
    for seed in FRESH_SEEDS:
        state.add("run", run(RECIPES[1], seed, 0.2, 0.3))
    state.add("refused", {"task": NAME, "recipe": RECIPES[0].key, "reason": "a test"})
    first, _ = outcomes([entry()], state, {NAME: TASK}, {NAME: SCALES})
    assert (first.validation, first.test, first.to_target) == ((1.0,) * 3,) * 3
    assert first.seconds_to_target is None


def test_random_draws_count_by_their_expectation() -> None:
    state = State()
    state.add("run", run(RECIPES[0], SEARCH_SEED, 0.4, 0.3))
    state.add("run", run(RECIPES[1], SEARCH_SEED, 0.2, 0.5))
    drawn = entry(resampled=True)
    drawn.standings = [Standing(1, 0.5, RECIPES[0], 2.0), Standing(2, 1.5, RECIPES[1], 4.0)]
    one, two = outcomes([drawn], state, {NAME: TASK}, {NAME: SCALES})
    regrets = [SCALES[1].regret(0.3), SCALES[1].regret(0.5)]
    assert one.test == pytest.approx((sum(regrets) / 2,))
    assert two.test == pytest.approx((regrets[1],)), "the best of both on validation"
    assert two.validation == pytest.approx((SCALES[0].regret(0.2),))
    assert (one.passes, two.passes, one.recipe) == (1.0, 2.0, "")
    assert (one.seconds, two.seconds) == (3.0, 6.0)
    assert two.seconds_to_target == pytest.approx([two.to_target[0] * STEPS * 0.02])


def test_the_scale_knows_the_knowledge_base_and_fresh_seeds_alone(base: Path) -> None:
    state = State()
    known = contest_scales(state, [TASK], base)[NAME]
    for seed in FRESH_SEEDS:
        state.add("run", run(RECIPES[0], seed, 0.01, 0.02))
    for seed in (SEARCH_SEED, 1, 2):
        state.add("run", run(RECIPES[1], seed, 0.001, 0.002))
    validation, test = contest_scales(state, [TASK], base)[NAME]
    assert (validation.best, test.best, test.best_recipe) == (0.01, 0.02, RECIPES[0].key)
    assert known[0].best > 0.01
    assert known[0].untrained == pytest.approx(validation.untrained)
