"""``advisor recommend`` and ``advisor refine``: one document, a ranking, a file to go on from."""

from __future__ import annotations

import json

import pytest
from user_files import CommandLine

from advisor.advice import Advice
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
