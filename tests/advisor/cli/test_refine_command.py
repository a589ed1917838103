"""``advisor refine``: what the outlook says, and which shares are a gain."""

from __future__ import annotations

import json

import pytest
from user_files import CommandLine

from advisor.advice import Advice
from advisor.answer import TaskFacts
from advisor.cli.refine import _share
from advisor.tuned import Finalist, Tuned
from probes.errors import UserError
from probes.recipe.schema import Recipe

RECIPE = Recipe.parse({"optimizer": {"name": "adamw", "lr": 0.01}})


@pytest.mark.parametrize(("text", "share"), [("0", 0.0), ("0.02", 0.02), ("1e-4", 1e-4)])
def test_a_share_is_read(text: str, share: float) -> None:
    assert _share(text) == share


@pytest.mark.parametrize("text", ["1", "-0.1", "nan", "1%", "little", ""])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="min-gain from 0 up to 1"):
        _share(text)


@pytest.mark.parametrize(
    ("gain", "stopped", "said"),
    [
        (0.0123, "", "one more trial is expected to lower the best loss by 1.2 %"),
        (0.0123, "the time for trials is up", "stopped: the time for trials is up"),
        (None, "", "12 trials, 3 of them pruned"),
    ],
)
def test_the_last_line_is_the_outlook(gain: float | None, stopped: str, said: str) -> None:
    facts = TaskFacts(
        name="tiny", loss="mse", metric=None, batch_size=8, steps=10, train_samples=80, device="cpu"
    )
    finalist = Finalist(recipe=RECIPE, validation=(0.1,), median=0.1, origin="ranking 1")
    tuned = Tuned(
        task=facts, ranking=(finalist,), trials=12, pruned=3, passes=90.0, seconds=1.0,
        expected_gain=gain, stopped=stopped,
    )  # fmt: skip
    assert str(tuned).splitlines()[-1].startswith(said)
    assert "goal best: the best result at the end" in str(tuned)


@pytest.mark.parametrize(
    ("words", "said"),
    [((), "with --storage FILE they are kept"), (("--storage", "s.log"), "kept in s.log")],
)
def test_an_interrupt_tells_what_becomes_of_the_trials(
    advisor: CommandLine, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    class Interrupted:
        def refine(self, **settings: object) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(Advice, "load", lambda path: Interrupted())
    answer = advisor("refine", "advice.json", "--task", "good.py:task", *words)
    assert answer.status == 130
    assert said in answer.err


@pytest.mark.slow
def test_the_goal_goes_from_recommend_to_refine(advisor: CommandLine) -> None:
    words = ("recommend", "good.py:task", "--steps", "200", "--goal", "fastest")
    words = (*words, "--max-memory", "512MB")
    answer = advisor(*words, "--target", "1.05", "--out", "advice.json", "--explain")
    assert answer.status == 0, answer.err
    assert answer.out.count("goal fastest: soonest to a validation loss of 1.05") == 2
    told = json.loads((advisor.folder / "advice.json").read_text())
    assert (told["goal"], told["target"]) == ("fastest", 1.05)
    assert told["max_memory"] == 512 * 10**6

    refine = ("refine", "advice.json", "--task", "good.py:task", "--trials", "3")
    people = advisor(*refine, "--out", "tuned.json")
    assert people.status == 0, people.err
    assert "goal fastest: soonest to a validation loss of 1.05 (as asked)" in people.out
    assert "TO TARGET PER FRESH SEED" in people.out
    assert "target: a validation loss of 1.05, as asked" in people.err
    tuned = json.loads(advisor(*refine, "--json").out)
    assert (tuned["goal"], tuned["target"], tuned["target_origin"]) == ("fastest", 1.05, "as asked")
    assert tuned["max_memory"] == 512 * 10**6
    assert json.loads(advisor(*refine, "--max-memory", "1GiB", "--json").out)["max_memory"] == 2**30
    assert len(tuned["ranking"][0]["to_target"]) == 3
    assert Tuned.load(advisor.folder / "tuned.json").goal == "fastest"
    assert advisor("export", "tuned.json", "--to", "torch").status == 0
