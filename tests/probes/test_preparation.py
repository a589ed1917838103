"""Samples are made ready without reading more of them than is cheap."""

from __future__ import annotations

import pytest
from cases import classes_of, draw, made, mlp
from torch import Tensor
from torch.utils.data import Dataset

from probes.task import Task

INPUTS = draw(100, 6)
LABELS = classes_of(INPUTS)


class Counted(Dataset[tuple[Tensor, Tensor]]):
    """Rows of two classes that count how often one is read, as a file would be."""

    def __init__(self, rows: int) -> None:
        self.rows, self.read = rows, 0

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        self.read += 1
        return INPUTS[index % 100], LABELS[index % 100]


@pytest.mark.parametrize(("rows", "ahead"), [(5000, True), (6300, False)])
def test_targets_of_many_samples_that_are_not_in_memory_are_not_read_ahead(
    rows: int, ahead: bool
) -> None:
    data = Counted(rows)
    task = Task(made(mlp), data, steps=1, batch_size=10)
    notes = task.prepared.notes
    assert any("stratified" in note for note in notes) == ahead
    assert (data.read >= rows) == ahead


def test_targets_of_many_samples_in_memory_are_read_ahead() -> None:
    many = (INPUTS.repeat(63, 1), LABELS.repeat(63))
    assert any("stratified" in note for note in Task(made(mlp), many, steps=1).prepared.notes)
