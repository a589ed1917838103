"""Searches are handed out in turn, one trial of a study at a time; nothing is trained here."""

from __future__ import annotations

from typing import Any

import pytest

from knowledge_base.stages import Plan, Searches, State
from knowledge_base.work import Item
from probes.recipe.schema import Recipe

A, B = TASKS = ("wine-mlp-1", "breast_cancer-mlp-1")


def searches(searched: int = 3, state: State | None = None) -> Searches:
    return Searches(state or State(), Plan(names=TASKS, searched=searched, recipes=()))


def taken(source: Searches) -> Item:
    item = source.take()
    assert item is not None
    assert item.role == "searched"
    return item


def answer(source: Searches, item: Item, final: float = 0.5) -> dict[str, Any]:
    key = Recipe.model_validate_json(item.recipe).key
    record = {"task": item.task, "recipe": key, "seed": 0, "role": "searched", "final": final,
              "diverged": False}  # fmt: skip
    source.told(item, "run", record)
    return record


def test_studies_take_turns_and_have_one_trial_in_flight() -> None:
    source = searches()
    first, second = taken(source), taken(source)
    assert (first.task, second.task) == TASKS
    assert source.take() is None, "both studies wait for what is in flight"
    assert len(source) == 4
    answer(source, second)
    assert taken(source).task == B, "the other one still flies"
    assert source.take() is None
    answer(source, first)
    assert taken(source).task == A


def test_one_worker_goes_round_the_tasks() -> None:
    source, order = searches(), []
    while (item := source.take()) is not None:
        order.append((item.task, item.trial))
        answer(source, item)
    assert order == [(name, trial) for trial in range(3) for name in TASKS]
    assert len(source) == 0


@pytest.mark.parametrize("kind", ["run", "refused"])
def test_a_study_learns_of_each_trial_before_the_next(kind: str) -> None:
    source = searches()
    first = taken(source)
    if kind == "run":
        answer(source, first, final=0.25)
    else:
        source.told(first, kind, {"task": first.task, "recipe": "", "reason": "no"})
    values = [trial.value for trial in source._study(A).trials]
    assert values == ([0.25] if kind == "run" else [1e6])
    taken(source)
    while (item := source.take()) is not None:
        answer(source, item)
    states = [trial.state.name for trial in source._study(A).trials]
    assert states[0] == "COMPLETE"


def test_a_search_is_taken_up_where_it_stopped() -> None:
    source, state = searches(), State()
    for _ in range(3):
        item = taken(source)
        record = answer(source, item, final=0.125)
        plain = Recipe.model_validate_json(item.recipe).plain()
        state.add("recipe", {"key": record["recipe"], "recipe": plain})
        state.add("run", record)
    again = searches(state=state)
    assert len(again) == 3
    assert [taken(again).task, taken(again).task] == [A, B]
    assert [trial.value for trial in again._study(A).trials if trial.value] == [0.125] * 2
    assert len(searches(searched=1, state=state)) == 0
