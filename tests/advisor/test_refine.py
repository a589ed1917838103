"""Refinement as a whole: it never gets worse, keeps its time, and says what is wrong."""

from __future__ import annotations

import sys
import time
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from refine_cases import (
    CLIPPED,
    GOOD,
    ODD,
    SMALL,
    STEPS,
    UNFIT,
    WHOLE_SEARCHES,
    WILD,
    make_advice,
    make_task,
    trials_of,
)
from torch import nn

from advisor import attempt
from advisor.refine import refine
from advisor.refine_objective import DIVERGED
from advisor.refine_search import MOVES
from probes.errors import UserError
from probes.recipe.schema import Recipe
from probes.run import Run
from probes.task import Task

pytestmark = WHOLE_SEARCHES


def test_the_best_is_never_worse_than_the_first_of_the_ranking() -> None:
    tuned = refine(make_advice(WILD, ODD, GOOD), make_task(), trials=4, **SMALL)
    first = next(one for one in tuned.ranking if one.recipe == WILD)

    assert tuned.ranking[0].median <= first.median
    assert all(one.median <= two.median for one, two in pairwise(tuned.ranking))
    assert all(len(one.validation) == 2 for one in tuned.ranking)
    assert len({one.recipe.key for one in tuned.ranking}) == len(tuned.ranking) == 3
    assert first.origin == "ranking 1 (diverged on 2 of 2 fresh seeds)"
    assert tuned.best != WILD


def test_a_bad_ranking_is_improved_on() -> None:
    poor = Recipe.parse({"optimizer": {"name": "adamw", "lr": 1e-4}, "schedule": "cosine"})
    tuned = refine(make_advice(poor), make_task(), trials=8, **SMALL)

    assert tuned.best != poor
    assert tuned.best.optimizer.number("lr") > 1e-4
    assert tuned.ranking[0].origin.startswith("trial ")


def test_a_timeout_is_kept_and_still_answers(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    tuned = refine(
        make_advice(GOOD, ODD), make_task(), trials=10_000, timeout=1.0, progress=True, **SMALL
    )
    assert time.monotonic() - began < 4.0
    assert 0 < tuned.trials < 10_000
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "the time for trials is up" in printed.err
    assert "final ranking 1" in printed.err


def test_no_time_at_all_answers_with_the_ranking(storage: str) -> None:
    tuned = refine(make_advice(GOOD, ODD), make_task(), timeout=1e-6, storage=storage, **SMALL)
    assert tuned.best == GOOD
    assert tuned.trials == 0
    assert len(tuned.ranking[0].validation) == 1
    assert tuned.ranking[0].origin == "ranking 1, as no trial was finished in time"


def test_everything_diverges(storage: str) -> None:
    tuned = refine(make_advice(WILD), make_task(), trials=3, storage=storage, **SMALL)

    assert tuned.best == WILD
    assert tuned.trials == 3
    assert "every trial diverged or failed" in tuned.ranking[0].origin
    assert "diverged on 2 of 2" in tuned.ranking[0].origin
    assert {trial.value for trial in trials_of(storage)} == {DIVERGED}


def test_a_recipe_that_cannot_serve_the_task_is_passed_over(storage: str) -> None:
    tuned = refine(make_advice(UNFIT, GOOD), make_task(), trials=2, storage=storage, **SMALL)
    assert tuned.best == GOOD
    assert "batch size" in trials_of(storage)[0].user_attrs["error"]
    with pytest.raises(UserError, match="batch size"):
        refine(make_advice(UNFIT), make_task(), trials=1, **SMALL)


def test_a_refused_recipe_counts_as_a_trial_and_is_not_tried_again(storage: str) -> None:
    advice = make_advice(UNFIT, GOOD)
    with pytest.raises(UserError, match="batch size"):  # there was nothing else
        refine(advice, make_task(), trials=1, storage=storage, **SMALL)
    first = refine(advice, make_task(), trials=1, storage=storage, **SMALL)
    second = refine(advice, make_task(), trials=1, storage=storage, **SMALL)

    assert (first.trials, second.trials) == (2, 3)
    keys = [trial.user_attrs["recipe"]["key"] for trial in trials_of(storage)]
    assert keys[:2] == [UNFIT.key, GOOD.key]
    assert keys.count(UNFIT.key) == 1
    assert second.ranking[-1].recipe == UNFIT
    assert "failed on 2 of 2 fresh seeds: expected a batch size" in second.ranking[-1].origin


@pytest.mark.parametrize(
    ("advised", "chosen", "used"),
    [
        ("cpu", None, "cpu"),
        ("cuda", None, "cuda"),
        ("cuda", "cpu", "cpu"),
        ("mps", None, "cuda"),  # from another machine
    ],
)
def test_training_goes_on_where_the_advice_was_made(
    monkeypatch: pytest.MonkeyPatch, advised: str, chosen: str | None, used: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    devices: list[str] = []
    plain = attempt.train

    def train(task: Task, recipe: Recipe, *, device: str, **settings: object) -> Run:
        devices.append(device)
        return plain(task, recipe, device="cpu", **settings)

    monkeypatch.setattr(attempt, "train", train)
    monkeypatch.setattr(sys.modules["advisor.refine"], "check_same_task", lambda *_: None)
    advice = make_advice(GOOD)
    advice = advice.model_copy(update={"task": advice.task.model_copy(update={"device": advised})})
    tuned = advice.refine(trials=1, task=make_task(), device=chosen)
    assert tuned.best == GOOD
    assert devices == [used] * 4  # one trial, three seeds


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="device"):
        make_advice(GOOD).refine(trials=1, task=make_task(), device="abacus")


def test_the_same_seed_gives_the_same_answer() -> None:
    first, second, other = (
        refine(make_advice(GOOD, ODD, CLIPPED), make_task(), trials=12, seed=seed, **SMALL)
        for seed in (0, 0, 1)
    )
    assert first.ranking == second.ranking
    assert (first.trials, first.pruned, first.passes) == (
        second.trials, second.pruned, second.passes,
    )  # fmt: skip
    assert first.ranking != other.ranking


def test_passes_of_trials_and_finals_are_charged() -> None:
    tuned = refine(make_advice(GOOD), make_task(), trials=1, **SMALL)
    assert tuned.passes == pytest.approx(STEPS * (1 + 2))
    assert tuned.trials == 1
    assert tuned.pruned == 0


def test_nothing_of_the_users_changes_and_nothing_warns() -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    inputs, targets = torch.randn(64, 4), torch.randint(0, 2, (64,))
    task = Task(model=model, train=(inputs, targets), steps=10, batch_size=8, name="tiny")
    verbosity = optuna.logging.get_verbosity()
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        advice = make_advice(GOOD, ODD, train_samples=None, batch_size=8)
        refine(advice, task, trials=10, finalists=1, fresh_seeds=1)
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])
    assert optuna.logging.get_verbosity() == verbosity


def test_a_search_ends_where_one_more_trial_is_not_worth_it(
    storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    advice = make_advice(GOOD, ODD, CLIPPED, GOOD.with_(horizon=0.5), GOOD.with_(horizon=0.25))
    settings = {**SMALL, "min_gain": 0.9}
    tuned = refine(advice, make_task(), trials=20, storage=storage, progress=True, **settings)

    assert tuned.trials == MOVES
    assert tuned.expected_gain is not None
    assert 0.0 <= tuned.expected_gain < 0.9
    assert "one more trial is expected to lower the loss by" in tuned.stopped
    said = capsys.readouterr().err
    assert "expected of one more: " in said
    assert f"stopped: {tuned.stopped}" in said
    on = refine(advice, make_task(), trials=1, storage=storage, **SMALL)
    assert (on.trials, on.stopped) == (tuned.trials + 1, "")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"trials": 0}, "trials as a whole number above 0"),
        ({"trials": -3}, "-3"),
        ({"trials": 2.5}, "2.5"),
        ({"timeout": 0}, "timeout in seconds above 0"),
        ({"timeout": -1.0}, "-1.0"),
        ({"timeout": float("nan")}, "nan"),
        ({"finalists": 0}, "finalists"),
        ({"min_gain": -0.1}, "min_gain from 0 up to 1"),
        ({"min_gain": 1.0}, "min_gain from 0 up to 1"),
        ({"min_gain": True}, "min_gain from 0 up to 1"),
        ({"fresh_seeds": 0}, "fresh_seeds"),
        ({"storage": "mysterious://host/db"}, "storage that Optuna can open"),
        ({"storage": "postgresql+psycopg9://me:secret@host/db"}, "storage that Optuna can open"),
        ({"storage": "redis://host"}, "storage that Optuna can open"),
        ({"storage": "sqlite:////no/such/folder/x.db"}, "storage that Optuna can open"),
        ({"storage": "/no/such/folder/journal.log"}, "storage that Optuna can open"),
        ({"storage": " "}, "it is empty"),
        ({"storage": "notes.txt"}, "storage that Optuna can open"),
        ({"storage": "numbers.txt"}, "storage that Optuna can open"),
        ({"storage": "."}, "storage that Optuna can open"),
        ({"storage": "sqlite:///notes.txt"}, "storage that Optuna can open"),
    ],
)
def test_what_is_wrong_is_said(
    settings: dict[str, object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("not a database\nat all\n")
    Path("numbers.txt").write_text("12\n13\n")
    with pytest.raises(UserError) as raised:
        refine(make_advice(GOOD), make_task(), **settings)
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_advice_needs_a_ranking() -> None:
    with pytest.raises(UserError, match="ranking"):
        refine(make_advice(), make_task())


def test_progress_tells_up_front_how_many_trainings_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refine(make_advice(GOOD), make_task(), trials=2, finalists=1, fresh_seeds=2, progress=True)
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith("2 trials, ")
    assert "at most 4 final trainings (2 recipes on 2 fresh seeds)" in first
    assert len(rest) <= 6
