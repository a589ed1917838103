"""Targets that say nothing are told apart from those that do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, WeightedRandomSampler

from advisor.caveats import constant_targets, failed_probes, lacking_tier
from advisor.fitted_file import FOLDER
from probes.profile import Profile
from probes.task import Task

COUNT = 200
INPUTS = torch.randn(COUNT, 4, generator=torch.Generator().manual_seed(0))
ONES = torch.ones(COUNT, dtype=torch.long)


class Rows(Dataset[tuple[Tensor, Tensor]]):
    """Rows read one by one, which count how many were."""

    def __init__(self, targets: Tensor, times: int = 1) -> None:
        self.targets, self.times, self.read = targets, times, 0

    def __len__(self) -> int:
        return len(self.targets) * self.times

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        self.read += 1
        return INPUTS[index % COUNT], self.targets[index % COUNT]


def said_of(targets: Tensor, outputs: int = 3, **settings: Any) -> str | None:
    task = Task(nn.Linear(4, outputs), (INPUTS, targets), steps=4, **settings)
    return constant_targets(task)


@pytest.mark.parametrize(
    ("targets", "outputs", "said"),
    [(ONES, 3, "are 1:"), (torch.full((COUNT,), 0.1), 1, "are 0.1:"),
     (torch.tensor([0.5, 2.0]).repeat(COUNT, 1), 2, "are the same:")],
    ids=["classes", "numbers", "columns"],
)  # fmt: skip
def test_constant_targets_are_said(targets: Tensor, outputs: int, said: str) -> None:
    found = said_of(targets, outputs)
    assert found is not None
    assert f"all of {COUNT * 4 // 5} training targets looked at {said}" in found


def test_one_other_target_is_found_wherever_it_is() -> None:
    for place in (0, 77, COUNT - 1):
        targets = ONES.clone()
        targets[place] = 0
        data = ((INPUTS, targets), (INPUTS, ONES))
        task = Task(nn.Linear(4, 3), data, steps=4)
        assert constant_targets(task) is None
    columns = torch.stack([torch.ones(COUNT), torch.linspace(0, 1, COUNT)], 1)
    assert said_of(columns, 2) is None, "one column that varies can be learned"


def test_a_loss_of_ones_own_may_ask_for_no_targets() -> None:
    assert said_of(torch.zeros(COUNT), 3, loss=lambda out, _: out.square().mean()) is None
    step = {"training_step": lambda model, batch: model(batch[0]).square().mean()}
    assert said_of(torch.zeros(COUNT), 3, **step) is None
    assert said_of(ONES, 3, loss=nn.CrossEntropyLoss()) is not None


def test_few_rows_of_a_data_set_are_read() -> None:
    varied = Rows(torch.arange(COUNT) % 3, times=50)
    task = Task(nn.Linear(4, 3), (varied, varied), steps=4, batch_size=8)
    _ = task.prepared
    before = varied.read
    assert constant_targets(task) is None
    assert varied.read - before <= 64
    same = Rows(ONES, times=50)
    task = Task(nn.Linear(4, 3), (same, same), steps=4, batch_size=8)
    told = "all of 1,024 training targets looked at are 1; a rare class may be among the others"
    assert constant_targets(task) == told


def test_a_rare_class_is_found_or_said_to_be_possible() -> None:
    class Rare(Rows):
        def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
            return INPUTS[index % COUNT], self.targets[index]

    told = []
    for place in range(0, 2000, 100):
        targets = torch.ones(2000, dtype=torch.long)
        targets[place] = 0
        rows = Rare(targets)
        told.append(constant_targets(Task(nn.Linear(4, 3), (rows, rows), steps=4, batch_size=8)))
    assert {None} < set(told)
    assert all(one is None or one.endswith("a rare class may be among the others") for one in told)


def test_batches_of_a_loader_are_looked_at() -> None:
    for targets, found in ((ONES, True), (torch.arange(COUNT) % 2, False)):
        data = TensorDataset(INPUTS, targets)
        sampler = WeightedRandomSampler([1.0] * COUNT, COUNT)
        loader = DataLoader(data, batch_size=16, sampler=sampler)
        task = Task(nn.Linear(4, 3), (loader, DataLoader(data, batch_size=16)), steps=4)
        state = torch.get_rng_state()
        assert (constant_targets(task) is not None) == found
        assert torch.equal(state, torch.get_rng_state()), "the caller's stream is left alone"


def test_probes_that_failed_are_told_and_those_that_did_not_apply_are_not() -> None:
    def taken(missing: dict[str, str]) -> Profile:
        return Profile(tier=16, passes=1, seconds=1, seconds_per_pass=None, seed=0, device="cpu",
                       values={}, missing=missing)  # fmt: skip

    assert failed_probes(taken({"race": "tier 16 pays for no race"})) is None
    said = failed_probes(
        taken({"landmark": "ValueError: boom", "race": "tier 16 pays for no race",
               "sharpness": "no second derivative: RuntimeError"})
    )  # fmt: skip
    assert said is not None
    assert "landmark (ValueError: boom)" in said
    assert "race" not in said
    assert "sharpness" not in said


def test_a_tier_is_lacking_only_where_it_could_be_paid_for() -> None:
    assert lacking_tier(16, 16, FOLDER) is None
    assert lacking_tier(16, 0, FOLDER) is None
    assert "meta_model_64.json" in (lacking_tier(16, 64, FOLDER) or "")
