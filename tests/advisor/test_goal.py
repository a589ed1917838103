"""Goals, memory limits as people write them, and the order for "fastest"."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from advisor.goal import (
    Goal,
    order_by_seconds,
    parse_goal,
    parse_memory,
    wanted_level,
)
from advisor.shipped import Loaded, load_shipped
from knowledge_base.reference import COPIED
from knowledge_base.tasks import task_rows
from probes.errors import UserError
from probes.profile import Profile
from probes.recipe.schema import Recipe
from probes.task import Task


def test_goals() -> None:
    assert parse_goal("best", None) == Goal("best", None)
    assert parse_goal("fastest", None) == Goal("fastest", None)
    assert parse_goal("fastest", 0.25) == Goal("fastest", 0.25)
    assert parse_goal("fastest", np.float32(0.5)) == Goal("fastest", 0.5)


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [("best", 0.3, "fastest alone"), ("fast", None, "did you mean fastest"), ("", None, "goal"),
     ("fastest", float("nan"), "target"), ("fastest", "0.3", "target"),
     ("fastest", float("inf"), "target"), ("fastest", 10**400, "target")],
)  # fmt: skip
def test_wrong_goals(name: str, target: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_goal(name, target)


@pytest.mark.parametrize(
    ("text", "size"),
    [(None, None), (1024, 1024), (2.5e9, 2_500_000_000), ("2GB", 2 * 10**9), ("2 gb", 2 * 10**9),
     ("1.5KiB", 1536), ("4GiB", 4 * 2**30), ("300 MB", 3 * 10**8), ("7B", 7)],
)  # fmt: skip
def test_memory(text: Any, size: int | None) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    "text", ["", "GB", "2 XB", "-1", -1, 0, "0GB", True, [1], "1e3", "nan", 10**400]
)
def test_wrong_memory(text: Any) -> None:
    with pytest.raises(UserError, match="max_memory"):
        parse_memory(text)


@given(st.integers(1, 2**50))
def test_any_whole_number_is_bytes(size: int) -> None:
    assert parse_memory(size) == parse_memory(str(size)) == size


class Case:
    """A flat task with the fitted synthetic meta-model."""

    def __init__(self, folder: Path) -> None:
        self.loaded: Loaded = load_shipped(synthetic.TIER, folder)
        row = task_rows()[synthetic.TASKS[0]]
        self.values = synthetic.profile_values(row, "flat")
        self.features = synthetic.features(row, "flat")
        data = (torch.zeros(40, 2), torch.zeros(40, dtype=torch.long))
        task = Task(nn.Linear(2, 2), data, steps=row.steps, batch_size=8)
        self.prepared = task.prepared
        self.profile = Profile(
            tier=synthetic.TIER, passes=16.0, seconds=0.1, seconds_per_pass=0.01, seed=0,
            device="cpu", values=self.values, missing={},
        )  # fmt: skip
        self.pool = list(self.loaded.model.recipes)

    def wanted(self, target: float | None = None) -> tuple[float | None, str]:
        return wanted_level(
            Goal("fastest", target), self.profile, self.loaded,
            self.loaded.model.similarities(self.features),
        )  # fmt: skip

    def level(self, target: float) -> float:
        level = self.wanted(target)[0]
        assert level is not None
        return level

    def order(self, pool: Sequence[Recipe], shares: Sequence[float]) -> list[int]:
        return order_by_seconds(pool, np.asarray(shares), self.loaded, self.prepared, self.profile)


@pytest.fixture
def case(models_folder: Path) -> Case:
    return Case(models_folder)


def test_without_a_target_the_copied_recipe_sets_it(case: Case) -> None:
    level, words = case.wanted()
    assert level is None
    assert "AdamW 1e-3" in words


def test_a_target_lies_between_untrained_and_best(case: Case) -> None:
    targets = (synthetic.UNTRAINED * 0.999, 1.0, 0.5, 0.2, 1e-6)
    levels = [case.level(target) for target in targets]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] == pytest.approx(1.0, abs=0.01)
    assert levels[-1] == 0.0, "what no known task reached is as good as the best known"
    assert "a validation loss of 0.5" in case.wanted(0.5)[1]


def test_the_soonest_comes_first(case: Case) -> None:
    shares = np.linspace(0.9, 0.1, len(case.pool))
    same = [r for r in case.pool if r.optimizer.name == "adamw"]
    same = [r for r in same if r.clip is None and r.averaging is None]
    assert case.order(same, shares[: len(same)]) == list(reversed(range(len(same))))


def test_seconds_count_not_passes(case: Case) -> None:
    """A step of Muon takes twice as long as AdamW's in the synthetic knowledge base."""
    muon = next(r for r in case.pool if r.optimizer.name == "muon")
    assert case.order([muon, COPIED], [0.3, 0.5]) == [1, 0]
    assert case.order([muon, COPIED], [0.2, 0.5]) == [0, 1]


def test_a_smaller_batch_takes_more_steps_for_its_passes(case: Case) -> None:
    small = COPIED.with_(batch_size=case.prepared.batch_size // 2)
    ratio = case.loaded.step_ratio(small, case.prepared, case.profile)
    beside = case.loaded.step_ratio(COPIED, case.prepared, case.profile)
    assert 2 * ratio == pytest.approx(beside), "a step costs by its samples"
    assert case.order([small, COPIED], [0.4, 0.5]) == [0, 1]
    assert case.order([small, COPIED], [0.6, 0.5]) == [1, 0]


def test_several_passes_a_step_are_not_counted_twice(case: Case) -> None:
    sam = Recipe.parse({"optimizer": {"name": "sam", "lr": 0.1}, "schedule": "cosine"})
    a_pass = case.loaded.step_ratio(sam, case.prepared, case.profile) / sam.passes_per_step
    beside = case.loaded.step_ratio(COPIED, case.prepared, case.profile)
    even = beside / a_pass * 0.4
    assert case.order([sam, COPIED], [even * 0.99, 0.4]) == [0, 1]
    assert case.order([sam, COPIED], [even * 1.01, 0.4]) == [1, 0]


@pytest.mark.parametrize("target", [0.0, -1.0, float("nan"), True])
def test_targets_that_are_no_loss(target: float) -> None:
    with pytest.raises(UserError, match="above 0"):
        parse_goal("fastest", target)


@pytest.mark.parametrize("target", [synthetic.UNTRAINED, 50.0])
def test_targets_that_make_no_sense(case: Case, target: float) -> None:
    with pytest.raises(UserError):
        case.wanted(target)


def test_a_target_needs_a_first_loss(case: Case) -> None:
    for initial in (float("nan"), float("inf"), 0.0, -2.0):
        case.profile.values["landmark.initial_loss"] = initial
        with pytest.raises(UserError, match="leave target out"):
            case.wanted(0.5)
    assert case.wanted()[0] is None, "without a target of its own nothing is missing"
