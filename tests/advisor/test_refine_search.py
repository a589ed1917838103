"""What is tried, in which order: the ranking, moves from the best, then the sampler's."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from refine_cases import (
    CLIPPED,
    GOOD,
    ODD,
    SMALL,
    STEPS,
    WHOLE_SEARCHES,
    make_advice,
    make_task,
    trials_of,
)

from advisor import refine_study
from advisor.candidates import Applicable
from advisor.curves import FILE, SCHEMA, load_allowance
from advisor.refine import RANKED, refine
from advisor.refine_moves import moves
from advisor.refine_search import MOVES, Search
from advisor.refine_space import Neighbourhood
from advisor.refine_study import open_study, study_name
from probes.errors import UserError
from probes.recipe.schema import Recipe

pytestmark = WHOLE_SEARCHES


def test_the_ranking_is_tried_first_exactly_and_unpruned(storage: str) -> None:
    refine(make_advice(GOOD, ODD, CLIPPED), make_task(), trials=5, storage=storage, **SMALL)

    trials = trials_of(storage)
    assert [trial.user_attrs["recipe"]["key"] for trial in trials[:3]] == [
        GOOD.key, ODD.key, CLIPPED.key,
    ]  # fmt: skip
    assert [trial.state.name for trial in trials[:3]] == ["COMPLETE"] * 3
    assert all("rank" not in trial.user_attrs for trial in trials[3:])
    assert len(trials) == 5


def test_a_long_run_is_cut_at_the_deadline_and_comes_back(storage: str) -> None:
    long = make_task(steps=100_000)
    advice = make_advice(GOOD, steps=100_000)
    study = open_study(storage, study_name(long, advice.task), seed=0)
    space = Neighbourhood([GOOD], cross_entropy=True)
    refine_study.enqueue_ranking(study, space, [GOOD])
    search = Search(study, space, long, Applicable(long))
    search.run(1, time.monotonic(), 0.05, 0)
    (cut,) = study.get_trials()
    assert cut.state.name == "FAIL"
    assert cut.user_attrs["cut"]
    assert 0 < search.passes < 50_000
    refine_study.enqueue_ranking(study, space, [GOOD])
    assert [trial.state.name for trial in study.get_trials()] == ["FAIL", "WAITING"]


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


def test_the_numbers_of_the_pruning_rule_come_with_the_models(tmp_path: Path) -> None:
    """A folder that allows any distance prunes nothing of what is pruned otherwise."""
    allowing = {"schema": SCHEMA, "constant": 99.0, "per_area": 0.0, "per_fall": 0.0}
    (tmp_path / FILE).write_text(json.dumps(allowing))
    slow = GOOD.with_(optimizer={"name": "sgd", "lr": 1e-3})
    advice, task = make_advice(GOOD, CLIPPED, slow), make_task()
    assert refine(advice, task, trials=14, models=tmp_path, **SMALL).pruned == 0
    advice.attach(task, tmp_path)
    assert advice.refine(trials=14).pruned == 0, "the folder that the advice rests on"
    (tmp_path / FILE).write_text("{}")
    load_allowance.cache_clear()
    with pytest.raises(UserError, match="advisor kb fit"):
        refine(advice, task, trials=1, models=tmp_path, **SMALL)


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
