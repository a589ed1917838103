"""A build takes the ladders along: a few recipes and the profiles, nothing searched or repeated."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from builders import RECIPES, TASKS, AnyTask, Here
from quick_work import quick

from knowledge_base.build import available_tasks, build
from knowledge_base.distinct import discounted_in
from knowledge_base.findings.outcomes import read_outcomes
from knowledge_base.journal import Journal
from knowledge_base.ladders import ladder_rows, large_rows
from knowledge_base.limits import Limits
from knowledge_base.reference import ladder_recipes
from knowledge_base.splits import load_folds
from knowledge_base.stages import tiers_for
from knowledge_base.store import pack
from knowledge_base.tasks import task_row
from knowledge_base.work import Item, Result

LARGE = "satimage-mlp-1@width2"


def made_up(item: Item, limits: Limits) -> Result:
    """In place of ``attempt``: nothing is trained."""
    if not item.tier:
        return quick(item, limits)
    return item, "profile", {"task": item.task, "tier": item.tier, "seed": item.seed, "profile": {}}


@pytest.mark.parametrize("tasks", [None, [LARGE], [TASKS[0]]], ids=["all", "a step", "an ordinary"])
def test_a_build_takes_the_ladders_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tasks: list[str] | None
) -> None:
    monkeypatch.setattr("knowledge_base.build.make_executor", partial(Here, work=made_up))
    monkeypatch.setattr("quick_work.MOMENT", 0.0)
    monkeypatch.setattr("knowledge_base.stages.built_task", lambda name: AnyTask)
    monkeypatch.setattr("knowledge_base.build.tasks_of", lambda tier: {
        name: task_row(name) for name in (TASKS[0], LARGE)
    })  # fmt: skip
    monkeypatch.setattr("knowledge_base.build.reference_recipes", lambda: RECIPES[:3])
    state = build(tmp_path / "journal.log", tasks=tasks, searched=2)
    runs = [run for run in state.runs.values() if run["task"] == LARGE]
    few = {} if tasks == [TASKS[0]] else {recipe.key for recipe in ladder_recipes()}
    assert Counter(run["recipe"] for run in runs) == Counter(few)
    assert {(run["seed"], run["role"]) for run in runs} <= {(0, "reference")}
    tiers = tiers_for(task_row(LARGE).steps) if few else ()
    wanted = {(tier, seed) for tier in tiers for seed in (0, 1, 2)}
    assert {(tier, seed) for name, tier, seed in state.profiles if name == LARGE} == wanted
    roles = Counter(run["role"] for run in state.runs.values() if run["task"] == TASKS[0])
    ordinary = tasks != [LARGE]
    assert (roles["reference"], roles["searched"]) == ((3, 2) if ordinary else (0, 0))
    assert (roles["repeat"] > 0) == ordinary


def test_the_ladders_are_of_the_cpu_tier() -> None:
    assert set(available_tasks("cpu")) & set(ladder_rows()) == set(large_rows())
    assert not set(available_tasks("gpu")) & set(ladder_rows())


@pytest.mark.slow
def test_a_step_of_a_ladder_is_built_and_counts_for_no_fold(tmp_path: Path) -> None:
    store = tmp_path / "journal.log"
    few = task_row(LARGE).model_copy(update={"steps": 8, "dataset": "wine"})
    with pytest.MonkeyPatch.context() as replaced:
        replaced.setattr("knowledge_base.build.make_executor", Here)
        replaced.setitem(ladder_rows(), LARGE, few)
        state = build(store, tasks=[LARGE], recipes=RECIPES[:1], stages=["reference", "profiles"])
    assert set(state.runs) == {(LARGE, RECIPES[0].key, 0)}
    assert {task for task, _, _ in state.profiles} == {LARGE}
    pack(Journal(store), tmp_path / "packed", "a test", {})
    assert discounted_in(tmp_path / "packed") == ()
    outcomes = read_outcomes(tmp_path / "packed")
    assert outcomes.rows == ()
    assert LARGE not in {name for fold in load_folds()["dataset"] for name in fold.train}
    assert task_row(LARGE).group == task_row("satimage-mlp-1").group, "left out with its base"
