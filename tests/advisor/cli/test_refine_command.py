"""``advisor refine``: what the outlook says, and which shares are a gain."""

from __future__ import annotations

import pytest

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
