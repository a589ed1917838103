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
    HORIZONS,
    Goal,
    parse_goal,
    parse_memory,
    rank_fastest,
    wanted_regret,
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


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [("best", 0.3, "fastest alone"), ("fast", None, "did you mean fastest"), ("", None, "goal"),
     ("fastest", float("nan"), "target"), ("fastest", "0.3", "target"),
     ("fastest", float("inf"), "target")],
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


@pytest.mark.parametrize("text", ["", "GB", "2 XB", "-1", -1, 0, "0GB", True, [1], "1e3", "nan"])
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

    def score(self, recipes: Sequence[Recipe]) -> np.ndarray:
        return self.loaded.model.scores(
            self.features, recipes, self.prepared.steps, self.prepared.batch_size
        )

    def wanted(self, target: float | None = None) -> tuple[float, str]:
        return wanted_regret(
            Goal("fastest", target), self.score, self.profile, self.loaded,
            self.loaded.model.similarities(self.features),
        )  # fmt: skip

    def rank(
        self, target: float | None = None, horizons: Sequence[float] = HORIZONS
    ) -> tuple[list[Recipe], Any, list[int], str]:
        wanted, words = self.wanted(target)
        return rank_fastest(
            self.pool, self.score, horizons, wanted, words, self.loaded, self.prepared, self.profile
        )


@pytest.fixture
def case(models_folder: Path) -> Case:
    return Case(models_folder)


def seconds(case: Case, recipe: Recipe) -> float:
    steps = recipe.steps_for(case.prepared.steps, case.prepared.batch_size)
    return case.loaded.relative_seconds[recipe.optimizer.name] * steps


def test_without_a_target_the_copied_recipe_sets_it(case: Case) -> None:
    wanted, words = case.wanted()
    assert wanted == case.score([COPIED])[0]
    assert "AdamW" in words


def test_a_target_lies_between_untrained_and_best(case: Case) -> None:
    targets = (synthetic.UNTRAINED * 0.999, 1.0, 0.5, 0.2, 1e-6)
    regrets = [case.wanted(target)[0] for target in targets]
    assert regrets == sorted(regrets, reverse=True)
    assert regrets[0] == pytest.approx(1.0, abs=0.01)
    assert regrets[-1] == 0.0, "what no known task reached is as good as the best known"
    assert case.wanted(0.5)[1] == "a validation loss of 0.5"


def test_reached_first_and_the_cheapest_in_front(case: Case) -> None:
    pool, scores, order, words = case.rank()
    assert sorted(order) == list(range(len(pool)))
    np.testing.assert_array_equal(scores, case.score(pool))
    wanted, _ = case.wanted()
    reached = [bool(scores[i] <= wanted) for i in order]
    assert any(reached)
    assert reached == sorted(reached, reverse=True)
    count = sum(reached)
    costs = [seconds(case, pool[i]) for i in order]
    assert costs[:count] == sorted(costs[:count])
    rest = [scores[i] for i in order[count:]]
    assert rest == sorted(rest)
    assert f"{count} of {len(pool)} candidates" in words


def test_shorter_horizons_come_first(case: Case) -> None:
    pool, _, order, _ = case.rank()
    assert {recipe.horizon for recipe in pool} == set(HORIZONS)
    assert pool[order[0]].horizon == min(HORIZONS)


def test_only_the_horizons_that_are_offered(case: Case) -> None:
    pool, _, order, _ = case.rank(horizons=(1.0,))
    assert pool == case.pool
    assert sorted(order) == list(range(len(pool)))


def test_a_harder_target_is_reached_by_fewer(case: Case) -> None:
    def count(target: float) -> int:
        words = case.rank(target)[3].split("; ")[1]
        return 0 if words.startswith("no candidate") else int(words.split(" of ")[0])

    counts = [count(target) for target in (1.5, 0.6, 0.25, 1e-6)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]
    assert "0.6" in case.rank(0.6)[3]


@pytest.mark.parametrize("target", [0.0, -1.0, float("nan"), True])
def test_targets_that_are_no_loss(target: float) -> None:
    with pytest.raises(UserError, match="above 0"):
        parse_goal("fastest", target)


@pytest.mark.parametrize("target", [synthetic.UNTRAINED, 50.0])
def test_targets_that_make_no_sense(case: Case, target: float) -> None:
    with pytest.raises(UserError):
        case.rank(target)


def test_a_target_needs_a_first_loss(case: Case) -> None:
    for name in ("landmark.initial_loss", "data.uniform_loss", "data.chance_loss"):
        case.profile.values.pop(name, None)
    with pytest.raises(UserError, match="raise the budget"):
        case.rank(0.5)
    assert np.isfinite(case.rank()[1]).all(), "without a target of its own nothing is missing"


def test_facts_alone_refuse_no_target(case: Case) -> None:
    """The loss of guessing is often below that of an untrained model: it is no bound."""
    del case.profile.values["landmark.initial_loss"]
    case.profile.values.update({"data.uniform_loss": 2.0, "data.chance_loss": 1.5})
    assert case.wanted(1.8)[0] < 1.0
    assert case.wanted(2.5)[0] == 1.0
