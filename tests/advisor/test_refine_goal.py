"""Refinement for the soonest: whatever the task, it goes by the time to the target."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from refine_cases import (
    CLIPPED,
    GOOD,
    SMALL,
    WHOLE_SEARCHES,
    WILD,
    make_advice,
    make_task,
    soonest,
    trials_of,
)
from torch import nn

from advisor import refine_target
from advisor.advice import Advice
from advisor.answer import live_facts
from advisor.goal import Goal
from advisor.refine import refine
from advisor.refine_objective import SLACK
from advisor.refine_search import MOVES
from advisor.tuned import Finalist, Tuned
from knowledge_base.reference import COPIED
from probes.errors import UserError
from probes.recipe.schema import Recipe
from probes.task import Task
from probes.training import train

pytestmark = WHOLE_SEARCHES
STEPS = 60
SLOW = Recipe.parse({"optimizer": {"name": "adamw", "lr": 5e-4}, "schedule": "constant"})
FAST = Recipe.parse({"optimizer": {"name": "adamw", "lr": 0.03}, "schedule": "constant"})


def classes() -> tuple[Task, Advice]:
    return make_task(STEPS), make_advice(SLOW, GOOD, steps=STEPS)


def numbers(**settings: Any) -> tuple[Task, Advice]:
    inputs = torch.randn(120, 4, generator=torch.Generator().manual_seed(1))
    targets = inputs[:, :1] - inputs[:, 1:2]
    task = Task(
        model=lambda: nn.Linear(4, 1), train=(inputs, targets), loss="mse", steps=STEPS,
        batch_size=16, name="numbers", **settings,
    )  # fmt: skip
    return task, described(task)


def own_loss() -> tuple[Task, Advice]:
    """A loss that ends below 0."""

    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        return nn.functional.mse_loss(model(batch[0]), batch[1]) - 2.0

    inputs = torch.randn(120, 4, generator=torch.Generator().manual_seed(1))
    task = Task(
        model=lambda: nn.Linear(4, 1), train=(inputs, inputs[:, :1]), training_step=step,
        steps=STEPS, batch_size=16, name="own",
    )  # fmt: skip
    return task, described(task)


def described(task: Task) -> Advice:
    """Advice for a task, its facts read off it."""
    advice = make_advice(SLOW, GOOD)
    return advice.model_copy(update={"task": live_facts(task, "cpu")})


CASES = {"classes": classes, "numbers": numbers, "a loss below 0": own_loss}


def own_value(goal: str, one: Finalist) -> tuple[float, ...]:
    """What a finalist is ranked by, written once more: missers last, by their loss."""
    if goal == "best":
        return (one.median,)
    return (one.time, 0.0) if one.time is not None else (float("inf"), one.median)


# a target of one's own is above 0, and a loss below 0 has none to reach or to miss
ASKED = [
    (case, goal)
    for goal in ("best", "copied", "reached", "missed")
    for case in CASES
    if case != "a loss below 0" or goal in ("best", "copied")
]


@pytest.mark.parametrize(("case", "goal"), ASKED)
def test_never_worse_in_its_own_value_and_says_what_it_followed(case: str, goal: str) -> None:
    task, advice = CASES[case]()
    if goal != "best":
        end = train(task, GOOD, device="cpu").final["loss"]
        target = {"copied": None, "reached": end + 0.1, "missed": 1e-9}[goal]
        advice = soonest(advice, task, target)
    tuned = refine(advice, task, trials=7, finalists=2, fresh_seeds=3, device="cpu")
    name = "best" if goal == "best" else "fastest"
    values = [own_value(name, one) for one in tuned.ranking]
    (first,) = (one for one in tuned.ranking if one.recipe == SLOW)
    assert values[0] <= own_value(name, first)
    assert all(one <= two for one, two in pairwise(values))
    assert tuned.goal == name
    assert (tuned.target is None) is (name == "best")
    assert f"goal {name}: " in str(tuned)
    assert Tuned.model_validate_json(tuned.to_json()) == tuned
    for one in tuned.ranking:
        assert (one.to_target is None) is (name == "best")
        for share, loss in zip(one.to_target or (), one.validation, strict=name != "best"):
            assert (share is not None) is (loss <= (tuned.target or 0.0))
            assert share is None or 0.0 <= share <= 1.0
    if goal == "missed":
        assert all(one.time is None for one in tuned.ranking)
        assert "missed missed missed" in str(tuned)
    if goal == "copied":
        copied = train(task, COPIED, device="cpu").final["loss"]
        assert tuned.target == pytest.approx(copied)
        assert "AdamW 1e-3 cosine" in tuned.target_origin


def test_the_soonest_is_not_the_one_that_ends_best(storage: str) -> None:
    """A rate that stays high gets to the target first, one that falls ends lower."""
    task = make_task(200)
    high = Recipe.parse({"optimizer": {"name": "adamw", "lr": 0.4}, "schedule": "constant"})
    falling = Recipe.parse({"optimizer": {"name": "adamw", "lr": 0.05}, "schedule": "cosine"})
    advice = make_advice(COPIED, falling, high, steps=200)
    few: dict[str, Any] = {"trials": 3, "finalists": 2, "fresh_seeds": 3, "device": "cpu"}
    fast = refine(soonest(advice, task, 0.6), task, storage=storage, **few)
    best = refine(advice, task, storage=storage, **few)
    assert fast.best == high
    assert best.best == falling
    assert fast.passes < best.passes / 2, "a run that is there has told its result"
    assert (fast.trials, best.trials) == (3, 3), "times and losses are not of one study"


def test_trials_end_at_the_target_or_far_behind_the_best(storage: str) -> None:
    task = make_task(400)
    never = GOOD.with_(optimizer={"name": "sgd", "lr": 1e-6})
    goal = Goal("fastest", 0.9)
    advice = soonest(make_advice(FAST, never, CLIPPED, steps=400), task, goal.target)
    tuned = refine(advice, task, trials=3, storage=storage, **SMALL)
    first, slow, _ = trials_of(storage, task, goal)
    assert first.user_attrs["passes"] < 100
    assert slow.state.name == "PRUNED", "also one of the ranking's own"
    assert tuned.pruned >= 1
    # it was kept as long as it could have been the first, and ended at the next evaluation
    assert slow.user_attrs["least"] > SLACK * first.value
    assert slow.user_attrs["passes"] < 400


def test_nothing_is_given_up_while_nobody_has_reached_the_target(storage: str) -> None:
    task, goal = make_task(STEPS), Goal("fastest", 1e-6)
    never = GOOD.with_(optimizer={"name": "sgd", "lr": 1e-6})
    ranking = make_advice(GOOD, CLIPPED, FAST, never, SLOW, steps=STEPS)
    tuned = refine(soonest(ranking, task, goal.target), task, trials=9, storage=storage, **SMALL)
    assert tuned.pruned == 0
    assert {trial.state.name for trial in trials_of(storage, task, goal)} == {"COMPLETE"}
    assert min(trial.value for trial in trials_of(storage, task, goal)) > 2.0


def test_the_target_is_measured_once_a_study(storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_task(STEPS)
    advice = soonest(make_advice(GOOD, CLIPPED, steps=STEPS), task)
    first = refine(advice, task, trials=1, storage=storage, seed=3, **SMALL)
    monkeypatch.setattr(refine_target, "_copied_loss", lambda *_: pytest.fail("again"))
    second = refine(advice, task, trials=1, storage=storage, seed=4, **SMALL)
    assert second.trials == first.trials + 1
    assert (second.target, second.target_origin) == (first.target, first.target_origin)
    assert first.target_origin == "what AdamW 1e-3 cosine ended at with seed 3"
    asked = refine(soonest(advice, task, 0.9), task, trials=1, storage=storage, **SMALL)
    assert asked.trials == 1, "another target is another study"


def test_its_training_is_charged() -> None:
    task = make_task(STEPS)
    advice = make_advice(COPIED, steps=STEPS)
    measured = refine(soonest(advice, task), task, trials=1, **SMALL)
    asked = refine(soonest(advice, task, measured.target), task, trials=1, **SMALL)
    assert measured.passes == pytest.approx(asked.passes + STEPS)


def test_the_search_for_the_soonest_repeats_itself_and_stops_without_gain() -> None:
    task = make_task(STEPS)
    advice = soonest(make_advice(GOOD, CLIPPED, FAST, SLOW, steps=STEPS), task, 0.95)
    settings = {**SMALL, "min_gain": 0.9}
    one, two = (refine(advice, task, trials=20, **settings) for _ in range(2))
    assert one.ranking == two.ranking
    assert one.trials == MOVES
    assert "expected to lower the time to the target by" in one.stopped


def test_early_stopping_is_no_move_where_the_end_does_not_count(storage: str) -> None:
    task, goal = make_task(STEPS), Goal("fastest", 0.9)
    advice = soonest(make_advice(GOOD, steps=STEPS), task, goal.target)
    refine(advice, task, trials=MOVES, storage=storage, **SMALL)
    made = {trial.user_attrs.get("move") for trial in trials_of(storage, task, goal)}
    assert "early stopping" not in made
    assert len(made) > 3


def test_a_smaller_batch_is_not_taken_for_speed() -> None:
    """Nobody knows how much sooner its steps are done: they count as long as the task's own."""
    task = make_task(STEPS)
    advice = soonest(make_advice(GOOD, steps=STEPS), task, 0.9)
    half = refine(
        advice.model_copy(update={"ranking": make_advice(GOOD.with_(batch_size=8)).ranking}),
        task, trials=1, **SMALL,
    )  # fmt: skip
    (one,) = half.ranking
    shares = [share for share in one.to_target or () if share is not None]
    assert one.time == pytest.approx(2 * max(shares), rel=0.05)


def test_a_task_on_which_no_target_can_be_set_is_refused() -> None:
    task = make_task(STEPS)
    advice = soonest(make_advice(GOOD, steps=STEPS), task)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refine_target, "COPIED", WILD)
        with pytest.raises(UserError, match="target of your own"):
            refine(advice, task, trials=1, **SMALL)
    bare = advice.model_copy(update={"profile": {}, "target": 0.9})
    with pytest.raises(UserError, match="profile of its task"):
        refine(bare, task, trials=1, **SMALL)
    with pytest.raises(UserError, match="goal best"):
        refine(advice.model_copy(update={"goal": "best", "target": 0.9}), task, **SMALL)


def test_an_advice_file_without_a_goal_was_asked_for_the_best(tmp_path: Path) -> None:
    plain = json.loads(make_advice(GOOD).to_json())
    assert plain.pop("goal") == "best"
    assert plain.pop("target") is None
    (tmp_path / "old.json").write_text(json.dumps(plain))
    assert Advice.load(tmp_path / "old.json").goal == "best"


def test_no_time_at_all_answers_with_the_ranking_and_its_time() -> None:
    task = make_task(STEPS)
    advice = soonest(make_advice(GOOD, CLIPPED, steps=STEPS), task)
    tuned = refine(advice, task, timeout=1e-6, **SMALL)
    (one,) = tuned.ranking
    assert (one.recipe, tuned.trials) == (GOOD, 0)
    assert one.time is not None
    assert len(one.to_target or ()) == 1
