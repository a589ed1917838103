"""One piece of work gives a record whatever becomes of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from knowledge_base import work
from knowledge_base.limits import Limits
from knowledge_base.records import RunRecord
from knowledge_base.reference import COPIED
from knowledge_base.tasks import task_row
from knowledge_base.work import SEVERAL, Item, attempt, failure
from probes.recipe.schema import Recipe

TASK = "wine-mlp-1"


def item(recipe: Recipe = COPIED, task: str = TASK) -> Item:
    return Item(task, recipe.model_dump_json(by_alias=True))


def test_a_run_that_diverges_ends_early() -> None:
    recipe = Recipe.parse({"optimizer": {"name": "sgd", "lr": 1e4}})
    _, kind, record = attempt(item(recipe), Limits())
    run = RunRecord.model_validate(record)
    assert (kind, run.diverged) == ("run", True)
    assert math.isnan(run.final)
    assert run.steps <= 32 < task_row(TASK).steps
    assert run.curve_steps[-1] == run.steps


def test_a_recipe_that_cannot_serve_is_refused() -> None:
    _, kind, record = attempt(item(COPIED.with_(batch_size=4096)), Limits())
    assert kind == "refused"
    assert "batch size" in record["reason"]


TROUBLE = {
    "a method's own trouble": (RuntimeError("singular matrix"), "failed", "singular matrix"),
    "no memory": (MemoryError("2 GiB"), "failed", "2 GiB"),
    "a broken installation": (ImportError("no ray"), "stop", "a whole installation"),
}


@pytest.mark.parametrize(("error", "kind", "said"), TROUBLE.values(), ids=TROUBLE.keys())
def test_errors_become_records(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: str, said: str
) -> None:
    def troubled(item: Item) -> None:
        raise error

    monkeypatch.setattr(work, "run_item", troubled)
    _, found, record = attempt(item(), Limits())
    assert found == kind
    assert said in str(record)
    if kind == "failed":
        assert record == failure(item(), record["reason"])
        assert type(error).__name__ in record["reason"]
        assert "test_work.py:" in record["reason"]


def test_what_the_user_must_mend_is_told_in_full() -> None:
    _, kind, record = attempt(item(task="wine-mlp"), Limits())
    assert kind == "stop"
    assert "did you mean wine-mlp-1" in record["fix"]


def test_a_failed_profile_has_no_recipe() -> None:
    assert failure(Item(TASK, tier=16, seed=2), "x") == {
        "task": TASK, "recipe": "", "seed": 2, "tier": 16, "reason": "x",
    }  # fmt: skip


def together(*recipes: Recipe) -> Item:
    first, *others = map(item, recipes)
    return replace(first, others=tuple(others))


def adamw(rate: float) -> Recipe:
    return Recipe.parse({"optimizer": {"name": "adamw", "lr": rate}})


MUON = Recipe.parse({"optimizer": "muon"})
"""There is no stacked update for it."""


def form(chosen: str) -> Callable[..., str]:
    """A choice of that form for whatever is given."""
    return lambda task, members, **settings: chosen if len(members) > 1 else "single"


@pytest.mark.slow
def test_a_worker_gives_back_what_it_has_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.stacked.choose", form("single"))
    recipes = [adamw(1e-3), MUON, adamw(1e-2)]
    left, done = [together(*recipes)], []
    while left:
        given, kind, record = attempt(left.pop(), Limits())
        if kind == SEVERAL:
            assert len(record["results"]) == 1, "one that is killed costs one run"
            assert [one.others for one in record["left"]] == [()] * (len(recipes) - 1)
            left += record["left"]
            ((given, kind, record),) = record["results"]
        assert (kind, record["recipe"]) == ("run", Recipe.model_validate_json(given.recipe).key)
        done.append(record["recipe"])
    assert sorted(done) == sorted(recipe.key for recipe in recipes)


@pytest.mark.slow
def test_a_stack_comes_back_at_once_and_the_others_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for place in ("probes.stacked.choose", "probes.stacked.choice.choose"):
        monkeypatch.setattr(place, form("stacked"))
    sgd = [Recipe.parse({"optimizer": {"name": "sgd", "lr": rate}}) for rate in (0.1, 0.2)]
    recipes = [MUON, adamw(1e-3), sgd[0], adamw(1e-2), sgd[1]]
    _, kind, record = attempt(together(*recipes), Limits())
    assert kind == SEVERAL
    assert [(how, run["recipe"]) for _, how, run in record["results"]] == [
        ("run", recipes[1].key), ("run", recipes[3].key)
    ]  # fmt: skip
    assert all(math.isnan(run["seconds_per_step"]) for _, _, run in record["results"])
    assert record["left"] == [together(*sgd), item(MUON)]


def test_a_stack_that_comes_to_nothing_is_done_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **settings: Any) -> None:
        raise RuntimeError("no memory for all of them")

    monkeypatch.setattr("probes.stacked.choose", form("stacked"))
    monkeypatch.setattr("probes.stacked.train_many", broken)
    _, _, record = attempt(together(adamw(1e-3), adamw(1e-2)), Limits())
    assert [how for _, how, _ in record["results"]] == ["run"]
    assert record["left"] == [item(adamw(1e-2))]
