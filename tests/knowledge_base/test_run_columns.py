"""Arrow columns as NumPy's: what is null is NaN, None or empty, and the rest is as it was."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from knowledge_base.run_columns import as_arrays

WORDS = pa.dictionary(pa.int8(), pa.string())


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, 2], pa.int64(), [1, 2]),
        ([1, None], pa.int64(), [1.0, float("nan")]),
        ([0.5, None], pa.float64(), [0.5, float("nan")]),
        ([True, None], pa.bool_(), [True, None]),
        (["a", None], pa.string(), ["a", None]),
        (["b", "a", "b"], WORDS, ["b", "a", "b"]),
        ([None, "a", None], WORDS, [None, "a", None]),
        ([None, None], WORDS, [None, None]),
        ([], WORDS, []),
        ([{"a": 1}], pa.struct([("a", pa.int64())]), [{"a": 1}]),
        ([[("a", "b")], []], pa.map_(pa.string(), pa.string()), [{"a": "b"}, {}]),
        ([[{"a": 1}], None], pa.list_(pa.struct([("a", pa.int64())])), [[{"a": 1}], None]),
    ],
)  # fmt: skip
def test_values_and_nulls(values: list[object], kind: pa.DataType, expected: list[object]) -> None:
    found = as_arrays(pa.array(values, kind))
    assert repr(found.tolist() if isinstance(found, np.ndarray) else found) == repr(expected)


def test_lists_of_numbers() -> None:
    found = as_arrays(pa.array([[1, 2], None, [], [3]], pa.list_(pa.int32())))
    assert [row.tolist() for row in found] == [[1, 2], [], [], [3]]
    assert as_arrays(pa.array([], pa.list_(pa.int32()))) == []


def test_words_are_renamed() -> None:
    found = as_arrays(pa.array(["a", None, "b"], WORDS), {"a": "c"})
    assert found.tolist() == ["c", None, "b"]
