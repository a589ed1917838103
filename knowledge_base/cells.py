"""The matrix of tasks by reference recipes: what became of each cell.

Not every cell is a run: a recipe that puts a normalization after hidden layers cannot serve a model
whose only layer to normalize after is the last, and is refused there with the reason.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Literal

from knowledge_base.reference import reference_recipes
from knowledge_base.tasks import task_rows

Cell = Literal["run", "refused", "missing"]


def reference_cells(
    tasks: Iterable[str], ran: Container[tuple[str, str]], refused: Container[tuple[str, str]]
) -> dict[tuple[str, str], Cell]:
    """What became of each reference recipe on each task, by task and key.

    Args:
        tasks: Names; those that do not run the whole set (steps of ladders, the GPU tier, tasks of
            another release) are passed over.
        ran: Task and key of the runs of seed 0.
        refused: Task and key of what cannot be.
    """
    ordinary = task_rows()
    keys = [recipe.key for recipe in reference_recipes()]
    return {
        (name, key): _cell((name, key), ran, refused)
        for name in sorted(set(tasks) & ordinary.keys())
        for key in keys
    }


def _cell(
    place: tuple[str, str], ran: Container[tuple[str, str]], refused: Container[tuple[str, str]]
) -> Cell:
    if place in ran:
        return "run"
    return "refused" if place in refused else "missing"
