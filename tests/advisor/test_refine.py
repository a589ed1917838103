"""Refinement: what is tried first, what is kept, what is resumed, and that it never gets worse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from torch import nn

from advisor import pruning, refine_finals, refine_study
from advisor.advice import (
    Advice,
    Candidate,
    Cost,
    Expected,
    ProbeCost,
    TaskFacts,
    Tuned,
    load_ranked,
)
from advisor.refine import RANKED, refine
from advisor.refine_finals import DIVERGED, Entry, run_finals, unused_seeds
from advisor.refine_moves import moves
from advisor.refine_search import MOVES, Search
from advisor.refine_space import FACTOR, Neighbourhood
from advisor.refine_study import open_study, study_name
from knowledge_base.reference import reference_recipes
from probes.errors import UserError
from probes.recipe.schema import Recipe
from probes.run import Point, Run
from probes.task import Task
from probes.training import Watcher

pytestmark = pytest.mark.slow  # whole searches
STEPS = 24
GOOD = Recipe.parse({"optimizer": {"name": "adamw", "lr": 0.01}, "schedule": "cosine"})
ODD = Recipe.parse(  # much that the space does not search
    {
        "optimizer": {"name": "momentum", "lr": 0.05, "momentum": 0.8},
        "schedule": {"name": "warmup_stable_decay", "decay": 0.5, "warmup": 0.1},
        "regularization": {"early_stopping": {"patience": 7, "every": 0.1}},
        "batch_size": 8,
        "horizon": 0.75,
    }
)
CLIPPED = Recipe.parse(
    {"optimizer": {"name": "adamw", "lr": 0.03}, "schedule": "linear",
     "clip": {"name": "norm", "max": 2.0}}
)  # fmt: skip
WILD = Recipe.parse({"optimizer": {"name": "sgd", "lr": 9000.0}, "schedule": "constant"})
UNFIT = GOOD.with_(batch_size=4096)  # more than there are samples


def make_task(steps: int = STEPS, name: str = "tiny") -> Task:
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(160, 5, generator=generator)
    targets = (inputs[:, 0] + inputs[:, 1] > 0).long() + (inputs[:, 2] > 0).long()

    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))

    return Task(
        model=model, train=(inputs[:120], targets[:120]), validation=(inputs[120:], targets[120:]),
        loss="cross_entropy", steps=steps, batch_size=16, name=name,
    )  # fmt: skip


def make_advice(
    *recipes: Recipe, name: str = "tiny", steps: int = STEPS, train_samples: int | None = 120,
    batch_size: int = 16,
) -> Advice:  # fmt: skip
    facts = TaskFacts(
        name=name, loss="cross_entropy", metric="accuracy", batch_size=batch_size,
        steps=steps, train_samples=train_samples, device="cpu",
    )  # fmt: skip
    ranking = tuple(
        Candidate(
            recipe=recipe, expected=Expected(score=0.1, low=0.0, high=0.2),
            cost=Cost(seconds_per_step=1e-3, passes_per_step=1.0, state_bytes=0), evidence=(),
        )
        for recipe in recipes
    )  # fmt: skip
    return Advice(
        task=facts, profile={}, ranking=ranking, abstained=False, reason="by hand",
        probe=ProbeCost(passes=0.0, seconds=0.0, share=0.0),
    )  # fmt: skip


def trials_of(storage: str, task: Task | None = None) -> list[optuna.trial.FrozenTrial]:
    task = task or make_task()
    name = study_name(task, make_advice(GOOD, name=task.name).task)
    return optuna.load_study(
        study_name=name, storage=refine_study._open_storage(storage)
    ).get_trials()  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Nets this small only wait for each other's threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refine_study, "CLAIM_SECONDS", 0.0)


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return str(tmp_path / "journal.log")


SMALL = {"finalists": 2, "fresh_seeds": 2, "device": "cpu", "min_gain": 0.0}


def test_the_ranking_is_tried_first_exactly_and_unpruned(storage: str) -> None:
    refine(make_advice(GOOD, ODD, CLIPPED), make_task(), trials=5, storage=storage, **SMALL)

    trials = trials_of(storage)
    assert [trial.user_attrs["recipe"]["key"] for trial in trials[:3]] == [
        GOOD.key, ODD.key, CLIPPED.key,
    ]  # fmt: skip
    assert [trial.state.name for trial in trials[:3]] == ["COMPLETE"] * 3
    assert all("rank" not in trial.user_attrs for trial in trials[3:])
    assert len(trials) == 5


def test_names_are_prefixed_and_ranges_are_narrow(storage: str) -> None:
    refine(make_advice(GOOD, ODD, CLIPPED), make_task(), trials=MOVES + 4, storage=storage, **SMALL)

    drawn = [trial for trial in trials_of(storage) if not trial.user_attrs.get("exact", False)]
    assert len(drawn) == 2
    for trial in drawn:
        optimizer = trial.params["start"]
        others = {"adamw", "momentum"} - {optimizer}
        assert f"{optimizer}.lr" in trial.params
        assert not any(name.startswith(tuple(f"{one}." for one in others)) for name in trial.params)
        recipe = Recipe.parse(trial.user_attrs["recipe"]["plain"])
        if optimizer == "adamw":
            assert 0.01 / FACTOR <= recipe.optimizer.number("lr") <= 0.03 * FACTOR
        else:
            assert 0.05 / FACTOR <= recipe.optimizer.number("lr") <= 0.05 * FACTOR
            assert recipe.optimizer["momentum"] == 0.8
            assert recipe.batch_size == 8


@pytest.mark.parametrize("recipe", reference_recipes(), ids=lambda recipe: recipe.key)
def test_every_reference_recipe_is_its_own_nearest_neighbour(recipe: Recipe) -> None:
    space = Neighbourhood([GOOD, recipe, ODD], cross_entropy=True)
    parameters = space.nearest(recipe)

    assert parameters is not None
    rebuilt = space.suggest(optuna.trial.FixedTrial(parameters))
    decay = recipe.optimizer.settings.get("weight_decay")
    if decay == 0.0:  # zero has no place on a log scale
        assert rebuilt.optimizer.number("weight_decay") <= 1e-6
        rebuilt = rebuilt.with_(optimizer={**rebuilt.optimizer.model_dump(), "weight_decay": 0.0})
    assert rebuilt == recipe
    for name, value in parameters.items():
        distribution = space.distributions[name]
        assert distribution._contains(distribution.to_internal_repr(value)), name


def test_what_no_start_shares_has_no_neighbour() -> None:
    space = Neighbourhood([GOOD], cross_entropy=True)
    assert space.nearest(ODD) is None
    assert space.nearest(CLIPPED) is None  # another schedule
    assert "label_smoothing" not in Neighbourhood([GOOD], cross_entropy=False).distributions


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


def test_finals_run_on_seeds_that_the_search_did_not_use(
    storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import advisor.refine_finals as finals

    seeds: list[int] = []
    plain = finals.try_training

    def spying(task: Task, recipe: Recipe, *, seed: int, **settings: object) -> object:
        seeds.append(seed)
        return plain(task, recipe, seed=seed, **settings)

    monkeypatch.setattr(finals, "try_training", spying)
    refine(make_advice(GOOD), make_task(), trials=1, storage=storage, seed=1, **SMALL)
    assert set(seeds) == {2, 3}
    seeds.clear()
    refine(make_advice(GOOD), make_task(), trials=1, storage=storage, seed=0, **SMALL)
    assert set(seeds) == {2, 3}  # 1 was searched with before
    assert unused_seeds(5, [6, None, 8], 3) == [7, 9, 10]


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("sqlite:///{}/trials.db", marks=pytest.mark.slow),
        "{}/trials.db",  # the same, written shorter
        "{}/journal.log",
    ],
)
def test_a_second_call_goes_on(tmp_path: Path, form: str) -> None:
    place = form.format(tmp_path)
    advice = make_advice(GOOD, ODD)
    first = refine(advice, make_task(), trials=1, storage=place, **SMALL)
    second = refine(advice, make_task(), trials=3, storage=place, **SMALL)

    assert (first.trials, second.trials) == (1, 4)
    keys = [trial.user_attrs["recipe"]["key"] for trial in trials_of(place)]
    assert keys[:2] == [GOOD.key, ODD.key]
    assert len(set(keys)) == 4  # nothing is tried twice
    other = refine(make_advice(GOOD, steps=9), make_task(steps=9), trials=1, storage=place, **SMALL)
    assert other.trials == 1  # another budget is another study


def test_new_advice_joins_the_study_it_finds(storage: str) -> None:
    refine(make_advice(GOOD), make_task(), trials=2, storage=storage, **SMALL)
    tuned = refine(make_advice(ODD, GOOD), make_task(), trials=2, storage=storage, **SMALL)

    assert tuned.trials == 4
    third = trials_of(storage)[2]
    assert third.user_attrs["recipe"]["key"] == ODD.key
    assert third.params == {}  # the space the study began with does not hold it
    assert any(one.recipe == ODD for one in tuned.ranking)


@pytest.mark.parametrize("owned", [False, True])
def test_a_stale_trial_is_failed_and_its_slot_run_again(storage: str, owned: bool) -> None:
    advice, task = make_advice(GOOD, ODD), make_task()
    refine(advice, task, trials=2, storage=storage, **SMALL)
    study = open_study(storage, study_name(task, advice.task), seed=0)
    space = Neighbourhood([GOOD, ODD], cross_entropy=True)
    stale = study.ask()
    lost = space.suggest(stale)
    if owned:
        # this id, another process
        stale.set_user_attr(f"claim-{os.getpid()}-0-0", refine_study.HOST)

    tuned = refine(advice, task, trials=1, storage=storage, **SMALL)
    trials = trials_of(storage)
    assert [trial.state.name for trial in trials[2:]] == ["FAIL", "COMPLETE"]
    assert trials[3].user_attrs["recipe"]["key"] == lost.key
    assert trials[3].user_attrs["retry_of"] == 2
    assert tuned.trials == 3


def test_a_trial_killed_twice_is_given_up(storage: str) -> None:
    study = open_study(storage, "twice", seed=0)
    for _ in range(2):
        study.ask()
        refine_study.fail_stale(study)
    assert [trial.state.name for trial in study.get_trials()] == ["FAIL", "FAIL"]


def test_a_living_process_keeps_its_trial(storage: str) -> None:
    study = open_study(storage, "shared", seed=0)
    assert refine_study.claim(study, study.ask())
    for owner, host in ((f"{os.getppid()}-1-1", refine_study.HOST), ("1-1-1", "another machine")):
        study.ask().set_user_attr(f"claim-{owner}", host)
    refine_study.fail_stale(study)
    assert {trial.state.name for trial in study.get_trials()} == {"RUNNING"}


def test_a_trial_that_another_claims_too_is_left_to_it(storage: str) -> None:
    study = open_study(storage, "shared", seed=0)
    trial = study.ask()
    assert refine_study.claim(study, trial)
    other = optuna.load_study(study_name="shared", storage=refine_study._open_storage(storage))
    other._storage.set_trial_user_attr(trial._trial_id, "claim-1-1-1", "another machine")
    assert not refine_study.claim(study, trial)


def test_an_interrupt_leaves_no_running_trial_and_its_recipe_comes_back(
    storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("advisor.refine_search.try_training", interrupted)
        with pytest.raises(KeyboardInterrupt):
            refine(make_advice(GOOD), make_task(), trials=1, storage=storage, **SMALL)
    tuned = refine(make_advice(GOOD), make_task(), trials=1, storage=storage, **SMALL)
    assert [trial.state.name for trial in trials_of(storage)] == ["FAIL", "COMPLETE"]
    assert trials_of(storage)[1].user_attrs["recipe"]["key"] == GOOD.key
    assert tuned.trials == 1


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


def test_a_long_run_is_cut_at_the_deadline_and_comes_back(storage: str) -> None:
    long = make_task(steps=100_000)
    advice = make_advice(GOOD, steps=100_000)
    study = open_study(storage, study_name(long, advice.task), seed=0)
    space = Neighbourhood([GOOD], cross_entropy=True)
    refine_study.enqueue_ranking(study, space, [GOOD])
    search = Search(study, space, long)
    search.run(1, time.monotonic(), 0.05, 0)
    (cut,) = study.get_trials()
    assert cut.state.name == "FAIL"
    assert cut.user_attrs["cut"]
    assert 0 < search.passes < 50_000
    refine_study.enqueue_ranking(study, space, [GOOD])
    assert [trial.state.name for trial in study.get_trials()] == ["FAIL", "WAITING"]


def test_everything_diverges(storage: str) -> None:
    tuned = refine(make_advice(WILD), make_task(), trials=3, storage=storage, **SMALL)

    assert tuned.best == WILD
    assert tuned.trials == 3
    assert "every trial diverged or failed" in tuned.ranking[0].origin
    assert "diverged on 2 of 2" in tuned.ranking[0].origin
    assert {trial.value for trial in trials_of(storage)} == {DIVERGED}


def test_an_answer_survives_a_file(tmp_path: Path) -> None:
    tuned = refine(make_advice(WILD), make_task(), trials=1, **SMALL)
    tuned.save(tmp_path / "tuned.json")
    assert Tuned.load(tmp_path / "tuned.json") == tuned


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


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception, fails: Callable[..., bool]) -> None:
    """Let the trainings of a refinement fail for which ``fails(recipe, seed)`` is true."""
    plain = refine_finals.train

    def train(task: Task, recipe: Recipe, *, seed: int, **settings: object) -> Run:
        if fails(recipe, seed):
            raise error
        return plain(task, recipe, seed=seed, **settings)

    monkeypatch.setattr(refine_finals, "train", train)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("out of memory\nat all"), RuntimeError("out of memory")]
)
def test_an_error_of_one_run_costs_that_run_alone(
    monkeypatch: pytest.MonkeyPatch, storage: str, error: Exception
) -> None:
    failing(monkeypatch, error, lambda recipe, seed: recipe == ODD or seed == 2)
    tuned = refine(make_advice(ODD, GOOD), make_task(), trials=3, storage=storage, **SMALL)

    assert tuned.trials == 3
    assert trials_of(storage)[0].user_attrs["error"] == str(error)
    assert tuned.best != ODD
    assert tuned.ranking[0].origin.endswith("(failed on 1 of 2 fresh seeds: out of memory)")
    assert tuned.ranking[-1].recipe == ODD
    assert tuned.ranking[-1].origin == "ranking 1 (failed on 2 of 2 fresh seeds: out of memory)"


def test_an_error_of_every_run_is_raised(monkeypatch: pytest.MonkeyPatch, storage: str) -> None:
    failing(monkeypatch, RuntimeError("the model is wrong"), lambda *_: True)
    with pytest.raises(RuntimeError, match="the model is wrong"):
        refine(make_advice(GOOD), make_task(), trials=2, storage=storage, **SMALL)
    assert [trial.value for trial in trials_of(storage)] == [DIVERGED] * 2


def test_other_errors_are_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, KeyError("a bug"), lambda recipe, seed: seed > 0)
    with pytest.raises(KeyError, match="a bug"):
        refine(make_advice(GOOD), make_task(), trials=1, **SMALL)


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
    plain = refine_finals.train

    def train(task: Task, recipe: Recipe, *, device: str, **settings: object) -> Run:
        devices.append(device)
        return plain(task, recipe, device="cpu", **settings)

    monkeypatch.setattr(refine_finals, "train", train)
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


def test_worse_trials_are_pruned(storage: str) -> None:
    """Moves that make training far too slow: some of them must be ended early."""
    slow = GOOD.with_(optimizer={"name": "sgd", "lr": 1e-3})
    tuned = refine(
        make_advice(GOOD, CLIPPED, slow), make_task(), trials=14, storage=storage, **SMALL
    )
    trials = trials_of(storage)
    pruned = [trial for trial in trials if trial.state.name == "PRUNED"]
    assert len(pruned) == tuned.pruned > 0
    assert all(trial.user_attrs["passes"] < STEPS for trial in pruned)
    assert not any("rank" in trial.user_attrs for trial in pruned)


def test_moves_from_the_best_follow_the_ranking(storage: str) -> None:
    refine(make_advice(GOOD, CLIPPED), make_task(), trials=6, storage=storage, **SMALL)
    trials = trials_of(storage)
    kept: list[Recipe] = []
    for trial in trials:
        recipe = Recipe.parse(trial.user_attrs["recipe"]["plain"])
        if trial.number >= 2:
            finished = [one for one in trials[: trial.number] if one.state.name == "COMPLETE"]
            best = min(finished, key=lambda one: one.value)
            centre = kept[best.number]
            assert moves(centre, 16)[trial.user_attrs["move"]] == recipe
        kept.append(recipe)
    assert len({trial.user_attrs["recipe"]["key"] for trial in trials}) == len(trials)


def test_later_trials_take_turns_between_gain_and_sampler(storage: str) -> None:
    refine(make_advice(GOOD, ODD), make_task(), trials=MOVES + 4, storage=storage, **SMALL)
    later = trials_of(storage)[MOVES:]
    assert [trial.user_attrs.get("exact", False) for trial in later] == [True, False, True, False]


def test_the_rest_of_the_ranking_may_be_tried(storage: str) -> None:
    """The sixth is far better than the first five and what lies near them."""
    slow = [GOOD.with_(optimizer={"name": "sgd", "lr": 1e-6 * (1 + i)}) for i in range(RANKED)]
    tuned = refine(
        make_advice(*slow, GOOD), make_task(), trials=MOVES + 3, storage=storage, **SMALL
    )
    assert tuned.best.optimizer.name == "adamw"
    assert "ranking 6" in [one.origin for one in tuned.ranking]


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


def test_a_file_without_the_newer_fields_is_read(tmp_path: Path) -> None:
    plain = json.loads(refine(make_advice(GOOD), make_task(), trials=1, **SMALL).to_json())
    assert plain.pop("expected_gain") is None  # one trial tells nothing
    assert plain.pop("stopped") == ""
    (tmp_path / "old.json").write_text(json.dumps(plain))
    assert Tuned.load(tmp_path / "old.json").expected_gain is None


def test_finals_out_of_time_compare_on_the_same_seeds() -> None:
    entries = [Entry(GOOD, "ranking 1"), Entry(ODD, "trial 3")]
    found, passes = run_finals(
        entries, make_task(), [1, 2], device="cpu", deadline=0.0, say=lambda line: None
    )
    assert [(one.recipe, len(one.validation)) for one in found] == [(GOOD, 1)]
    assert passes == pytest.approx(STEPS)


@pytest.mark.parametrize("gap", ["last", "earlier"])
def test_a_final_run_that_is_complete_at_the_deadline_counts(
    monkeypatch: pytest.MonkeyPatch, gap: str
) -> None:
    """The second run's deadline passes between its last two evaluations, or before them."""
    now = 0.0
    monkeypatch.setattr(pruning, "time", SimpleNamespace(monotonic=lambda: now))
    plain, runs = refine_finals.train, 0

    def train(task: Task, recipe: Recipe, *, watcher: Watcher, **settings: object) -> Run:
        nonlocal runs
        runs += 1
        second = runs == 2

        def watch(point: Point) -> bool:
            nonlocal now
            if second and (gap == "earlier" or point.step == STEPS):
                now = 2.0
            return watcher(point)

        return plain(task, recipe, watcher=watch, **settings)

    monkeypatch.setattr(refine_finals, "train", train)
    found, passes = run_finals(
        [Entry(GOOD, "ranking 1"), Entry(CLIPPED, "trial 3")], make_task(), [1, 2],
        device="cpu", deadline=1.0, say=lambda line: None,
    )  # fmt: skip
    assert {one.recipe.key for one in found} == (
        {GOOD.key, CLIPPED.key} if gap == "last" else {GOOD.key}
    )
    assert all(len(one.validation) == 1 for one in found)
    assert runs == 2
    assert (passes == pytest.approx(2 * STEPS)) is (gap == "last")


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


KILLED = """
import os, sys
sys.path.insert(0, {tests!r})
import advisor.refine, advisor.refine_search as module
from test_refine import GOOD, ODD, make_advice, make_task
plain, calls = module.try_training, []
def dying(*arguments, **settings):
    calls.append(1)
    if len(calls) == 2:
        os._exit(9)
    return plain(*arguments, **settings)
module.try_training = dying
advice = make_advice(GOOD, ODD)
advisor.refine.refine(advice, make_task(), trials=4, storage=sys.argv[1], device="cpu")
"""


@pytest.mark.slow
def test_a_killed_process_is_resumed(tmp_path: Path) -> None:
    place = f"sqlite:///{tmp_path}/trials.db"
    code = KILLED.format(tests=str(Path(__file__).parent))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    died = subprocess.run(
        [sys.executable, "-c", code, place], env=environment, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert died.returncode == 9
    assert [trial.state.name for trial in trials_of(place)] == ["COMPLETE", "RUNNING"]

    tuned = refine(make_advice(GOOD, ODD), make_task(), trials=3, storage=place, **SMALL)
    states = [trial.state.name for trial in trials_of(place)]
    assert states[:3] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert trials_of(place)[2].user_attrs["recipe"]["key"] == ODD.key
    assert tuned.trials == 4


def share_of_first(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs.argmax(1) == 0).float().mean()


def other_task(**changes: Any) -> Task:
    """The task of ``make_task`` with something changed."""
    task = make_task()
    settings = {
        "train": task.train, "validation": task.validation, "loss": task.loss,
        "steps": STEPS, "batch_size": 16, **changes,
    }  # fmt: skip
    return Task(model=task.model, name="tiny", **settings)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch_size": 8}, "batch_size is 8 and not 16"),
        ({"loss": "mse", "train": (torch.randn(120, 5), torch.randn(120, 3)),
          "validation": (torch.randn(40, 5), torch.randn(40, 3))}, "loss is mse and not cross_"),
        ({"train": (torch.randn(90, 5), torch.arange(90) % 3)}, "train_samples is 90 and not 120"),
        ({"metric": share_of_first}, "metric is share_of_first and not accuracy"),
    ],
    ids=["batch_size", "loss", "train_samples", "metric"],
)  # fmt: skip
def test_advice_for_another_task_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        refine(make_advice(GOOD), other_task(**changes), trials=1)


def test_a_changed_budget_passes_and_the_answer_tells_the_live_facts() -> None:
    tuned = refine(
        make_advice(GOOD, name="as it was called"), make_task(steps=8), trials=1, fresh_seeds=1
    )
    facts = tuned.task
    assert (facts.name, facts.steps, facts.batch_size, facts.train_samples, facts.device) == (
        "tiny", 8, 16, 120, "cpu",
    )  # fmt: skip


def test_progress_tells_up_front_how_many_trainings_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refine(make_advice(GOOD), make_task(), trials=2, finalists=1, fresh_seeds=2, progress=True)
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith("2 trials, ")
    assert "at most 4 final trainings (2 recipes on 2 fresh seeds)" in first
    assert len(rest) <= 6


def test_advice_read_back_is_equal(tmp_path: Path) -> None:
    advice = make_advice(GOOD, ODD).attach(make_task())
    advice.save(tmp_path / "advice.json")
    assert Advice.load(tmp_path / "advice.json") == advice
    assert make_advice(GOOD) != advice


def test_a_tuned_file_is_no_advice_and_the_other_way_round(tmp_path: Path) -> None:
    advice = make_advice(GOOD)
    advice.save(tmp_path / "advice.json")
    refine(advice, make_task(), trials=1, fresh_seeds=1).save(tmp_path / "tuned.json")
    with pytest.raises(UserError, match=r"tuned\.json, which is a tuned file"):
        Advice.load(tmp_path / "tuned.json")
    with pytest.raises(UserError, match=r"advice\.json, which is an advice file"):
        Tuned.load(tmp_path / "advice.json")


@pytest.mark.parametrize("rank", [0, 2, -1, True, 1.0, "1", None])
def test_a_rank_is_a_whole_number_of_the_ranking(tmp_path: Path, rank: Any) -> None:
    advice = make_advice(GOOD)
    advice.save(tmp_path / "advice.json")
    for call in (
        lambda: advice.export(rank=rank),
        lambda: load_ranked(tmp_path / "advice.json", rank),
    ):
        with pytest.raises(UserError, match="a rank from 1 to 1"):
            call()


def test_a_path_is_checked() -> None:
    for call in (lambda: make_advice(GOOD).save(7), lambda: make_advice(GOOD).export(7)):  # type: ignore[arg-type]
        with pytest.raises(UserError, match="a path as text"):
            call()


@pytest.mark.parametrize("field", ["batch_size", "steps"])
def test_facts_have_at_least_one(tmp_path: Path, field: str) -> None:
    file = tmp_path / "advice.json"
    plain = json.loads(make_advice(GOOD).to_json())
    plain["task"][field] = 0
    file.write_text(json.dumps(plain))
    with pytest.raises(UserError, match=rf"task\.{field}"):
        Advice.load(file)
