"""Goals, and what their targets are on the scale of regrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic
import torch
from torch import nn

from advisor.goal import (
    Goal,
    parse_goal,
    wanted_level,
)
from advisor.shipped import Loaded, load_shipped
from knowledge_base.tasks import task_rows
from probes.errors import UserError
from probes.profile import Profile
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

    def wanted(self, target: float | None = None) -> tuple[float | None, str]:
        return wanted_level(
            Goal("fastest", target), self.profile, self.loaded,
            self.loaded.model.similarities(self.features),
        )  # fmt: skip

    def level(self, target: float) -> float:
        level = self.wanted(target)[0]
        assert level is not None
        return level


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
