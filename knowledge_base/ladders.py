"""Ladders: tasks repeated at larger widths and longer budgets, one axis at a time.

They tell whether advice learned on small tasks holds on larger ones. Their rows follow from the
base task's and are not written out; ``digits-cnn-1@width4`` loads one by name.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

from knowledge_base.tasks import TaskRow, task_rows

Axis = Literal["width", "steps"]
FACTORS: dict[Axis, tuple[int, ...]] = {"width": (1, 2, 4, 8), "steps": (1, 4, 16)}
BASES = (
    "satimage-mlp-1",
    "digits-cnn-1",
    "mnist5k-resnet-1",
    "texture_patches-mlp_mixer-1",
    "japanese_vowels-gru-1",
    "letter-mlp-1",
    "bikeshare-mlp-1",
    "wiki_characters-transformer-1",
    "word_language-conv1d-1",
    "fly_next_base-tcn-1",
)
"""Ten tasks of ten data sets and eight families."""


def ladder(base: str, axis: Axis) -> tuple[TaskRow, ...]:
    """The steps of one ladder, the smallest first.

    Args:
        base: A name in `BASES`.
        axis: What grows: the model's width, or the steps of the budget.
    """
    row = task_rows()[base]
    return tuple(_step(row, axis, factor) for factor in FACTORS[axis])


@cache
def ladder_rows() -> dict[str, TaskRow]:
    """Every step of every ladder by name."""
    rows = [row for base in BASES for axis in FACTORS for row in ladder(base, axis)]
    return {row.name: row for row in rows}


@cache
def large_rows() -> dict[str, TaskRow]:
    """Every step of every ladder above the first, which is the base task itself, by name."""
    rows = [row for base in BASES for axis in FACTORS for row in ladder(base, axis)[1:]]
    return {row.name: row for row in rows}


def _step(row: TaskRow, axis: Axis, factor: int) -> TaskRow:
    name = f"{row.name}@{axis}{factor}"
    if axis == "steps":
        return row.model_copy(update={"name": name, "steps": factor * row.steps})
    parameters = {**row.parameters, "width": factor * row.parameters["width"]}
    return row.model_copy(update={"name": name, "parameters": parameters})
