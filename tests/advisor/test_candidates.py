"""Which recipes can serve a task, and what is tried around the promising ones."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from cases import CASES
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from advisor.candidates import Applicable, applicable, neighbours
from knowledge_base.reference import reference_recipes
from probes.recipe import catalogue
from probes.recipe.schema import Recipe
from probes.task import Task

SAMPLES = 60
INPUTS = torch.randn(SAMPLES, 6, generator=torch.Generator().manual_seed(0))


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def task(kind: str = "classes") -> Task:
    targets = torch.arange(SAMPLES) % 3 if kind == "classes" else INPUTS[:, :3].clone()
    data: Any = (INPUTS, targets)
    if kind == "loader":
        whole = TensorDataset(INPUTS, torch.arange(SAMPLES) % 3)
        sampler = WeightedRandomSampler([1.0] * SAMPLES, SAMPLES)
        loader = DataLoader(whole, batch_size=8, sampler=sampler)
        data = (loader, loader)
    return Task(net(), data, steps=50, batch_size=8)


def recipe(**fields: Any) -> Recipe:
    return Recipe.parse({"optimizer": {"name": "adamw", "lr": 1e-3}, **fields})


SMOOTHED = recipe(regularization={"label_smoothing": 0.1})
PARAMETERS = 6 * 8 + 8 + 8 * 3 + 3

REFUSED = [
    ("regression", SMOOTHED, None, "cross-entropy"),
    ("classes", recipe(batch_size=SAMPLES), None, "fewer samples"),
    ("loader", recipe(batch_size=16), None, "loader decides"),
    ("classes", recipe(), 4 * PARAMETERS * 4 - 1, "bytes"),
    ("classes", recipe(optimizer="momentum"), 3 * PARAMETERS * 4 - 1, "bytes"),
]
SERVED = [
    ("classes", SMOOTHED, None),
    ("classes", recipe(batch_size=16), None),
    ("loader", recipe(batch_size=8), None),
    ("regression", recipe(), None),
    ("classes", recipe(), 4 * PARAMETERS * 4),
    ("classes", recipe(optimizer="momentum"), 3 * PARAMETERS * 4),
]


@pytest.mark.parametrize(("kind", "wanted", "memory", "reason"), REFUSED)
def test_what_cannot_serve_says_why(
    kind: str, wanted: Recipe, memory: int | None, reason: str
) -> None:
    test = Applicable(task(kind), memory)
    assert reason in (test.reason(wanted) or "")
    assert applicable([wanted], test) == []


@pytest.mark.parametrize(("kind", "wanted", "memory"), SERVED)
def test_what_can_serve(kind: str, wanted: Recipe, memory: int | None) -> None:
    test = Applicable(task(kind), memory)
    assert test.reason(wanted) is None
    assert applicable([wanted], test) == [wanted]


def test_a_normalization_that_the_model_refuses() -> None:
    single = Task(nn.Linear(6, 3), (INPUTS, torch.arange(SAMPLES) % 3), steps=50, batch_size=8)
    assert "output layer" in (Applicable(single).reason(recipe(normalization="layer")) or "")
    assert Applicable(task()).reason(recipe(normalization="layer")) is None


def test_the_whole_reference_set_serves_a_plain_task() -> None:
    test = Applicable(task())
    assert applicable(reference_recipes(), test) == list(reference_recipes())
    # every optimizer takes a step on it
    firsts = {one.optimizer.name: one for one in reference_recipes()}
    assert all(test.steps_once(one) for one in firsts.values())


def test_a_step_that_an_optimizer_refuses() -> None:
    class Complex(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(6, 3, dtype=torch.complex64))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return (inputs.to(self.weight.dtype) @ self.weight).abs()

    test = Applicable(Task(Complex(), task().train, steps=50, batch_size=8, loss="cross_entropy"))
    found = {
        name: test.steps_once(recipe(optimizer=name)) for name in ("adamw", "adamax", "adafactor")
    }
    assert found["adamw"]
    assert not all(found.values())


class Hollow(nn.Linear):
    """Has a parameter without a number."""

    def __init__(self) -> None:
        super().__init__(6, 3)
        self.nothing = nn.Parameter(torch.empty(0, 4))


def test_an_empty_parameter_is_no_crash_and_the_reason_is_kept() -> None:
    test = Applicable(Task(Hollow(), task().train, steps=50, batch_size=8))
    assert test.last_failure is None
    assert not test.steps_once(recipe(optimizer="adafactor"))
    assert "adafactor: ZeroDivisionError" in (test.last_failure or "")
    assert test.steps_once(recipe())


def test_state_bytes_follow_the_catalogue() -> None:
    test = Applicable(task())
    assert test.weight_bytes == 4 * PARAMETERS
    for name, row in catalogue.table("optimizer").items():
        assert test.state_bytes(recipe(optimizer=name)) == int(4 * PARAMETERS * row.state)


def test_frozen_weights_have_neither_gradients_nor_state() -> None:
    model = nn.Sequential(nn.Linear(6, 100), nn.ReLU(), nn.Linear(100, 3))
    model[0].requires_grad_(False)
    frozen, trained = 4 * (6 * 100 + 100), 4 * (100 * 3 + 3)
    held = catalogue.table("optimizer")["adamw"].state
    needed = frozen + 2 * trained + int(held * trained)
    given = Task(model, task().train, steps=50, batch_size=8)
    assert Applicable(given, needed).reason(recipe()) is None
    assert f"needs {needed} bytes" in (Applicable(given, needed - 1).reason(recipe()) or "")


def test_the_users_model_stays_as_it_was() -> None:
    whole = task()
    before = copy.deepcopy(whole.model.state_dict())
    test = Applicable(whole)
    for one in (recipe(), recipe(normalization="weight"), recipe(optimizer="muon")):
        test.steps_once(one)
    after = whole.model.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.grad is None for parameter in whole.model.parameters())


def test_neighbours_of_the_reference_set() -> None:
    known = reference_recipes()
    found = neighbours(known[:20], known)
    assert len({one.key for one in found}) == len(found)
    smoothings = {one.regularization.label_smoothing for one in found}
    assert smoothings <= {one.regularization.label_smoothing for one in known}
    for one in found:
        rates = [r.optimizer.number("lr") for r in known if r.optimizer.name == one.optimizer.name]
        assert min(rates) <= one.optimizer.number("lr") <= max(rates)
    assert {one.regularization.early_stopping is None for one in found} == {True, False}


@pytest.mark.parametrize(
    "centre",
    [recipe(), recipe(clip={"name": "norm", "max": 1.0}, horizon=0.3),
     recipe(schedule={"name": "linear", "warmup": 0.05}, normalization="layer"),
     recipe(regularization={"label_smoothing": 0.05})],
)  # fmt: skip
def test_neighbours_keep_the_rest_of_a_recipe(centre: Recipe) -> None:
    ends = [recipe(optimizer={"name": "adamw", "lr": rate}) for rate in (1e-5, 1.0)]
    found = neighbours([centre], ends)
    assert centre in found
    for one in found:
        changed = one.with_(
            optimizer={**one.optimizer.model_dump(), "lr": centre.optimizer["lr"]},
            schedule=centre.schedule.model_dump(),
            regularization=centre.regularization.model_dump(),
        )
        assert changed == centre
        smoothing = one.regularization.label_smoothing
        assert smoothing == centre.regularization.label_smoothing
        if one.schedule.name == centre.schedule.name:
            assert one.schedule == centre.schedule
    rates = sorted({one.optimizer.number("lr") for one in found})
    assert rates[0] == pytest.approx(5e-4)
    assert rates[-1] == pytest.approx(2e-3)


@pytest.mark.parametrize(
    ("averaging", "schedule", "copies"),
    [(None, "constant", 0), ("ema", "constant", 1),
     ({"name": "deep_ensemble", "members": 5}, "constant", 5),
     ("snapshot_ensemble", {"name": "cosine_restarts", "cycles": 4}, 4)],
)  # fmt: skip
def test_memory_counts_averages_and_members(averaging: Any, schedule: Any, copies: int) -> None:
    test = Applicable(CASES["classifier"].make())
    recipe = Recipe.parse({"optimizer": "adamw", "averaging": averaging, "schedule": schedule})
    assert test.state_bytes(recipe) == (2 + copies) * test.weight_bytes
