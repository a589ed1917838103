from __future__ import annotations

import pytest

from advisor.evaluate.contenders import CONTENDERS, Setting
from advisor.evaluate.fixed_guesses import COPIED_NAME, FIXED_GUESSES
from advisor.evaluate.results import LiveTask
from knowledge_base.reference import COPIED

TASK = LiveTask(name="a", group="a", family="mlp", steps=10, seconds=0.1, target=0.3, noise=0.01)


@pytest.mark.parametrize("name", FIXED_GUESSES)
def test_a_fixed_guess_is_a_contender_that_tries_this_recipe(name: str) -> None:
    entry = CONTENDERS[name].entry(Setting(TASK, cross_entropy=True, trials=1, seed=0), 0)
    assert next(entry.start()).recipe == FIXED_GUESSES[name]


def test_what_is_copied_has_its_name() -> None:
    assert FIXED_GUESSES[COPIED_NAME] == COPIED
