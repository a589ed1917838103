"""Final trainings: seeds of their own, errors, and the deadline."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
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

from advisor import attempt, pruning
from advisor.refine import refine
from advisor.refine_finals import Entry, run_finals, unused_seeds
from advisor.refine_objective import DIVERGED
from probes.recipe.schema import Recipe
from probes.run import Point, Run
from probes.task import Task
from probes.training import Watcher

pytestmark = WHOLE_SEARCHES


def test_finals_run_on_seeds_that_the_search_did_not_use(
    storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import advisor.refine_finals as finals

    seeds: list[int] = []
    plain = finals.try_training

    def spying(task: Task, recipe: Recipe, *, seed: int, **settings: object) -> object:
        seeds.append(seed)
        return plain(task, recipe, seed=seed, **settings)

    monkeypatch.setattr(finals, "try_training", spying)
    refine(make_advice(GOOD), make_task(), trials=1, storage=storage, seed=1, **SMALL)
    assert set(seeds) == {2, 3}
    seeds.clear()
    refine(make_advice(GOOD), make_task(), trials=1, storage=storage, seed=0, **SMALL)
    assert set(seeds) == {2, 3}  # 1 was searched with before
    assert unused_seeds(5, [6, None, 8], 3) == [7, 9, 10]


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception, fails: Callable[..., bool]) -> None:
    """Let the trainings of a refinement fail for which ``fails(recipe, seed)`` is true."""
    plain = attempt.train

    def train(task: Task, recipe: Recipe, *, seed: int, **settings: object) -> Run:
        if fails(recipe, seed):
            raise error
        return plain(task, recipe, seed=seed, **settings)

    monkeypatch.setattr(attempt, "train", train)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("out of memory\nat all"), RuntimeError("out of memory")]
)
def test_an_error_of_one_run_costs_that_run_alone(
    monkeypatch: pytest.MonkeyPatch, storage: str, error: Exception
) -> None:
    failing(monkeypatch, error, lambda recipe, seed: recipe == ODD or seed == 2)
    tuned = refine(make_advice(ODD, GOOD), make_task(), trials=3, storage=storage, **SMALL)

    assert tuned.trials == 3
    assert trials_of(storage)[0].user_attrs["error"] == str(error)
    assert tuned.best != ODD
    assert tuned.ranking[0].origin.endswith("(failed on 1 of 2 fresh seeds: out of memory)")
    assert tuned.ranking[-1].recipe == ODD
    assert tuned.ranking[-1].origin == "ranking 1 (failed on 2 of 2 fresh seeds: out of memory)"


def test_an_error_of_every_run_is_raised(monkeypatch: pytest.MonkeyPatch, storage: str) -> None:
    failing(monkeypatch, RuntimeError("the model is wrong"), lambda *_: True)
    with pytest.raises(RuntimeError, match="the model is wrong"):
        refine(make_advice(GOOD), make_task(), trials=2, storage=storage, **SMALL)
    assert [trial.value for trial in trials_of(storage)] == [DIVERGED] * 2


def test_other_errors_are_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, KeyError("a bug"), lambda recipe, seed: seed > 0)
    with pytest.raises(KeyError, match="a bug"):
        refine(make_advice(GOOD), make_task(), trials=1, **SMALL)


def test_finals_out_of_time_compare_on_the_same_seeds() -> None:
    entries = [Entry(GOOD, "ranking 1"), Entry(ODD, "trial 3")]
    found, passes = run_finals(
        entries, make_task(), [1, 2], device="cpu", deadline=0.0, say=lambda line: None
    )
    assert [(one.recipe, len(one.validation)) for one in found] == [(GOOD, 1)]
    assert passes == pytest.approx(STEPS)


@pytest.mark.parametrize("gap", ["last", "earlier"])
def test_a_final_run_that_is_complete_at_the_deadline_counts(
    monkeypatch: pytest.MonkeyPatch, gap: str
) -> None:
    """The second run's deadline passes between its last two evaluations, or before them."""
    now = 0.0
    monkeypatch.setattr(pruning, "time", SimpleNamespace(monotonic=lambda: now))
    plain, runs = attempt.train, 0

    def train(task: Task, recipe: Recipe, *, watcher: Watcher, **settings: object) -> Run:
        nonlocal runs
        runs += 1
        second = runs == 2

        def watch(point: Point) -> bool:
            nonlocal now
            if second and (gap == "earlier" or point.step == STEPS):
                now = 2.0
            return watcher(point)

        return plain(task, recipe, watcher=watch, **settings)

    monkeypatch.setattr(attempt, "train", train)
    found, passes = run_finals(
        [Entry(GOOD, "ranking 1"), Entry(CLIPPED, "trial 3")], make_task(), [1, 2],
        device="cpu", deadline=1.0, say=lambda line: None,
    )  # fmt: skip
    assert {one.recipe.key for one in found} == (
        {GOOD.key, CLIPPED.key} if gap == "last" else {GOOD.key}
    )
    assert all(len(one.validation) == 1 for one in found)
    assert runs == 2
    assert (passes == pytest.approx(2 * STEPS)) is (gap == "last")
