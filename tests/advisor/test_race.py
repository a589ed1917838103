"""Races: which are run, what they cost, and what they change; on tables of losses and for real."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from advisor import Advice, race_run, recommend, recommender, shipped
from advisor import race as race_rule
from advisor.advice import Candidate, Cost, Expected
from advisor.budget import Budget
from advisor.goal import Goal
from advisor.meta_model import MetaModel, outcome_of, regret_of
from advisor.profiling import passes_for_profile, profile_within
from advisor.race import MOST, REACH, WEIGHT, race, setbacks
from advisor.race_run import SHARE, Left, Race, price_of
from advisor.ranking import Ranked
from probes.errors import UserError
from probes.profile import Profile
from probes.recipe.schema import Recipe
from probes.run import Point
from probes.task import Task

STEPS, BATCH, HELD = 400, 8, 24
VALIDATION = HELD / BATCH / 3
A_RACE = SHARE * STEPS + 2 * VALIDATION
INPUTS = torch.randn(120, 5, generator=torch.Generator().manual_seed(0))
CLASSES = (INPUTS[:, 0] > 0).long() + (INPUTS[:, 1] > 0).long()
INITIAL = 2.0
DIVERGED, FAILED, REFUSED = math.inf, -math.inf, math.nan
Answer = tuple[Ranked, float, float]


def recipe(place: int, **more: Any) -> Recipe:
    return Recipe.parse({"optimizer": {"name": "adamw", "lr": 1e-3 * (1 + place)}, **more})


def candidate(one: Recipe, score: float) -> Candidate:
    return Candidate(
        recipe=one, expected=Expected(score=score, low=0.0, high=1.0), evidence=("known",),
        cost=Cost(seconds_per_step=0.01, passes_per_step=one.passes_per_step, state_bytes=0),
    )  # fmt: skip


def ranked(scores: Sequence[float], recipes: Sequence[Recipe] | None = None) -> Ranked:
    made = recipes or [recipe(place) for place in range(len(scores))]
    entries = tuple(candidate(one, score) for one, score in zip(made, scores, strict=True))
    return Ranked(entries, tuple(scores), False, "predicted")


class Track:
    """Trainings by a table: the n-th recipe of the ranking ends at the n-th loss."""

    def __init__(self, model: MetaModel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.model, self.task = model, Task(
            nn.Linear(5, 3), (INPUTS[:-HELD], CLASSES[:-HELD]), (INPUTS[-HELD:], CLASSES[-HELD:]),
            steps=STEPS, batch_size=BATCH,
        )  # fmt: skip
        self.losses: Sequence[float] = ()
        self.ran: list[Recipe] = []
        self.clock = 0.0
        self.seconds = 1.0
        self.said: list[str] = []
        monkeypatch.setattr(race_run, "train", self.train)
        monkeypatch.setattr(race_run.time, "perf_counter", lambda: self.clock)

    def train(self, task: Task, one: Recipe, **how: Any) -> Any:
        assert how == {"seed": 3, "device": "cpu", "points": 0, "evaluate": "validation"}
        self.ran.append(one)
        self.clock += self.seconds
        loss = self.losses[len(self.ran) - 1]
        if loss == FAILED:
            raise RuntimeError("out of memory\nand more")
        if math.isnan(loss):
            raise UserError("a plain model", "another", "change it")
        steps = one.steps_for(STEPS, BATCH)
        done = 16 if loss == DIVERGED else steps
        points = [Point(step, math.nan, {"loss": INITIAL}) for step in (0, done)]
        return SimpleNamespace(
            initial={"loss": INITIAL}, final={"loss": 0.01 if loss == DIVERGED else loss},
            curve=tuple(points),
            diverged=loss == DIVERGED, passes=done * one.passes_per_step,
        )  # fmt: skip

    def __call__(
        self, ranking: Ranked, losses: Sequence[float], left: Left = Left(), goal: str = "best"
    ) -> Answer:
        self.losses = losses
        profile = Profile(tier=16, passes=16, seconds=1, seconds_per_pass=0.01, seed=0,
                          device="cpu", values={}, missing={})  # fmt: skip
        aim = Goal(goal, None)  # type: ignore[arg-type]
        return race(self.task, ranking, aim, self.model, profile, left, seed=3,
                    say=self.said.append)  # fmt: skip


@pytest.fixture
def track(model: MetaModel, monkeypatch: pytest.MonkeyPatch) -> Track:
    return Track(model, monkeypatch)


def order(answer: Answer, before: Ranked) -> list[int]:
    places = {one.recipe.key: place for place, one in enumerate(before.candidates)}
    return [places[one.recipe.key] for one in answer[0].candidates]


NEAR = (0.10, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16)


def test_the_first_five_race_in_their_order_and_the_best_leads(track: Track) -> None:
    before = ranked(NEAR)
    answer = track(before, (0.5, 0.4, 0.1, 0.4, 0.5))
    quarter = [one.recipe.with_(horizon=0.25) for one in before.candidates[:MOST]]
    assert track.ran == quarter
    assert len(track.said) == MOST
    assert order(answer, before) == [2, 5, 6, 1, 0, 3, 4], "what did not race stands as predicted"
    assert answer[1] == pytest.approx(MOST * A_RACE)
    assert answer[2] == pytest.approx(MOST * track.seconds)


def test_each_outcome_is_raised_by_its_setback_and_told(track: Track) -> None:
    before = ranked(NEAR[:3])
    losses = (0.2, 0.1, 0.4)
    found = track(before, losses)[0]
    away = [math.log(loss / 0.1) / math.log(INITIAL / 0.1) for loss in losses]
    expected = [(score + 0.05) * math.exp(2 * e) - 0.05
                for score, e in zip(NEAR[:3], away, strict=True)]  # fmt: skip
    assert sorted(found.scores) == pytest.approx(sorted(expected))
    for entry, score in zip(found.candidates, found.scores, strict=True):
        assert entry.expected.score == pytest.approx(score)
        assert entry.expected.low <= score <= entry.expected.high
        assert entry.evidence[0] == "known"
    assert "validation loss 0.1, the best of 3" in found.candidates[0].evidence[-1]
    assert "validation loss 0.2, 100.0% above the best of 3" in found.candidates[1].evidence[-1]
    assert "brought number 2 to the front" in found.reason
    assert found.reason.startswith("predicted; ")


def test_a_near_tie_leaves_the_first_in_front(track: Track) -> None:
    before = ranked((0.1, 0.2))
    answer = track(before, (0.101, 0.1))
    assert order(answer, before) == [0, 1]
    assert "left the first in front" in answer[0].reason
    assert answer[0].candidates[1].expected == before.candidates[1].expected, "it raced best"


@pytest.mark.parametrize(
    ("passes", "races"),
    [(0.1 * STEPS, 0), (2 * A_RACE - 1, 0), (2 * A_RACE, 2), (3 * A_RACE - 1, 2), (3 * A_RACE, 3),
     (9 * A_RACE, 5)],
)  # fmt: skip
def test_passes_buy_two_races_or_none(track: Track, passes: float, races: int) -> None:
    before = ranked(NEAR)
    answer = track(before, [0.3] * MOST, Left(passes=passes))
    assert len(track.ran) == races
    assert answer[1] == pytest.approx(races * A_RACE)
    assert answer[1] <= passes
    if not races:
        assert answer == (before, 0.0, 0.0)


def test_seconds_are_predicted_and_corrected_by_what_races_took(track: Track) -> None:
    predicted = 0.01 * A_RACE
    track.seconds = predicted
    track(ranked(NEAR), [0.3] * MOST, Left(seconds=3.5 * predicted))
    assert len(track.ran) == 3
    track.ran.clear()
    track.seconds = 2 * predicted
    track(ranked(NEAR), [0.3] * MOST, Left(seconds=5.5 * predicted))
    assert len(track.ran) == 2, "a third would fit as predicted, not as it is"


def test_without_a_measured_step_no_seconds_are_risked(track: Track) -> None:
    before = ranked(NEAR)
    blind = [
        one.model_copy(update={"cost": one.cost.model_copy(update={"seconds_per_step": None})})
        for one in before.candidates
    ]
    assert track(before._replace(candidates=tuple(blind)), [0.3] * 5, Left(seconds=60))[1] == 0
    assert track(before._replace(candidates=tuple(blind)), [0.3] * 5, Left(passes=900))[1] > 0


def beyond(score: float, by: float) -> float:
    return float(regret_of(outcome_of(np.asarray([score])) + by)[0])


@pytest.mark.parametrize(
    ("gap", "losses", "races"),
    [
        pytest.param(REACH + 0.05, (0.3, 0.3, 0.3), 0, id="the second is out of reach"),
        pytest.param(REACH - 0.05, (0.3, 0.3, 0.3), 3, id="in reach"),
    ],
)
def test_what_is_far_behind_is_not_raced(
    track: Track, gap: float, losses: Sequence[float], races: int
) -> None:
    scores = (0.1, beyond(0.1, gap), beyond(0.1, gap))
    track(ranked(scores), losses)
    assert len(track.ran) == races


def test_a_first_that_races_badly_brings_others_into_reach(track: Track) -> None:
    scores = (0.1, beyond(0.1, 0.5), beyond(0.1, 1.0))
    track(ranked(scores), (0.1, 0.11, 0.1))
    assert len(track.ran) == 2
    track.ran.clear()
    track(ranked(scores), (1.9, 0.1, 0.1))
    assert len(track.ran) == 3


@pytest.mark.parametrize("how", [DIVERGED, FAILED, REFUSED], ids=["diverged", "failed", "refused"])
def test_what_does_not_finish_goes_back(track: Track, how: float) -> None:
    before = ranked(NEAR)
    left = Left(passes=2 * A_RACE)
    answer = track(before, (how, 0.3), left)
    assert order(answer, before) == [1, 2, 3, 4, 5, 6, 0]
    last = answer[0].candidates[-1]
    word = {DIVERGED: "diverged", FAILED: "failed: out of memory"}.get(how, "failed: expected")
    assert word in last.evidence[-1]
    assert "\n" not in last.evidence[-1]
    assert last.expected.score == pytest.approx(min(beyond(NEAR[0], WEIGHT), 1.0))
    ended = 16 + 2 * VALIDATION if how == DIVERGED else A_RACE
    assert answer[1] == pytest.approx(ended + A_RACE), "a failed race is charged as a whole one"


def test_where_none_finishes_the_next_unraced_leads(track: Track) -> None:
    before = ranked(NEAR[:4])
    answer = track(before, (DIVERGED, FAILED), Left(passes=2 * A_RACE))
    assert order(answer, before) == [2, 3, 0, 1]


def test_a_race_saved_by_divergence_pays_for_another(track: Track) -> None:
    track(ranked(NEAR), (DIVERGED, 0.3, 0.3, 0.3), Left(passes=3.2 * A_RACE))
    assert len(track.ran) == 4


def test_a_portfolio_keeps_its_order_behind_the_races(track: Track) -> None:
    before = ranked((0.12, 0.3, 0.15, 0.25, 0.2))._replace(abstained=True)
    answer = track(before, (0.9, 0.1), Left(passes=2 * A_RACE))
    assert order(answer, before) == [1, 2, 3, 4, 0]
    assert answer[0].abstained


@pytest.mark.parametrize("scores", [NEAR, NEAR[:1]], ids=["fastest", "one candidate"])
def test_no_races(track: Track, scores: Sequence[float]) -> None:
    before = ranked(scores)
    answer = track(before, (), goal="fastest" if len(scores) > 1 else "best")
    assert answer == (before, 0.0, 0.0)
    assert not track.ran


LOSSES: list[tuple[str, Sequence[float], Sequence[float]]] = [
    ("on the log scale", (0.5, 1.0, 2.0), (0.0, 0.5, 1.0)),
    ("above the start", (0.5, 4.0), (0.0, 1.0)),
    ("none fell below the start", (2.5, 3.0), (0.0, 1.0)),
    ("none finished", (math.inf, math.inf), (1.0, 1.0)),
    ("below zero", (-1.0, -1.0 + 0.15, 2.0), (0.0, math.log(2) / math.log(21), 1.0)),
]


@pytest.mark.parametrize(("losses", "expected"), [row[1:] for row in LOSSES],
                         ids=[row[0] for row in LOSSES])  # fmt: skip
def test_setbacks(losses: Sequence[float], expected: Sequence[float]) -> None:
    races = [Race(INITIAL, loss, 1.0, 1.0) for loss in losses]
    assert setbacks(races) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("passes", "allowed"),
    [(100, 100), (565, 565), (566, 16), (600, 50), (1000, 100)],
    ids=["default", "races would leave no probe", "just", "60 %", "100 %"],
)
def test_the_profile_leaves_races_what_they_need(passes: float, allowed: float) -> None:
    assert passes_for_profile(passes, 1000, (0, 16, 64), lambda: 550.0) == allowed
    assert passes_for_profile(passes, 1000, (0,), lambda: 550.0) == passes


@pytest.mark.parametrize(("goal", "tier"), [("best", 16), ("fastest", 0)])
def test_races_are_left_what_they_need_and_the_soonest_waits_for_no_probe(
    goal: Any, tier: int
) -> None:
    task = Task(nn.Linear(5, 3), (INPUTS, CLASSES), steps=140, batch_size=BATCH)
    limit, say = Budget(1.0, None), [].append
    profile = profile_within(task, limit, (0, 16, 64), Goal(goal, None), "cpu", 0, 0.0, say).profile
    assert profile.tier == tier


@pytest.mark.parametrize(
    ("limit", "left"),
    [(Budget(0.6, None), Left(passes=584.0)), (Budget(None, 60.0), Left(seconds=56.0))],
    ids=["share", "seconds"],
)
def test_what_is_left_of_a_budget(
    monkeypatch: pytest.MonkeyPatch, limit: Budget, left: Left
) -> None:
    monkeypatch.setattr(race_run.time, "perf_counter", lambda: 14.0)
    assert Left.of(limit, 1000, 16.0, 10.0) == left


STOPS = {"early_stopping": {"patience": 40, "every": 0.05}}
WAYS: dict[str, tuple[dict[str, Any], int, float]] = {
    "plain": ({}, 29, 29),
    "half as long": ({"horizon": 0.5}, 14, 14),
    "two passes a step": ({"optimizer": "sam"}, 14, 28),
    "smaller batches": ({"batch_size": 4}, 58, 29),
    "early stopping": ({"regularization": STOPS}, 29, 29),
    "a plateau": ({"schedule": "reduce_on_plateau"}, 29, 29),
    "an ensemble": ({"averaging": "deep_ensemble"}, 29, 29),
}
"""Recipes, and the steps and passes of their races over a quarter of 116."""


@pytest.mark.parametrize("way", WAYS)
def test_a_real_race_costs_its_price(way: str) -> None:
    more, steps, passes = WAYS[way]
    task = Task(nn.Linear(5, 3), (INPUTS[:-HELD], CLASSES[:-HELD]),
                (INPUTS[-HELD:], CLASSES[-HELD:]), steps=116, batch_size=BATCH)  # fmt: skip
    one = Recipe.parse({"optimizer": {"name": "adamw", "lr": 1e-3}} | more)
    profile = Profile(tier=16, passes=16, seconds=1, seconds_per_pass=0.01, seed=0, device="cpu",
                      values={}, missing={})  # fmt: skip
    entrant = candidate(one, 0.1)
    price = price_of(task, entrant, profile)
    told = race_run.run_race(task, one, math.inf, 0, "cpu")
    assert told.error == ""
    assert told.passes == pytest.approx(price.passes)
    assert price.passes == pytest.approx(passes + 2 * VALIDATION)
    assert price.seconds == pytest.approx(0.01 * (steps + 2 * VALIDATION))
    assert math.isfinite(told.loss)


def ask(folder: Path, model: Callable[[], nn.Module] | nn.Module, **settings: Any) -> Advice:
    return recommend(
        model, (INPUTS, CLASSES), steps=200, batch_size=BATCH, device="cpu", models=folder,
        **settings,
    )  # fmt: skip


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 3))


def raced(advice: Advice) -> int:
    return sum("schedule" in line for c in advice.ranking for line in c.evidence)


@pytest.mark.parametrize("abstained", [False, True], ids=["model", "portfolio"])
def test_a_whole_training_of_budget_races_and_changes_nothing(
    models_folder: Path, monkeypatch: pytest.MonkeyPatch, abstained: bool
) -> None:
    floor = 2.0 if abstained else -1.0
    monkeypatch.setattr(shipped.load_shipped(16, models_folder).model, "floor", floor)
    model = small()
    torch.manual_seed(7)
    np.random.seed(7)
    random.seed(7)
    state = copy.deepcopy(model.state_dict())
    streams = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    advice = ask(models_folder, model, budget="100%")
    assert torch.equal(streams[0], torch.get_rng_state())
    assert streams[1:] == (np.random.get_state()[1].tolist(), random.getstate())
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert advice.abstained is abstained
    assert 2 <= raced(advice) <= MOST
    assert "races of the first" in advice.reason
    assert advice.profile["passes"] + 0.5 * 200 < advice.probe.passes <= 200
    assert advice.probe.share <= 1.0
    assert advice.probe.seconds > advice.profile["seconds"]
    again = ask(models_folder, model, budget="100%")
    assert [c.recipe for c in again.ranking] == [c.recipe for c in advice.ranking]
    assert [c.evidence for c in again.ranking] == [c.evidence for c in advice.ranking]


@pytest.mark.parametrize(
    "settings",
    [{"budget": "10%"}, {"budget": "40%"}, {"budget": "100%", "goal": "fastest"}],
    ids=["10 %", "40 %", "fastest"],
)
def test_no_race_is_run(models_folder: Path, settings: dict[str, Any]) -> None:
    advice = ask(models_folder, small(), **settings)
    assert raced(advice) == 0
    assert "races" not in advice.reason
    assert advice.probe.passes == advice.profile["passes"]


def test_races_are_charged(models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def costly(task: Task, before: Ranked, *given: Any, **more: Any) -> Answer:
        shown = [min(max(score, 0.0), 1.0) for score in before.scores]
        assert shown == [one.expected.score for one in before.candidates]
        return before, 70.0, 1000.0

    monkeypatch.setattr(shipped.load_shipped(16, models_folder).model, "floor", -1.0)
    monkeypatch.setattr(recommender, "race", costly)
    advice = ask(models_folder, small())
    assert advice.probe.passes == pytest.approx(advice.profile["passes"] + 70)
    assert advice.probe.share == pytest.approx(advice.probe.passes / 200)
    assert advice.probe.seconds > 1000


def test_seconds_are_spent_on_races_where_they_last(
    models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(race_rule, "REACH", math.inf)  # the budget alone ends them
    assert raced(ask(models_folder, small(), budget="60s")) == MOST
