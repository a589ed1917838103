"""Which optimizer wins where: mean test regret by kind of model, size, batch size and budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from knowledge_base.findings.outcomes import Outcomes
from knowledge_base.findings.side import Side
from knowledge_base.splits import FAMILY_GROUPS
from probes.recipe.catalogue import table

TRIES = 3
"""Recipes of each optimizer that are tried on a task; fewer where the reference set has fewer."""
COVERED = 0.9
"""Share of a column's tasks that an optimizer must have run to win there."""


class Column(BaseModel):
    """One class of tasks.

    Attributes:
        axis: "all", "model family", "parameters", "batch size" or "steps".
        name: Of the class.
        tasks: Tasks in it with runs.
    """

    model_config = ConfigDict(frozen=True)
    axis: str
    name: str
    tasks: int


class Cell(BaseModel):
    """How one optimizer does on one class of tasks.

    Attributes:
        regret: Mean normalized test regret of its best recipe, each data set counting once.
        tasks: Tasks.
        datasets: Data sets.
    """

    model_config = ConfigDict(frozen=True)
    regret: float
    tasks: int
    datasets: int


class Row(BaseModel):
    """One optimizer.

    Attributes:
        optimizer: Its name.
        family: Of the catalogue.
        tries: Recipes tried on a task: the best few on the other data sets, of which validation
            chooses one.
        cells: One for each column, None where it ran no task of it.
    """

    model_config = ConfigDict(frozen=True)
    optimizer: str
    family: str
    tries: int
    cells: tuple[Cell | None, ...]


class Unplaced(BaseModel):
    """Tasks that no class of an axis holds, for no profile says where they belong.

    Attributes:
        axis: As of a `Column`.
        tasks: Their names, at least one.
    """

    model_config = ConfigDict(frozen=True)
    axis: str
    tasks: tuple[str, ...]


class WinnersMap(BaseModel):
    """Optimizers by classes of tasks.

    Attributes:
        columns: The classes that have tasks.
        rows: The optimizers that have runs, by family and then by their mean over all tasks.
        winners: For each column the optimizer of the lowest mean, among those that ran at least
            nine tenths of its tasks; "" where none did.
        tasks: Tasks with runs.
        unplaced: The axes that leave out some of them.
    """

    model_config = ConfigDict(frozen=True)
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    winners: tuple[str, ...]
    tasks: int
    unplaced: tuple[Unplaced, ...]


@dataclass(frozen=True)
class _Class:
    axis: str
    name: str
    holds: Callable[[Outcomes, int], bool]


def winners_map(outcomes: Outcomes) -> WinnersMap:
    """Mean test regret of every optimizer's best recipe, by class of tasks."""
    regrets: dict[str, dict[int, float]] = {}
    tries: dict[str, int] = {}
    for optimizer in table("optimizer"):
        side = Side(optimizer, (optimizer,))
        columns = [i for i, recipe in enumerate(outcomes.recipes) if side.has(recipe)]
        found = {}
        for task in range(len(outcomes.rows)):
            if (best := outcomes.best(task, columns, TRIES)) is not None:
                found[task] = float(outcomes.test[task, best])
        if found:
            regrets[optimizer], tries[optimizer] = found, min(TRIES, len(columns))
    ran = {task for found in regrets.values() for task in found}
    members = {kind: {task for task in ran if kind.holds(outcomes, task)} for kind in _classes()}
    kinds = [kind for kind, tasks in members.items() if tasks]
    rows = [
        Row(
            optimizer=optimizer, family=table("optimizer")[optimizer].family,
            tries=tries[optimizer],
            cells=tuple(_cell(outcomes, regrets[optimizer], members[kind]) for kind in kinds),
        )
        for optimizer in regrets
    ]  # fmt: skip
    families = list(dict.fromkeys(row.family for row in table("optimizer").values()))
    rows.sort(key=lambda row: (families.index(row.family), _overall(row)))
    columns_found = tuple(
        Column(axis=kind.axis, name=kind.name, tasks=len(members[kind])) for kind in kinds
    )
    return WinnersMap(
        columns=columns_found,
        rows=tuple(rows),
        winners=tuple(_winner(rows, place, column) for place, column in enumerate(columns_found)),
        tasks=len(ran),
        unplaced=_unplaced(outcomes, ran, members),
    )


def _unplaced(
    outcomes: Outcomes, ran: set[int], members: dict[_Class, set[int]]
) -> tuple[Unplaced, ...]:
    found = []
    for axis in dict.fromkeys(kind.axis for kind in members):
        held = set().union(*(tasks for kind, tasks in members.items() if kind.axis == axis))
        if left := sorted(ran - held):
            names = tuple(outcomes.rows[task].name for task in left)
            found.append(Unplaced(axis=axis, tasks=names))
    return tuple(found)


def _overall(row: Row) -> float:
    cell = row.cells[0]
    return 1.0 if cell is None else cell.regret


def _cell(outcomes: Outcomes, regrets: dict[int, float], tasks: set[int]) -> Cell | None:
    by_group: dict[str, list[float]] = {}
    for task in sorted(tasks & regrets.keys()):
        by_group.setdefault(outcomes.groups[task], []).append(regrets[task])
    if not by_group:
        return None
    mean = float(np.mean([np.mean(values) for values in by_group.values()]))
    return Cell(regret=mean, tasks=sum(map(len, by_group.values())), datasets=len(by_group))


def _winner(rows: list[Row], place: int, column: Column) -> str:
    able = [
        (cell.regret, row.optimizer)
        for row in rows
        if (cell := row.cells[place]) is not None and cell.tasks >= COVERED * column.tasks
    ]
    return min(able, default=(0.0, ""))[1]


def _classes() -> list[_Class]:
    families = dict.fromkeys(FAMILY_GROUPS.values())
    return [
        _Class("all", "all", lambda _, __: True),
        *(_Class("model family", family, _of_family(family)) for family in families),
        *_between("parameters", (3_000, 10_000, 100_000), _parameters),
        *_between("batch size", (17, 33, 65), lambda o, t: float(o.rows[t].batch_size)),
        *_between("steps", (201, 501, 1_001), lambda o, t: float(o.rows[t].steps)),
    ]


def _parameters(outcomes: Outcomes, task: int) -> float:
    return float(outcomes.parameters[task])


def _of_family(family: str) -> Callable[[Outcomes, int], bool]:
    return lambda outcomes, task: FAMILY_GROUPS[outcomes.rows[task].family] == family


def _between(
    axis: str, bounds: tuple[int, ...], value: Callable[[Outcomes, int], float]
) -> list[_Class]:
    """Classes from 0 to the first bound, on to the next, and from the last on."""

    def within(low: float, high: float) -> Callable[[Outcomes, int], bool]:
        return lambda outcomes, task: low <= value(outcomes, task) < high

    edges = (0, *bounds)
    found = []
    for low, high in zip(edges, (*bounds, None), strict=True):
        end = float("inf") if high is None else high
        name = f"{low:,} or more" if high is None else f"{low:,} to {high - 1:,}"
        name = f"up to {high - 1:,}" if high is not None and not low else name
        found.append(_Class(axis, name, within(low, end)))
    return found
