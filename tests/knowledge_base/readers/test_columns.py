"""What becomes of the columns of a table: gaps, rows that are drawn, and targets."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from test_readers import files

from knowledge_base.readers import Kind, Table


@pytest.mark.parametrize(
    ("target", "values", "answers"),
    [("y", "5,,7", [5, 7]), ("y", ",6,7", [6, 7]), ("word", "a,,b", [0, 1])],
)
def test_rows_with_a_gap_are_left_out_if_asked(
    target: str, values: str, answers: list[int]
) -> None:
    rows = "".join(f"{index},{cell}\n" for index, cell in enumerate(values.split(",")))
    kind: Kind = "regression" if target == "y" else "classification"
    content = f"n,{target}\n{rows}"
    arrays = Table(("t",), (target,), kind, header=True, missing="left out")(files(t=content))
    assert arrays.targets.tolist() == answers
    assert len(arrays.inputs) == 2
    refusals: tuple[Literal["refused", "category"], ...] = ("refused", "category")
    for missing in refusals:  # a target may not be a category of gaps
        with pytest.raises(ValueError, match="missing"):
            Table(("t",), (target,), kind, header=True, missing=missing)(files(t=content))


def test_a_gap_is_a_category_among_words_and_refused_among_numbers() -> None:
    table = Table(("t",), ("y",), header=True, missing="category")
    assert table(files(t="w,y\nb,p\n,q\n")).inputs.tolist() == [[0, 1], [1, 0]]
    with pytest.raises(ValueError, match="missing"):
        table(files(t="w,y\n1,p\n,q\n"))


def test_a_gap_in_a_dropped_column_is_no_gap() -> None:
    arrays = Table(("t",), ("y",), header=True, drop=("w",))(files(t="w,x,y\n,1,p\nb,2,q\n"))
    assert arrays.inputs.tolist() == [[1], [2]]


@pytest.mark.parametrize("rows", [1, 7, 50])
def test_rows_are_drawn_from_the_whole_table_and_stay_in_order(rows: int) -> None:
    content = "n,y\n" + "".join(f"{n},{10 * n}\n" for n in range(40))
    arrays = Table(("t",), ("y",), "regression", header=True, rows=rows)(files(t=content))
    numbers = arrays.inputs[:, 0]
    assert len(numbers) == min(rows, 40)
    assert (np.diff(numbers) > 0).all()
    assert np.array_equal(arrays.targets, 10 * numbers)
    if rows == 7:
        assert numbers.max() >= 7, "not the first seven"


def test_a_floor_comes_before_the_logarithm() -> None:
    table = Table(("t",), ("y",), "regression", header=True, log_target=True, floor=1.0)
    assert table(files(t="n,y\n1,-5\n2,1\n3,20\n")).targets == pytest.approx([0, 0, np.log(20)])


@pytest.mark.parametrize(
    "table",
    [
        Table(("t",), ("colour",), header=True),
        Table(("t",), header=True, drop=("colour",)),
        Table(("t",), header=True, categorical=("colour",)),
        Table(("t",), header=True, group="colour"),
    ],
    ids=["target", "drop", "categorical", "group"],
)
def test_a_column_that_is_not_there_is_named(table: Table) -> None:
    with pytest.raises(ValueError, match="no columns colour"):
        table(files(t="n,y\n1,a\n2,b\n"))
