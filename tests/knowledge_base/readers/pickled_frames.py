"""Pickles of data frames, written opcode by opcode, for which pandas is not needed."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Opcodes(bytes):
    """A piece of a pickle that leaves one value on the stack."""


def value(content: Any) -> Opcodes:
    """The opcodes of a value, without the pickle's first two bytes and its end."""
    return content if isinstance(content, Opcodes) else Opcodes(pickle.dumps(content, 3)[2:-1])


def named(full: str) -> Opcodes:
    """What stands under a name in a module."""
    module, _, name = full.rpartition(".")
    return Opcodes(f"c{module}\n{name}\n".encode())


def sequence(*items: Any, end: bytes = b"l") -> Opcodes:
    """A list; a tuple with the end "t", a mapping of keys and values in turn with "d"."""
    return Opcodes(b"(" + b"".join(value(item) for item in items) + end)


def called(full: str, *arguments: Any) -> Opcodes:
    """What a call gives."""
    return Opcodes(named(full) + sequence(*arguments, end=b"t") + b"R")


def built(content: Opcodes, state: Opcodes) -> Opcodes:
    """A value that was given a state."""
    return Opcodes(content + state + b"b")


def from_buffer(array: NDArray[Any]) -> Opcodes:
    """An array as the newest protocol of pickles holds it."""
    return called("numpy.core.numeric._frombuffer", array.tobytes(), array.dtype, array.shape, "C")


def objects(*cells: Any) -> Opcodes:
    """Cells as an array (1, rows) of objects."""
    kind = value(np.dtype(object))
    state = sequence(1, (1, len(cells)), kind, False, sequence(*cells), end=b"t")
    empty = called("numpy.core.multiarray._reconstruct", named("numpy.ndarray"), (0,), b"b")
    return built(empty, state)


def block(values: Any, placement: Any) -> Opcodes:
    """A block; the placement is (start, stop, step), or an array of places."""
    if isinstance(placement, tuple):
        placement = called("builtins.slice", *placement)
    return called("pandas._libs.internals._unpickle_block", value(values), placement, 2)


def index(names: list[str]) -> Opcodes:
    """An index of names."""
    parts = sequence("data", np.asarray(names, dtype=object), "name", None, end=b"d")
    return called(
        "pandas.core.indexes.base._new_Index", named("pandas.core.indexes.base.Index"), parts
    )


def frame(names: list[str], *blocks: Opcodes) -> bytes:
    """The pickle of a data frame with these columns."""
    count = sequence("start", 0, "stop", 9, "step", 1, end=b"d")
    rows = called(
        "pandas.core.indexes.base._new_Index", named("pandas.core.indexes.range.RangeIndex"), count
    )
    manager = called(
        "pandas.core.internals.managers.BlockManager", sequence(*blocks, end=b"t"),
        sequence(index(names), rows),
    )  # fmt: skip
    empty = Opcodes(named("pandas.core.frame.DataFrame") + b")\x81")
    return whole(built(empty, sequence("_mgr", manager, "_typ", "dataframe", end=b"d")))


def whole(content: Opcodes) -> bytes:
    """A pickle of one value."""
    return b"\x80\x03" + content + b"."


def words_frame(**columns: list[Any]) -> bytes:
    """The pickle of a frame with one block for each column; words go in as objects."""
    blocks = []
    for place, cells in enumerate(columns.values()):
        numbers = not any(isinstance(cell, str) for cell in cells)
        values = value(np.asarray([cells])) if numbers else objects(*cells)
        blocks.append(block(values, (place, place + 1, 1)))
    return frame(list(columns), *blocks)
