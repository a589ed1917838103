"""Ladders: one axis grows at a time, and every step is valid and can be loaded by name."""

from __future__ import annotations

import pytest

from knowledge_base.families import FAMILIES
from knowledge_base.ladders import BASES, FACTORS, ladder, ladder_rows, large_rows
from knowledge_base.tasks import TaskRow, make_task, task_row, task_rows
from probes.errors import UserError

STEPS = list(ladder_rows().values())


def test_ten_tasks_climb_both_axes() -> None:
    assert len(BASES) == len(set(BASES)) == 10
    assert len({task_row(base).dataset for base in BASES}) == 10
    assert len({task_row(base).family for base in BASES}) >= 8
    assert FACTORS == {"width": (1, 2, 4, 8), "steps": (1, 4, 16)}
    assert len(STEPS) == 10 * 7
    assert not ladder_rows().keys() & task_rows().keys(), "no ordinary tasks"


def test_large_ones_are_the_steps_above_the_base() -> None:
    rows = large_rows()
    assert len(rows) == len(BASES) * (3 + 2)
    assert not any(name.endswith(("@width1", "@steps1")) for name in rows)
    assert rows.items() <= ladder_rows().items()


@pytest.mark.parametrize("row", STEPS, ids=lambda row: row.name)
def test_a_step_differs_from_its_base_by_one_factor(row: TaskRow) -> None:
    name, _, end = row.name.partition("@")
    base = task_row(name)
    axis = end.rstrip("0123456789")
    factor = int(end.removeprefix(axis))
    assert task_row(row.name) == row
    FAMILIES[row.family].parameters.model_validate(row.parameters)
    if axis == "steps":
        assert row.steps == factor * base.steps
        expected = base.model_copy(update={"name": row.name, "steps": row.steps})
    else:
        width = factor * base.parameters["width"]
        assert row.parameters["width"] == width
        parameters = {**base.parameters, "width": width}
        expected = base.model_copy(update={"name": row.name, "parameters": parameters})
    assert row == expected


def test_a_wider_step_makes_a_wider_model() -> None:
    sizes = [
        sum(parameter.numel() for parameter in make_task(row).make_model().parameters())
        for row in ladder("digits-cnn-1", "width")
    ]
    assert sizes == sorted(set(sizes))
    assert [make_task(row).steps for row in ladder("digits-cnn-1", "steps")] == [200, 800, 3200]


def test_unknown_steps_name_near_ones() -> None:
    with pytest.raises(UserError, match="digits-cnn-1@width"):
        task_row("digits-cnn-1@width3")
