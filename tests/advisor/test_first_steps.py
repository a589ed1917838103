"""First steps: who begins, what it costs and who is moved down; by tables and for real."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from advisor import race_run
from advisor.advice import Candidate, Cost, Expected
from advisor.first_steps import (
    FALL,
    LEAST_STEPS,
    MOST_SHARE,
    SAMPLES,
    fallen_behind,
    first_steps,
    has_risen,
)
from advisor.goal import Goal
from advisor.meta_model import MetaModel, outcome_of
from advisor.race import MOST, WEIGHT
from advisor.race_run import Left, Race
from advisor.ranking import Ranked
from advisor.recommender import recommend
from probes.profile import Profile
from probes.recipe.schema import Recipe
from probes.task import Task

STEPS, BATCH, HELD = 400, 16, 80
VALIDATED = 2 * SAMPLES / BATCH / 3
INITIAL = 2.0
INPUTS = torch.randn(320, 5, generator=torch.Generator().manual_seed(0))
CLASSES = (INPUTS[:, 0] > 0).long() + (INPUTS[:, 1] > 0).long()
NEAR = (0.10, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16)
ENOUGH = Left(passes=5 * (LEAST_STEPS + VALIDATED))


def a_task(model: Any = None) -> Task:
    return Task(
        model or nn.Linear(5, 3), (INPUTS[:-HELD], CLASSES[:-HELD]),
        (INPUTS[-HELD:], CLASSES[-HELD:]), steps=STEPS, batch_size=BATCH,
    )  # fmt: skip


def recipe(place: int, **more: Any) -> Recipe:
    plain = {"optimizer": {"name": "adamw", "lr": 1e-3 * (1 + place)}, "schedule": "constant"}
    return Recipe.parse(plain | more)


def ranked(recipes: Sequence[Recipe] = (), scores: Sequence[float] = NEAR) -> Ranked:
    made = recipes or [recipe(place) for place in range(len(scores))]
    entries = [
        Candidate(
            recipe=one, expected=Expected(score=score, low=0.0, high=1.0), evidence=("known",),
            cost=Cost(seconds_per_step=0.01, passes_per_step=one.passes_per_step, state_bytes=0,
                      step_ratio=1.0),
        )
        for one, score in zip(made, scores, strict=False)
    ]  # fmt: skip
    return Ranked(tuple(entries), tuple(scores[: len(entries)]), False, "predicted")


class Begun:
    """Trainings by a table: the n-th that begins has the n-th loss after its first steps."""

    def __init__(self, model: MetaModel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.model, self.losses = model, list[float]()
        self.ran: list[tuple[Recipe, int]] = []
        monkeypatch.setattr(race_run, "train", self.train)

    def train(self, task: Task, one: Recipe, **how: Any) -> Any:
        assert how["evaluate"] == "validation"
        assert (how["points"], how["validation_limit"]) == (0, SAMPLES)
        loss, steps = self.losses[len(self.ran)], how["stop_after"]
        self.ran.append((one, steps))
        if math.isnan(loss):
            raise RuntimeError("out of memory\nand more")
        size = one.batch_size or BATCH
        return SimpleNamespace(
            initial={"loss": INITIAL}, final={"loss": loss}, diverged=math.isinf(loss),
            passes=steps * one.passes_per_step * size / BATCH,
        )  # fmt: skip

    def __call__(
        self, ranking: Ranked, losses: Sequence[float], left: Left = ENOUGH, goal: str = "best",
        seconds_per_pass: float | None = 0.01,
    ) -> tuple[Ranked, float, float]:  # fmt: skip
        self.losses = [*losses]
        profile = Profile(tier=16, passes=16, seconds=1, seconds_per_pass=seconds_per_pass, seed=0,
                          device="cpu", values={}, missing={})  # fmt: skip
        aim = Goal(goal, None)  # type: ignore[arg-type]
        return first_steps(a_task(), ranking, aim, self.model, profile, left, seed=3,
                           say=lambda message: None)  # fmt: skip


@pytest.fixture
def begun(model: MetaModel, monkeypatch: pytest.MonkeyPatch) -> Begun:
    return Begun(model, monkeypatch)


def places(after: Ranked, before: Ranked) -> list[int]:
    keys = [one.recipe.key for one in before.candidates]
    return [keys.index(one.recipe.key) for one in after.candidates]


@pytest.mark.parametrize(
    ("losses", "setbacks"),
    [
        ((1.0, 1.0), (0, 0)),
        ((1.0, 1.9), (0, 0.9)),
        ((2.0 - FALL, 1.0), (0, 0)),  # exactly at the line
        ((2.2, 1.0), (1, 0)),
        ((math.inf, 1.0), (1, 0)),
        ((2.1, 2.2), (0, 0)),  # none has fallen: that tells of the steps, not of a recipe
        ((math.inf, math.inf), (0, 0)),
        ((), ()),
    ],
)
def test_who_falls_behind(losses: Sequence[float], setbacks: Sequence[float]) -> None:
    runs = [Race(INITIAL, loss, 5.0, 0.1) for loss in losses]
    assert fallen_behind(runs) == pytest.approx(list(setbacks))


@pytest.mark.parametrize("bad", [1.95, math.inf, math.nan])
def test_who_hardly_learns_is_moved_down(begun: Begun, bad: float) -> None:
    before = ranked()
    after, passes, seconds = begun(before, [bad, 1.0, 1.2, 1.1, 1.3])
    assert places(after, before) == [1, 2, 3, 4, 5, 6, 0]
    last = after.candidates[-1]
    setback = 0.95 if bad == 1.95 else 1.0
    gained = outcome_of(np.array([after.scores[-1]])) - outcome_of(np.array([NEAR[0]]))
    assert gained == pytest.approx(WEIGHT * setback)
    assert last.expected.score == pytest.approx(min(after.scores[-1], 1.0))
    assert "first 3 steps" in last.evidence[-1]
    assert "1 of the 5 that were begun" in after.reason
    spent = 5 * (LEAST_STEPS + VALIDATED)
    assert passes == pytest.approx(spent), "what failed is charged like the others"
    assert seconds >= 0


def test_a_little_better_is_nothing(begun: Begun) -> None:
    before = ranked()
    after, passes, _ = begun(before, [1.6, 1.0, 1.2, 1.1, 1.3])
    assert places(after, before) == list(range(7))
    assert after.scores == before.scores
    assert after.reason == "predicted"
    assert passes > 0
    assert all("in its first" in one.evidence[-1] for one in after.candidates[:5])
    assert after.candidates[5] == before.candidates[5]


@pytest.mark.parametrize(
    ("passes", "count", "steps"),
    [
        (2 * (LEAST_STEPS + VALIDATED) - 0.1, 0, 0),
        (2 * (LEAST_STEPS + VALIDATED), 2, LEAST_STEPS),
        (4 * (LEAST_STEPS + VALIDATED) + 0.1, 4, LEAST_STEPS),
        (5 * (LEAST_STEPS + 1 + VALIDATED), 5, LEAST_STEPS + 1),
        (1e6, MOST, MOST_SHARE * STEPS),
    ],
)
def test_the_budget_decides_how_many_and_how_far(
    begun: Begun, passes: float, count: int, steps: int
) -> None:
    _, spent, _ = begun(ranked(), [1.0] * MOST, Left(passes=passes))
    assert [taken for _, taken in begun.ran] == [steps] * count
    assert spent <= passes


def test_a_budget_in_seconds_goes_by_the_measured_pass(begun: Begun) -> None:
    left = Left(seconds=0.01 * 5 * (LEAST_STEPS + VALIDATED) + 1e-6)
    begun(ranked(), [1.0] * MOST, left)
    assert [taken for _, taken in begun.ran] == [LEAST_STEPS] * 5
    begun.ran.clear()
    begun(ranked(), [], left, seconds_per_pass=None)
    assert begun.ran == [], "nothing was timed: nobody knows what would fit"


def test_dear_steps_and_own_batches_are_charged(begun: Begun) -> None:
    dear = Recipe.parse({"optimizer": {"name": "sam", "lr": 0.1}, "schedule": "constant"})
    small = recipe(1, batch_size=BATCH // 4)
    _, spent, _ = begun(ranked([dear, small]), [1.0, 1.0], Left(passes=1e6))
    steps = int(MOST_SHARE * STEPS)
    assert [taken for _, taken in begun.ran] == [steps, 4 * steps]
    assert spent == pytest.approx((dear.passes_per_step + 1) * steps + 2 * VALIDATED)


def test_a_schedule_that_has_not_risen_is_not_judged(begun: Begun) -> None:
    rising = recipe(1, schedule={"name": "linear", "warmup": 0.5})
    before = ranked([recipe(0), rising, recipe(2)])
    after, _, _ = begun(before, [1.95, 1.0])
    assert [one for one, _ in begun.ran] == [recipe(0), recipe(2)]
    assert places(after, before) == [1, 2, 0]
    assert after.candidates[0] == before.candidates[1]


@pytest.mark.parametrize(
    ("schedule", "risen"),
    [
        ("constant", True),
        ("cosine", True),
        ("one_cycle", False),
        ({"name": "linear", "warmup": 0.5}, False),
        ({"name": "linear", "warmup": 0.01}, True),
    ],
)
def test_risen(schedule: Any, risen: bool) -> None:
    assert has_risen(recipe(0, schedule=schedule), 10, STEPS) is risen


def test_fastest_begins_nothing(begun: Begun) -> None:
    before = ranked()
    assert begun(before, [], goal="fastest") == (before, 0.0, 0.0)


def test_for_real(model: MetaModel) -> None:
    before = ranked([recipe(0, optimizer={"name": "adamw", "lr": 1e-6}), recipe(29)])
    profile = Profile(tier=16, passes=16, seconds=1, seconds_per_pass=0.01, seed=0,
                      device="cpu", values={}, missing={})  # fmt: skip
    after, passes, seconds = first_steps(
        a_task(), before, Goal("best", None), model, profile, Left(passes=60.0), seed=0,
        say=lambda message: None,
    )  # fmt: skip
    assert places(after, before) == [1, 0]
    assert "hardly any fall" in after.candidates[1].evidence[-1]
    assert 0 < passes <= 60
    assert seconds > 0


@pytest.mark.slow
def test_recommend_keeps_its_budget_and_tells() -> None:
    said: list[str] = []
    advice = recommend(a_task(), seed=1, progress=said.append)
    assert any(line.startswith("the first ") for line in said)
    assert 16 < advice.probe.passes <= 0.1 * STEPS
    lines = [line for one in advice.ranking[:5] for line in one.evidence]
    assert any(" in its first " in line for line in lines)
