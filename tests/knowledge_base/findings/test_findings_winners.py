"""Which optimizer wins where: the planted winner of each class, chosen on validation."""

from __future__ import annotations

from pathlib import Path

import planted
import pytest
from planted import APART, TOGETHER, Run, recipe

from knowledge_base.findings.outcomes import read_outcomes
from knowledge_base.findings.winners import Cell, WinnersMap, winners_map
from knowledge_base.splits import FAMILY_GROUPS
from knowledge_base.tasks import task_rows
from probes.recipe.schema import Recipe

RECIPES = [
    *(recipe("sgd", rate) for rate in (0.03, 0.1, 0.3, 1.0)),
    *(recipe("momentum", rate) for rate in (0.03, 0.1)),
    recipe("momentum", 0.1, normalization="layer"),
]


def dense(task: str) -> bool:
    return FAMILY_GROUPS[task_rows()[task].family] == "dense"


def truth(task: str, one: Recipe) -> Run:
    """SGD wins on dense nets, momentum elsewhere; what is not plain would win everywhere."""
    if one.normalization.name != "keep":
        return Run(0.0)
    if one.optimizer.name == "sgd":
        regret = 0.1 if dense(task) else 0.5
        return Run(regret + one.optimizer.number("lr") / 10)
    return Run(0.3, validation=0.2) if one.optimizer.number("lr") == 0.1 else Run(0.2, 0.4)


def cell(found: WinnersMap, optimizer: str, axis: str, name: str) -> Cell | None:
    (row,) = (row for row in found.rows if row.optimizer == optimizer)
    (place,) = (i for i, c in enumerate(found.columns) if (c.axis, c.name) == (axis, name))
    return row.cells[place]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> WinnersMap:
    folder = tmp_path_factory.mktemp("winners")
    return winners_map(read_outcomes(planted.write(folder, RECIPES, truth)))


def test_winners_by_family(found: WinnersMap) -> None:
    winners = {
        column.name: winner for column, winner in zip(found.columns, found.winners, strict=True)
    }
    assert winners["dense"] == "adamw", "the recipe that is copied is planted as the best"
    plain = {row.optimizer: row for row in found.rows}
    assert set(plain) == {"adamw", "momentum", "sgd"}
    for column, sgd, momentum in zip(
        found.columns, plain["sgd"].cells, plain["momentum"].cells, strict=True
    ):
        if column.axis == "model family":
            assert sgd is not None
            assert momentum is not None
            assert (sgd.regret < momentum.regret) == (column.name == "dense")


def test_validation_chooses_the_rate(found: WinnersMap) -> None:
    momentum = cell(found, "momentum", "all", "all")
    assert momentum is not None
    assert momentum.regret == pytest.approx(0.3, abs=1e-4)
    assert (momentum.tasks, momentum.datasets) == (10, 10)
    sgd = cell(found, "sgd", "model family", "dense")
    assert sgd is not None
    assert sgd.regret == pytest.approx(0.103, abs=1e-4)
    assert {row.optimizer: row.tries for row in found.rows} == {"adamw": 3, "sgd": 3, "momentum": 3}


def test_classes_hold_every_task_once(found: WinnersMap) -> None:
    for axis in ("model family", "parameters", "batch size", "steps"):
        assert sum(column.tasks for column in found.columns if column.axis == axis) == len(APART)
    assert (found.unplaced, found.tasks) == ((), len(APART))
    names = {column.name for column in found.columns if column.axis == "parameters"}
    assert names == {"up to 2,999"}
    for column in found.columns:
        if column.axis == "batch size":
            sizes = [task_rows()[task].batch_size for task in APART]
            low, high = {"up to 16": (0, 16), "17 to 32": (17, 32), "33 to 64": (33, 64),
                         "65 or more": (65, 9999)}[column.name]  # fmt: skip
            assert column.tasks == sum(low <= size <= high for size in sizes)


def test_tasks_without_a_profile_are_left_out_of_one_axis(tmp_path: Path) -> None:
    folder = planted.write(tmp_path, RECIPES, truth, unprofiled=APART[3:6])
    found = winners_map(read_outcomes(folder))
    assert [(item.axis, set(item.tasks)) for item in found.unplaced] == [
        ("parameters", set(APART[3:6]))
    ]
    held = sum(column.tasks for column in found.columns if column.axis == "parameters")
    assert held + 3 == found.tasks == len(APART)


def test_each_data_set_counts_once(tmp_path: Path) -> None:
    def uneven(task: str, one: Recipe) -> Run:
        return Run(0.8 if task in TOGETHER else 0.2)

    tasks = (*TOGETHER, APART[1])
    map_ = winners_map(read_outcomes(planted.write(tmp_path, [recipe()], uneven, tasks)))
    sgd = cell(map_, "sgd", "all", "all")
    assert sgd is not None
    assert sgd.regret == pytest.approx(0.5, abs=1e-4)
    assert (sgd.tasks, sgd.datasets) == (len(tasks), 2)


def test_who_ran_little_does_not_win(tmp_path: Path) -> None:
    def little(task: str, one: Recipe) -> Run | None:
        if one.optimizer.name == "adagrad":  # as good as the best, and before it by name
            return Run(0.0) if task == APART[0] else None
        return Run(0.3)

    recipes = [recipe("adagrad", 0.03, "linear"), recipe()]
    everything = winners_map(read_outcomes(planted.write(tmp_path, recipes, little)))
    adagrad = cell(everything, "adagrad", "all", "all")
    assert adagrad is not None
    assert adagrad.tasks == 1
    assert everything.winners[0] == "adamw"
    assert {row.family for row in everything.rows} == {"adaptive", "stochastic gradient descent"}


@pytest.mark.parametrize(
    ("parameters", "name"),
    [(2999.0, "up to 2,999"), (3000.0, "3,000 to 9,999"), (100_000.0, "100,000 or more")],
)
def test_classes_of_size(tmp_path: Path, parameters: float, name: str) -> None:
    folder = planted.write(tmp_path, [], truth, APART[:2], parameters)
    columns = winners_map(read_outcomes(folder)).columns
    assert [column.name for column in columns if column.axis == "parameters"] == [name]
