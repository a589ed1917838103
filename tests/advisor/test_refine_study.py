"""What is kept of a search: resumed, joined, claimed by one process, and given up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from refine_cases import (
    GOOD,
    ODD,
    SMALL,
    WHOLE_SEARCHES,
    make_advice,
    make_task,
    trials_of,
)

from advisor import refine_study
from advisor.fitted_file import FOLDER
from advisor.goal import Goal
from advisor.refine import refine
from advisor.refine_space import Neighbourhood
from advisor.refine_study import open_study, study_name
from advisor.shipped import load_shipped
from probes.errors import UserError

pytestmark = WHOLE_SEARCHES


@pytest.mark.parametrize("storage", [5, True, b"trials.db", ["trials.db"]])
def test_a_storage_is_a_text_or_a_path(
    storage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="a storage as a database URL or the path of a journal"):
        refine(make_advice(GOOD), make_task(), trials=1, storage=storage, **SMALL)
    assert not list(tmp_path.iterdir())


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


def test_times_by_other_models_or_on_another_device_are_of_another_study(tmp_path: Path) -> None:
    task, own = make_task(), tmp_path / "meta_model_0.json"
    facts, soonest = make_advice(GOOD).task, Goal("fastest", 0.9)
    shutil.copy(FOLDER / own.name, own)
    name = study_name(task, facts, soonest)
    assert study_name(task, facts, soonest, models=tmp_path) == name, "the same times"
    data = json.loads(own.read_text())
    data["relative_seconds"]["muon"] *= 2
    own.write_text(json.dumps(data))
    load_shipped.cache_clear()
    others = [
        study_name(task, facts, soonest, models=tmp_path),
        study_name(task, facts, soonest, device="cuda"),
        study_name(task, facts, Goal("fastest", 0.8)),
        study_name(task, facts),
    ]
    assert len({name, *others}) == 5
    cards = (study_name(task, facts, soonest, device=f"cuda:{card}") for card in range(2))
    assert set(cards) == {others[1]}
    best = Goal("best", None)
    assert study_name(task, facts, best, device="cuda", models=tmp_path) == others[3]


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


KILLED = """
import os, sys
sys.path.insert(0, {tests!r})
import advisor.refine, advisor.refine_search as module
from refine_cases import GOOD, ODD, make_advice, make_task
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
