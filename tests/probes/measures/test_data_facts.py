from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from facts_cases import CASES, context
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from probes.measures.data_facts import DataFacts, known_length
from probes.task import Task


def data_of(inputs: Tensor, targets: Tensor, outputs: int = 1, **options: Any) -> dict[str, float]:
    model = nn.Sequential(nn.Flatten(), nn.Linear(inputs[0].numel(), outputs))
    task = Task(model, (inputs, targets), (inputs, targets), steps=5, batch_size=8, **options)
    return DataFacts().measure(context(task))


@pytest.mark.parametrize("name", CASES)
def test_data_facts_are_those_worked_out_by_hand(name: str) -> None:
    case = CASES[name]
    found = DataFacts().measure(context(case.make()))
    spread = {"data.target_std": 0.8, "data.chance_loss": 4.5, "data.target_kurtosis": 1.5,
              "data.zeros": 0.05, "data.class_balance": 0.01}  # fmt: skip
    for key, value in case.data.items():
        full = f"data.{key}"
        assert found[full] == pytest.approx(value, abs=spread.get(full, 1e-3)), full
    assert not set(case.absent) & set(found)


def test_conditioning_and_spread_rise_with_a_large_feature() -> None:
    inputs, targets = torch.randn(400, 6), torch.randn(400, 1)
    even = data_of(inputs, targets)
    uneven = data_of(inputs * torch.tensor([1000.0, 1, 1, 1, 1, 1]), targets)
    assert even["data.conditioning"] < 0.3
    assert uneven["data.conditioning"] == pytest.approx(6, abs=0.3)
    assert uneven["data.feature_scale_spread"] == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("value", [0.0, 4.0])
def test_constant_inputs_have_no_conditioning(value: float) -> None:
    found = data_of(torch.full((40, 3), value), torch.randn(40, 1))
    assert "data.conditioning" not in found
    assert found["data.zeros"] == (value == 0)
    assert (found["data.input_mean"], found["data.input_std"]) == (value, 0)


def test_targets_that_are_distributions_or_several_questions() -> None:
    inputs = torch.randn(300, 4)
    soft = data_of(inputs, torch.tensor([[0.8, 0.1, 0.1]]).repeat(300, 1), 3)
    assert soft["data.classes"] == 3
    assert soft["data.majority_share"] == pytest.approx(0.8)
    rarer = torch.arange(300)[:, None] % torch.tensor([2, 4, 4, 4]) == 0
    several = data_of(inputs, rarer.float(), 4)
    assert several["data.target_binary"] == 1
    assert several["data.classes"] == 4
    assert several["data.majority_share"] == pytest.approx((0.5 + 3 * 0.75) / 4)


def test_ignored_labels_and_rare_classes() -> None:
    labels = torch.tensor([0] * 90 + [4] * 10 + [-100] * 100)
    found = data_of(torch.randn(200, 3), labels, 5, loss="cross_entropy")
    assert found["data.classes"] == 5
    assert found["data.majority_share"] == pytest.approx(0.9)
    plain = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    assert found["data.chance_loss"] == pytest.approx(plain + 1 / 200)


def test_sorted_classes_are_sampled_evenly() -> None:
    labels = torch.arange(4).repeat_interleave(1000)
    found = data_of(torch.randn(4000, 3), labels, 4)
    assert found["data.class_balance"] > 0.99
    assert found["data.samples"] == 4000


def test_length_of_loaders() -> None:
    rows = TensorDataset(torch.randn(50, 3), torch.randn(50, 1))
    sampler = torch.utils.data.WeightedRandomSampler([1.0] * 50, 30)
    loader = DataLoader(rows, batch_size=10, sampler=sampler)
    task = Task(nn.Linear(3, 1), loader, rows, steps=5)
    assert known_length(task.prepared.train) == 30
    assert DataFacts().measure(context(task))["data.epochs"] == pytest.approx(5 / 3)
