"""What a pass takes, and the order by predicted seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import synthetic
import torch
from torch import nn

from advisor.shipped import Loaded, load_shipped
from advisor.step_time import order_by_seconds, seconds_a_pass
from knowledge_base.reference import COPIED
from knowledge_base.tasks import task_rows
from probes.profile import Profile
from probes.recipe.schema import Recipe
from probes.task import Task


class Case:
    """A flat task with the fitted synthetic meta-model."""

    def __init__(self, folder: Path) -> None:
        self.loaded: Loaded = load_shipped(synthetic.TIER, folder)
        row = task_rows()[synthetic.TASKS[0]]
        data = (torch.zeros(40, 2), torch.zeros(40, dtype=torch.long))
        task = Task(nn.Linear(2, 2), data, steps=row.steps, batch_size=8)
        self.prepared = task.prepared
        self.profile = Profile(
            tier=synthetic.TIER, passes=16.0, seconds=0.1, seconds_per_pass=0.01, seed=0,
            device="cpu", values=synthetic.profile_values(row, "flat"), missing={},
        )  # fmt: skip
        self.pool = list(self.loaded.model.recipes)

    def a_pass(self, recipe: Recipe) -> float:
        return seconds_a_pass(recipe, self.loaded, self.prepared, self.profile)

    def order(self, pool: Sequence[Recipe], shares: Sequence[float]) -> list[int]:
        return order_by_seconds(pool, np.asarray(shares), self.loaded, self.prepared, self.profile)


@pytest.fixture
def case(models_folder: Path) -> Case:
    return Case(models_folder)


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


def test_a_smaller_batch_is_not_taken_for_speed(case: Case) -> None:
    """Its step counts as long as one by the task's own, so its passes count for more."""
    small = COPIED.with_(batch_size=case.prepared.batch_size // 2)
    assert case.a_pass(small) == pytest.approx(2 * case.a_pass(COPIED))
    assert case.order([small, COPIED], [0.26, 0.5]) == [1, 0]
    assert case.order([small, COPIED], [0.24, 0.5]) == [0, 1]


def test_a_larger_batch_costs_by_its_samples(case: Case) -> None:
    large = COPIED.with_(batch_size=case.prepared.batch_size * 2)
    assert case.a_pass(large) == pytest.approx(case.a_pass(COPIED))


def test_several_passes_a_step_are_not_counted_twice(case: Case) -> None:
    sam = Recipe.parse({"optimizer": {"name": "sam", "lr": 0.1}, "schedule": "cosine"})
    a_pass = case.loaded.step_ratio(sam, case.prepared, case.profile) / sam.passes_per_step
    beside = case.loaded.step_ratio(COPIED, case.prepared, case.profile)
    even = beside / a_pass * 0.4
    assert case.order([sam, COPIED], [even * 0.99, 0.4]) == [0, 1]
    assert case.order([sam, COPIED], [even * 1.01, 0.4]) == [1, 0]
