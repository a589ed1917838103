"""The benchmark tasks: rows of data, each a model family on a data set with a budget."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field

from knowledge_base.datasets import dataset, load, split
from knowledge_base.families import Signature, build_model
from knowledge_base.partition import Part, Splits
from probes.errors import unknown_name
from probes.task import Task

ROWS_FILE = Path(__file__).parent / "task_rows.json"
MAX_VALIDATION = 400
MAX_TEST = 1000
_SPLIT_SEED = 0


class TaskRow(BaseModel):
    """One benchmark task; adding a task is adding a row to ``task_rows.json``.

    Attributes:
        name: Unique; data set, family and a number.
        dataset: A name in ``knowledge_base.datasets.DATASETS``.
        family: A name in ``knowledge_base.families.FAMILIES``.
        parameters: The family's parameters, drawn once and written down.
        batch_size: Samples a batch.
        steps: Budget in batches.
        max_train: Training samples at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    dataset: str
    family: str
    parameters: dict[str, Any]
    batch_size: int = Field(ge=1)
    steps: int = Field(ge=1)
    max_train: int = 2000

    @property
    def group(self) -> str:
        """Data sets that share samples share a group; folds never part one."""
        return dataset(self.dataset).leak_group


@cache
def task_rows() -> dict[str, TaskRow]:
    """All rows by name, in the order of the file."""
    rows = [TaskRow.model_validate(row) for row in json.loads(ROWS_FILE.read_text())]
    return {row.name: row for row in rows}


def task_row(name: str) -> TaskRow:
    """The row of that name.

    Raises:
        UserError: There is none; near matches are named.
    """
    rows = task_rows()
    if name not in rows:
        raise unknown_name("a benchmark task", name, rows)
    return rows[name]


@lru_cache(maxsize=4)
def _splits(name: str, max_train: int) -> Splits:
    arrays = load(name)
    # a window of text holds as many targets as it has characters: fewer windows say as much
    share = 4 if arrays.kind == "next_token" else 1
    return split(
        arrays, seed=_SPLIT_SEED, max_train=max_train, max_validation=MAX_VALIDATION // share,
        max_test=MAX_TEST // share,
    )  # fmt: skip


def signature(splits: Splits) -> Signature:
    """What a model must know of the data."""
    tokens = splits.vocabulary
    if splits.kind == "next_token":
        assert tokens is not None  # noqa: S101 - next-token data always has a vocabulary
        return Signature(
            input_shape=splits.train.inputs.shape[1:], tokens=tokens, output=tokens,
            per_position=True,
        )  # fmt: skip
    targets = splits.train.targets
    columns = targets.shape[1] if targets.ndim > 1 else 1
    output = splits.classes if splits.kind == "classification" else columns
    return Signature(
        input_shape=splits.train.inputs.shape[1:], tokens=tokens, output=output or columns
    )


def make_task(row: TaskRow) -> Task:
    """The row as a Task; every model it makes depends on torch's global seed alone."""
    splits = _splits(row.dataset, row.max_train)
    shape = signature(splits)

    def model() -> torch.nn.Module:
        seed = int(torch.randint(0, 2**31 - 1, ()))
        return build_model(row.family, row.parameters, shape, seed)

    losses = {"regression": "mse", "multilabel": "binary_cross_entropy"}
    return Task(
        model=model,
        train=_tensors(splits.train),
        validation=_tensors(splits.validation),
        test=_tensors(splits.test),
        loss=losses.get(splits.kind, "cross_entropy"),
        steps=row.steps,
        batch_size=min(row.batch_size, len(splits.train.targets)),
        name=row.name,
    )


def _tensors(part: Part) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(part.inputs), torch.from_numpy(part.targets)
