"""The rows of the benchmark: valid, distinct, and those without a download make real tasks."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import torch
from pydantic import ValidationError

from knowledge_base.datasets import DATASETS
from knowledge_base.families import FAMILIES, families_for
from knowledge_base.tasks import (
    ROWS_FILE,
    TaskRow,
    _splits,
    make_task,
    signature,
    task_row,
    task_rows,
)
from probes.errors import UserError

ROWS = list(task_rows().values())
OFFLINE = [row for row in ROWS if isinstance(DATASETS[row.dataset].source, str)]
named = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
offline = pytest.mark.parametrize("row", OFFLINE, ids=lambda row: row.name)


def test_names_are_unique() -> None:
    names = [row["name"] for row in json.loads(ROWS_FILE.read_text())]
    assert len(names) == len(set(names)) == len(ROWS) >= 50


@named
def test_a_row_is_valid(row: TaskRow) -> None:
    assert row.dataset in DATASETS
    assert row.family in FAMILIES
    # every parameter is one of the family's, valid, and written down
    parameters = FAMILIES[row.family].parameters.model_validate(row.parameters)
    assert parameters.model_dump() == row.parameters
    assert row.name.rsplit("-", 1)[0] == f"{row.dataset}-{row.family}"
    assert row.group == DATASETS[row.dataset].leak_group
    assert row.steps >= 32, "the smallest probe is at most half a training"
    assert row.batch_size <= row.max_train


def test_no_data_set_dominates() -> None:
    pairs = Counter((row.dataset, row.family) for row in ROWS)
    assert max(pairs.values()) <= 3
    groups = Counter(row.group for row in ROWS)
    assert max(groups.values()) <= 0.1 * len(ROWS)
    assert len(groups) >= 30
    assert {"mlp", "cnn", "gru", "transformer"} <= {row.family for row in ROWS}


@offline
def test_the_family_takes_the_data(row: TaskRow) -> None:
    shape = signature(_splits(row.dataset, row.max_train))
    assert row.family in families_for(shape)


@offline
def test_a_row_makes_a_task(row: TaskRow) -> None:
    task = make_task(row)
    prepared = task.prepared
    assert (task.name, prepared.steps) == (row.name, row.steps)
    assert prepared.batch_size == min(row.batch_size, len(prepared.train))
    assert len(prepared.train) <= row.max_train
    assert len(prepared.validation) <= 400
    assert prepared.test is not None
    assert prepared.objective.loss_name == (
        "mse" if DATASETS[row.dataset].kind == "regression" else "cross_entropy"
    )
    batch = next(prepared.train.ordered(4))
    model = task.make_model()
    assert torch.isfinite(prepared.objective(model, batch))


def test_models_depend_on_the_seed_alone() -> None:
    task = make_task(task_row("wine-mlp-1"))

    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([p.detach().flatten() for p in task.make_model().parameters()])

    first = weights(1)
    torch.rand(3)
    assert torch.equal(first, weights(1))
    assert not torch.equal(first, weights(2))


def test_data_are_the_same_every_time() -> None:
    row = task_row("wine-mlp-1")
    first = make_task(row).train
    _splits.cache_clear()
    second = make_task(row).train
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_unknown_names_and_wrong_rows() -> None:
    with pytest.raises(UserError, match="did you mean wine-mlp-1"):
        task_row("wine-mlp")
    row = ROWS[0].model_dump()
    for change in ({"steps": 0}, {"batch_size": 0}, {"comment": "more"}):
        with pytest.raises(ValidationError):
            TaskRow.model_validate({**row, **change})
