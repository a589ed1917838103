"""The columns of ``runs.parquet``: their schema, and how Arrow's columns become NumPy's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

RUN_SCHEMA = pa.schema(
    [
        ("task", pa.dictionary(pa.int16(), pa.string())),
        ("recipe", pa.dictionary(pa.int32(), pa.string())),
        ("seed", pa.int16()),
        ("role", pa.dictionary(pa.int8(), pa.string())),
        ("initial", pa.float32()),
        ("final", pa.float32()),
        ("test", pa.float32()),
        ("metric", pa.float32()),
        ("test_metric", pa.float32()),
        ("steps", pa.int32()),
        ("passes", pa.float32()),
        ("seconds_per_step", pa.float32()),
        ("diverged", pa.bool_()),
        ("curve_steps", pa.list_(pa.int32())),
        ("curve_validation", pa.list_(pa.float32())),
        ("curve_train", pa.list_(pa.float32())),
    ]
)
"""What they mean is told by ``knowledge_base.records.RunRecord``."""


def as_arrays(column: Any, renamed: Mapping[str, str] | None = None) -> Any:
    """A column as a NumPy array, lists of numbers as a list of arrays.

    What is null becomes NaN among numbers, an empty array among lists, None else.

    Args:
        column: An Arrow array.
        renamed: Other names for words of a dictionary column.
    """
    if pa.types.is_dictionary(column.type):
        words = column.dictionary.to_pylist()
        if renamed is not None:
            words = [renamed.get(word, word) for word in words]
        if column.null_count:  # -1 is the last place
            words = np.asarray([*words, None], dtype=object)
        return np.asarray(words)[column.indices.fill_null(-1).to_numpy()]
    if pa.types.is_list(column.type) and pa.types.is_primitive(column.type.value_type):
        return _rows(column)
    if pa.types.is_nested(column.type):
        return column.to_pylist(maps_as_pydicts="strict")
    return column.to_numpy(zero_copy_only=False)


def _rows(column: Any) -> list[Any]:
    """The lists of a column as arrays, cut out of one."""
    if not len(column):
        return []
    return np.split(column.values.to_numpy(), column.offsets.to_numpy()[1:-1])
