"""What a journal holds is told by its records, whatever keys they have and whatever is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from journals import RECIPES, filled, rekeyed, run

from knowledge_base.journal import Journal
from knowledge_base.state import State

TASK = "diabetes-mlp-1"
FAILED = {"task": TASK, "recipe": RECIPES[0].key, "seed": 1, "tier": 0, "reason": "it crashed"}


def test_keys_of_another_release_are_made_anew(tmp_path: Path) -> None:
    new = State.of(filled(tmp_path))
    old = State.of(rekeyed(filled(tmp_path / "b"), tmp_path / "old.log"))
    assert old.damaged == []
    assert set(old.recipes) == {recipe.key for recipe in RECIPES}
    assert list(old.runs) == list(new.runs)
    assert [run["recipe"] for run in old.runs.values()] == [key for _, key, _ in old.runs]
    assert old.has("wine-mlp-1", RECIPES[0].key, 0)


BAD = {
    "a recipe of an optimizer that is gone": ("recipe", {"key": "k", "recipe": {"optimizer": "x"}}),
    "a recipe without a key": ("recipe", {"recipe": RECIPES[0].plain()}),
    "a run without a result": ("run", {"task": TASK, "recipe": RECIPES[0].key, "seed": 0}),
    "a run with text for a number": ("run", {**run(seed=9), "final": "good"}),
    "a refusal of no task": ("refused", {"recipe": RECIPES[0].key, "reason": ""}),
    "a profile of no tier": ("profile", {"task": TASK, "seed": 0}),
    "a kind that is not known": ("dream", {}),
    "a key that is a list": ("failed", {**FAILED, "recipe": []}),
}


@pytest.mark.parametrize(("kind", "record"), BAD.values(), ids=BAD.keys())
def test_a_record_that_cannot_be_used_is_named_and_set_aside(
    tmp_path: Path, kind: str, record: dict[str, Any]
) -> None:
    journal = filled(tmp_path)
    whole = State.of(journal)
    with journal:
        journal.append(kind, record)
    state = State.of(journal)
    (damaged,) = state.damaged
    assert damaged.startswith(
        f"{journal.path}:10: {'record' if kind == 'dream' else kind} that cannot be used"
    )
    assert (state.runs, state.recipes, state.failed) == (whole.runs, whole.recipes, whole.failed)


def test_runs_of_a_recipe_that_is_gone_are_named(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    with journal:
        journal.append("recipe", {"key": "gone", "recipe": {"optimizer": "no such"}})
        journal.append("run", {**run(), "recipe": "gone"})
    state = State.of(journal)
    assert len(state.damaged) == 2
    assert "its recipe, gone, is lost" in state.damaged[1]
    assert len(state.runs) == 4


def test_what_failed_counts_until_it_is_done(tmp_path: Path) -> None:
    state = State()
    state.add("failed", FAILED)
    assert state.has(TASK, RECIPES[0].key, 1)
    assert not state.has(TASK, RECIPES[0].key, 0)
    state.add("run", run(TASK, seed=1))
    assert state.failed == {}
    state.add("failed", {**FAILED, "recipe": "", "tier": 16})
    assert state.has_profile(TASK, 16, 1)
    assert not state.has_profile(TASK, 64, 1)
    state.add("profile", {"task": TASK, "tier": 16, "seed": 1, "profile": {}})
    assert state.failed == {}


def test_a_stage_counts_what_came_after_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.log")
    with journal:
        journal.append("stage", {"stage": "reference", "total": 9, "began": 1.0})
        journal.append("recipe", {"key": RECIPES[0].key, "recipe": RECIPES[0].plain()})
        journal.append("run", run())
        journal.append("stage", {"stage": "repeat", "total": 4, "began": 5.0})
        journal.append("run", run(seed=1))
        journal.append("failed", FAILED)
    stage = State.of(journal).stage
    assert stage is not None
    assert (stage.name, stage.total, stage.began) == ("repeat", 4, 5.0)
    assert (stage.done, stage.failed) == (2, 1)
