"""Refinement keeps to the limit of memory that its advice was made with."""

from __future__ import annotations

import time
from typing import Any

import pytest
from refine_cases import (
    CLIPPED,
    GOOD,
    ODD,
    SMALL,
    WHOLE_SEARCHES,
    make_advice,
    make_task,
    soonest,
    trials_of,
)

from advisor.advice import Advice
from advisor.candidates import Applicable
from advisor.goal import Goal
from advisor.refine import refine
from advisor.refine_search import MOVES, Search
from advisor.refine_space import Neighbourhood
from advisor.refine_study import enqueue_ranking, open_study, study_name
from probes.errors import UserError

pytestmark = WHOLE_SEARCHES
WEIGHTS = 4 * (5 * 8 + 8 + 8 * 3 + 3)
"""Bytes of the task's model."""
ADAMW, MOMENTUM = 4 * WEIGHTS, 3 * WEIGHTS
"""Weights, gradients, and two or one numbers of state for each."""
AVERAGED = ODD.with_(averaging="ema")
"""Momentum with one more copy of the weights: as much as AdamW."""


def limited(advice: Advice, limit: int | None) -> Advice:
    return advice.model_copy(update={"max_memory": limit})


@pytest.mark.parametrize("told", ["by the advice", "by refine"])
def test_nothing_that_exceeds_the_limit_is_trained(storage: str, told: str) -> None:
    """GOOD comes first and is far better; every move of it would exceed the limit as well."""
    advice, settings = make_advice(GOOD, ODD, AVERAGED), dict[str, Any](SMALL)
    if told == "by the advice":
        advice = limited(advice, MOMENTUM)
    else:
        settings["max_memory"] = f"{MOMENTUM}B"
    tuned = refine(advice, make_task(), trials=MOVES + 2, storage=storage, **settings)

    assert tuned.max_memory == MOMENTUM
    assert f"limit: {MOMENTUM} B for weights" in str(tuned)
    recipes = [one.recipe for one in tuned.ranking]
    assert {one.optimizer.name for one in recipes} == {"momentum"}
    assert not any(one.averaging for one in recipes)
    name = study_name(make_task(), advice.task, max_memory=MOMENTUM)
    kept = open_study(storage, name, seed=0).get_trials()
    assert len(kept) == MOVES + 2
    for trial in kept:
        plain = trial.user_attrs["recipe"]["plain"]
        assert plain["optimizer"]["name"] == "momentum"
        assert plain["averaging"] is None


def test_without_a_limit_nothing_is_left_out(storage: str) -> None:
    tuned = refine(make_advice(GOOD, ODD), make_task(), trials=2, storage=storage, **SMALL)
    assert tuned.max_memory is None
    assert "limit:" not in str(tuned)
    assert trials_of(storage)[0].user_attrs["recipe"]["key"] == GOOD.key


def test_what_the_sampler_draws_beyond_the_limit_is_not_trained() -> None:
    task = make_task()
    study = open_study(None, "one", seed=0)
    space = Neighbourhood([GOOD], cross_entropy=True)
    enqueue_ranking(study, space, [GOOD])
    search = Search(study, space, task, Applicable(task, MOMENTUM))
    search.run(1, time.monotonic(), None, 0)
    (trial,) = study.get_trials()
    assert f"max_memory, got one that needs {ADAMW} bytes" in trial.user_attrs["error"]
    assert search.passes == 0.0


def test_a_study_with_a_limit_goes_on_from_none_without() -> None:
    task, facts = make_task(), make_advice(GOOD).task
    names = [study_name(task, facts, max_memory=limit) for limit in (None, ADAMW, MOMENTUM)]
    assert len(set(names)) == 3
    assert study_name(task, facts) == names[0]


def test_a_limit_below_the_whole_ranking_is_refused() -> None:
    with pytest.raises(UserError, match="a max_memory that a recipe of the ranking keeps to"):
        refine(limited(make_advice(GOOD, CLIPPED), MOMENTUM), make_task(), trials=1, **SMALL)
    with pytest.raises(UserError, match="max_memory as bytes"):
        refine(make_advice(GOOD), make_task(), trials=1, **SMALL, max_memory="lots")


@pytest.mark.parametrize("target", [None, 0.9])
def test_a_target_is_not_measured_beyond_the_limit(storage: str, target: float | None) -> None:
    """AdamW 1e-3 cosine, which would set it, exceeds the limit; a target of one's own does not."""
    task = make_task()
    advice = limited(soonest(make_advice(ODD), task, target), MOMENTUM)
    if target is None:
        with pytest.raises(UserError, match=r"AdamW 1e-3 cosine.*target of your own"):
            refine(advice, task, trials=1, storage=storage, **SMALL)
        return
    refine(advice, task, trials=1, storage=storage, **SMALL)
    name = study_name(task, advice.task, Goal("fastest", target), max_memory=MOMENTUM)
    assert len(open_study(storage, name, seed=0).get_trials()) == 1
