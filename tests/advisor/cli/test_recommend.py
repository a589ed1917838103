"""``advisor recommend`` and ``advisor refine``: one document, a ranking, a file to go on from."""

from __future__ import annotations

import json
import shutil

import pytest
from user_files import CommandLine

from advisor.advice import Advice
from advisor.fitted_file import FOLDER
from advisor.tuned import Tuned

pytestmark = pytest.mark.slow
RECOMMEND = ("recommend", "talks.py:task", "--steps", "200")


def test_recommend_as_json(advisor: CommandLine) -> None:
    answer = advisor(*RECOMMEND, "--budget", "10%", "--json", "--out", "advice.json")
    assert answer.status == 0, answer.err
    advice = json.loads(answer.out)
    assert set(advice) >= {"schema", "task", "profile", "ranking", "probe", "abstained", "reason"}
    assert advice["schema"] == 1
    assert advice["task"]["steps"] == 200
    assert 0 < advice["probe"]["share"] <= 0.1
    first = advice["ranking"][0]
    assert set(first) >= {"recipe", "expected", "cost", "evidence"}
    assert first["expected"]["low"] <= first["expected"]["score"] <= first["expected"]["high"]
    assert set(first["cost"]) >= {"seconds_per_step", "passes_per_step", "state_bytes"}
    assert Advice.load("advice.json").to_json() == answer.out.rstrip("\n")


def test_the_path_from_advice_to_a_file(advisor: CommandLine) -> None:
    answer = advisor(*RECOMMEND, "--budget", "5s", "--out", "advice.json")
    assert answer.status == 0, answer.err
    advice = Advice.load("advice.json")
    assert f"1. {advice.best.describe()}" in answer.out
    assert f"3. {advice.ranking[2].recipe.describe()}" in answer.out
    assert "probe: " in answer.out
    assert "starting up took" in answer.err

    second = advisor("export", "advice.json", "--rank", "2", "--to", "json")
    assert json.loads(second.out)["optimizer"]["name"] == advice.ranking[1].recipe.optimizer.name
    past = str(len(advice.ranking) + 1)
    assert advisor("export", "advice.json", "--rank", past, "--to", "json").status == 2
    run = json.loads(advisor("train", "good.py:task", "--recipe", "advice.json", "--json").out)
    assert run["recipe"] == advice.best.plain()

    words = ("refine", "advice.json", "--task", "good.py:task", "--trials", "2")
    refined = advisor(*words, "--out", "tuned.json", "--json")
    assert refined.status == 0, refined.err
    tuned = Tuned.load("tuned.json")
    assert json.loads(refined.out)["trials"] == tuned.trials == 2
    assert advisor("export", "tuned.json", "--to", "torch").status == 0


def test_models_of_ones_own(advisor: CommandLine) -> None:
    own = advisor.folder / "own"
    own.mkdir()
    for name in ("meta_model_0.json", "candidates.npz", "times.npz", "curves.json"):
        shutil.copy(FOLDER / name, own)
    answer = advisor(*RECOMMEND, "--models", "own", "--out", "advice.json")
    assert answer.status == 0, answer.err
    assert "own has no meta_model_16.json" in answer.err
    assert Advice.load("advice.json").profile["tier"] == 0

    words = ("refine", "advice.json", "--task", "talks.py:task", "--trials", "1")
    refined = advisor(*words, "--models", "own", "--json")
    assert refined.status == 0, refined.err
    torn = advisor.folder / "torn"  # what was read from a folder is kept
    shutil.copytree(own, torn)
    (torn / "curves.json").write_text("torn")
    damaged = advisor(*words, "--models", "torn")
    assert (damaged.status, damaged.out) == (2, "")
    assert "curves.json, which is damaged; run advisor kb fit --out torn\n" in damaged.err
    (torn / "candidates.npz").write_bytes(b"torn")
    damaged = advisor(*RECOMMEND, "--models", "torn")
    assert (damaged.status, damaged.out) == (2, "")
    assert "candidates.npz, which is damaged; run advisor kb fit --out torn\n" in damaged.err
