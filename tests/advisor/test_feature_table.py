"""What a missing feature means: what the table says is what happens."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from advisor.feature_table import MEASURED, PAIR_FEATURES, TASK_FEATURES, TASK_GROUPS
from advisor.features import pair_features, task_features
from probes.profile import take_profile
from probes.recipe import catalogue
from probes.recipe.schema import Recipe
from probes.task import Task

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(64, 6, generator=GENERATOR)
CLASSES = torch.arange(64) % 3
UNMEASURED = {tier: {n for n, one in TASK_FEATURES.items() if one.tier > tier} for tier in (0, 16)}
"""Features that a profile of that tier does not measure."""
SEEN = {"depth", "log_width", "convolution", "recurrence", "attention", "residual", "embedding",
        "batch_norm", "any_norm", "saturating"}  # fmt: skip
TARGETS = {"classification", "regression", "tokens", "log_classes"}


def net(outputs: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, outputs))


def missing(task: Task, tier: int) -> set[str]:
    """Names of the features that a profile of the task leaves unknown."""
    values = take_profile(task, tier=tier, seed=0, device="cpu").values
    found = task_features(values, task.prepared.steps, task.prepared.batch_size)
    return {name for name, value in found.items() if math.isnan(value)}


def plain(**settings: Any) -> Task:
    return Task(net(), (INPUTS, CLASSES), **{"steps": 60, "batch_size": 8, **settings})


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(zip(INPUTS, CLASSES, strict=True))


def below_zero(model: nn.Module, batch: Any) -> torch.Tensor:
    return nn.functional.cross_entropy(model(batch[0]), batch[1]) - 9.0


def own_inputs(model: nn.Module, batch: Any) -> torch.Tensor:
    return model(batch["x"]).square().mean() + 1.0


class Refuses(torch.autograd.Function):
    """The identity, which cannot be differentiated."""

    @staticmethod
    def forward(context: Any, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.clone()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no such derivative")


class Kinked(Refuses):
    """The identity, which can be differentiated once."""

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return Refuses.apply(gradient)  # type: ignore[no-any-return, no-untyped-call]


class Once(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = net()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return Kinked.apply(self.layers(inputs))  # type: ignore[no-any-return, no-untyped-call]


def streamed() -> Task:
    loader = DataLoader(Stream(), batch_size=8)
    return Task(net(), (loader, (INPUTS, CLASSES)), steps=60)


def embedded() -> Task:
    model = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(16, 3))
    return Task(model, (torch.arange(256).reshape(64, 4) % 9, CLASSES), steps=60, batch_size=8)


def unseen() -> Task:
    loader = DataLoader([{"x": one} for one in INPUTS], batch_size=8)  # type: ignore[arg-type]
    return Task(net(1), (loader, loader), training_step=own_inputs, steps=60)


CASES: dict[str, tuple[Callable[[], Task], set[str]]] = {
    "nothing": (plain, set()),
    "a loader that does not tell its length": (
        streamed, {"log_epochs", "log_samples", "parameters_per_sample"},
    ),
    "a batch that has no halves": (lambda: plain(batch_size=7), {"batch_over_noise"}),
    "inputs that are token ids": (embedded, {"input_condition"}),
    "inputs of which one number varies": (
        lambda: Task(nn.Linear(1, 3), (INPUTS[:, :1], CLASSES), steps=60, batch_size=8),
        {"input_condition"},
    ),
    "targets that are all alike": (
        lambda: Task(net(), (INPUTS, CLASSES * 0), steps=60, batch_size=8), {"loss_over_chance"},
    ),
    "real targets with a loss that has no known guess": (
        lambda: Task(net(), (INPUTS, INPUTS[:, :3]), loss="huber", steps=60, batch_size=8),
        {"loss_over_chance"},
    ),
    "a loss below 0": (
        lambda: plain(training_step=below_zero), {"generalization", "sharpness_gradient"},
    ),
    "targets known to a training step alone": (
        unseen, TARGETS | {"loss_over_chance"},
    ),
    "a loss without a second derivative": (
        lambda: Task(Once(), (INPUTS, CLASSES), steps=60, batch_size=8),
        {"sharpness", "sharpness_gradient"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", CASES)
def test_what_is_missing_and_why(why: str) -> None:
    make, unknown = CASES[why]
    assert missing(make(), 16) == unknown | UNMEASURED[16]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_a_scripted_part_does_is_not_seen() -> None:
    def model() -> nn.Module:
        return nn.Sequential(torch.jit.trace(net(), INPUTS[:2]))

    found = missing(Task(model, (INPUTS, CLASSES), steps=60, batch_size=8), 0)
    assert found == SEEN | UNMEASURED[0]


@pytest.mark.parametrize("tier", [0, 16, 64, pytest.param(256, marks=pytest.mark.slow)])
def test_a_tier_measures_what_the_table_says(tier: int) -> None:
    assert missing(plain(), tier) == {n for n, one in TASK_FEATURES.items() if one.tier > tier}


def test_what_is_never_missing_needs_no_profile() -> None:
    found = task_features({}, steps=100, batch_size=8)
    known = {name for name, value in found.items() if not math.isnan(value)}
    assert known == {n for n, one in TASK_FEATURES.items() if one.absence == "never missing"}


def test_what_needs_training_is_what_has_a_tier() -> None:
    assert set(MEASURED) == UNMEASURED[0]
    assert {*TASK_GROUPS["course"], *TASK_GROUPS["races"]} <= set(MEASURED)


@pytest.mark.parametrize("optimizer", catalogue.table("optimizer"))
def test_pairs_are_missing_where_the_table_says(optimizer: str) -> None:
    recipe = Recipe.parse({"optimizer": optimizer})
    pair = pair_features(task_features({}, 100, 8), recipe, 100, 8)
    unknown = {name for name, value in pair.items() if math.isnan(value)}
    assert unknown == {n for n, one in PAIR_FEATURES.items() if one.missing}
