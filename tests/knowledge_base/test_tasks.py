"""The rows of the benchmark: valid, distinct, and those without a download make real tasks."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from knowledge_base import tasks
from knowledge_base.data_folder import DataFile
from knowledge_base.datasets import DATASETS, at_hand
from knowledge_base.families import FAMILIES, Signature, build_model, families_for
from knowledge_base.graph import Graph
from knowledge_base.partition import NUMBERS, Splits, split
from knowledge_base.readers import Arrays, Kind
from knowledge_base.tasks import (
    ROWS_FILE,
    TaskRow,
    _splits,
    make_task,
    signature,
    task_row,
    task_rows,
    why_unavailable,
)
from probes.errors import UserError

ROWS = list(task_rows().values())
OFFLINE = [row for row in ROWS if isinstance(DATASETS[row.dataset].source, str)]
YOUNGER = {"normalization", "residual", "initialization"}
named = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
offline = pytest.mark.parametrize("row", OFFLINE, ids=lambda row: row.name)


def test_names_are_unique() -> None:
    names = [row["name"] for row in json.loads(ROWS_FILE.read_text())]
    assert len(names) == len(set(names)) == len(ROWS) >= 80


@named
def test_a_row_is_valid(row: TaskRow) -> None:
    assert row.dataset in DATASETS
    assert row.family in FAMILIES
    # every parameter is one of the family's, valid, and written down, but those that are younger
    # than the row and build what was built before
    parameters = FAMILIES[row.family].parameters.model_validate(row.parameters)
    assert parameters.model_dump(exclude_unset=True) == row.parameters
    assert parameters.model_fields_set | YOUNGER >= set(parameters.model_dump())
    assert row.name.rsplit("-", 1)[0] == f"{row.dataset}-{row.family}"
    assert row.group == DATASETS[row.dataset].leak_group
    assert row.steps >= 32, "the smallest probe is at most half a training"
    assert row.batch_size <= row.max_train
    assert row.tier == "cpu"


def test_no_data_set_dominates() -> None:
    pairs = Counter((row.dataset, row.family) for row in ROWS)
    assert max(pairs.values()) <= 3
    groups = Counter(row.group for row in ROWS)
    assert max(groups.values()) <= 0.1 * len(ROWS)
    assert len(groups) >= 50
    assert {row.family for row in ROWS} == set(FAMILIES)
    assert {DATASETS[row.dataset].kind for row in ROWS} == set(get_args(Kind))
    assert len({row.batch_size for row in ROWS}) >= 4
    assert len({row.steps for row in ROWS}) >= 8


@offline
def test_the_family_takes_the_data(row: TaskRow) -> None:
    shape = signature(_splits(row.dataset, row.max_train, row.seed))
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
        "mse" if DATASETS[row.dataset].kind in NUMBERS else "cross_entropy"
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


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in ROWS if row not in OFFLINE], ids=lambda r: r.name)
def test_a_row_whose_data_are_here_trains_a_step(row: TaskRow) -> None:
    if not at_hand(row.dataset):
        pytest.skip("its data are not on this machine")
    task = make_task(row)
    assert task.test is not None
    prepared = task.prepared
    batch = next(prepared.train.ordered(row.batch_size))
    torch.manual_seed(0)
    model = task.make_model()
    loss = prepared.objective(model, batch)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def made_arrays(kind: str) -> Arrays:
    """Sixty rows of each kind of data."""
    random = np.random.default_rng(0)
    features = random.standard_normal((60, 4)).astype(np.float32)
    numbers = features @ random.standard_normal((4, 3)).astype(np.float32)
    tokens = random.integers(0, 9, (60, 5))
    return {
        "classification": Arrays(features, numbers.argmax(1), "classification", 3),
        "regression": Arrays(features, numbers[:, 0], "regression"),
        "multilabel": Arrays(features, (numbers > 0).astype(np.float32), "multilabel", 3),
        "next_token": Arrays(tokens[:, :-1], tokens[:, 1:], "next_token", 9, 9, scale="none"),
        "autoencoding": Arrays(features, features, "autoencoding"),
        "forecasting": Arrays(
            features[:, :, None], numbers, "forecasting", scale="channels", in_order=True
        ),
    }[kind]


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_of_data_makes_a_task(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts: Splits = split(made_arrays(kind), 0)
    monkeypatch.setattr(tasks, "_splits", lambda *_: parts)
    family = "tcn" if kind == "next_token" else "mlp"
    row = TaskRow(name="made", dataset="wine", family=family, parameters={}, batch_size=8, steps=32)
    prepared = make_task(row).prepared
    expected = {"multilabel": "binary_cross_entropy", **dict.fromkeys(NUMBERS, "mse")}
    assert prepared.objective.loss_name == expected.get(kind, "cross_entropy")
    model = make_task(row).make_model()
    assert torch.isfinite(prepared.objective(model, next(prepared.train.ordered(8))))


def test_nodes_bring_their_graph_to_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).random((20, 3)).astype(np.float32)
    edges = np.asarray([(a, (a + step) % 20) for a in range(20) for step in (1, 19)])
    arrays = Arrays(
        np.arange(20)[:, None], np.arange(20) % 2, "classification", 2, scale="none",
        graph=Graph(features, edges),
    )  # fmt: skip
    monkeypatch.setattr(tasks, "_splits", lambda *_: split(arrays, 0))
    row = TaskRow(
        name="made", dataset="cora", family="graph_convolution", parameters={}, batch_size=4,
        steps=32,
    )  # fmt: skip
    task = make_task(row)
    assert families_for(signature(split(arrays, 0))) == ("graph_convolution",)
    assert torch.isfinite(
        task.prepared.objective(task.make_model(), next(task.prepared.train.ordered(4)))
    )


def test_rows_for_accelerators_are_of_the_same_form() -> None:
    rows = task_rows("gpu")
    assert rows
    assert not rows.keys() & task_rows().keys()
    for row in rows.values():
        assert row.tier == "gpu"
        assert task_row(row.name) is row
        parameters = FAMILIES[row.family].parameters.model_validate(row.parameters)
        assert parameters.model_dump(exclude_unset=True) == row.parameters
    assert {"resnet", "transformer"} <= {row.family for row in rows.values()}


def test_the_large_transformer_has_ten_million_parameters() -> None:
    row = task_row("wiki_pages-transformer-1")
    data = Signature(input_shape=(256,), tokens=97, output=97, per_position=True)
    model = build_model(row.family, row.parameters, data, seed=0)
    assert 9e6 < sum(parameter.numel() for parameter in model.parameters()) < 12e6


def test_what_needs_the_users_folder_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ADVISOR_DATA", raising=False)
    supplied = [row for row in ROWS if isinstance(DATASETS[row.dataset].source, DataFile)]
    assert {"cora", "trec", "subjectivity", "cifar10_small"} == {row.dataset for row in supplied}
    for row in supplied:
        assert "ADVISOR_DATA" in (why_unavailable(row) or "")
        assert str(tmp_path) in (why_unavailable(row, tmp_path) or "")
    assert all(why_unavailable(row) is None for row in ROWS if row not in supplied)
