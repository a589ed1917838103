"""Tables that pandas pickled, read without pandas and without trust in the pickle.

A pickle is a program: it may name anything that Python can import, and call it. Here it may name
only what a saved frame is made of, and gets stand-ins of this file for that, which hold values and
do nothing else. Whatever else it names is refused before it is looked up.

Source: the pickle of a frame of pandas 2 holds a block manager; a block holds the values of
some columns of one type as an array (columns, rows) and the places of these columns.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_NUMBERS = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"})


def frame_columns(content: bytes) -> dict[str, NDArray[Any]]:
    """The columns of a pickled data frame, by name and in its order.

    Args:
        content: The pickle, decompressed.

    Returns:
        Arrays (rows,): of numbers or booleans, or of dtype object where the cells are words, with
        whatever the frame has in place of a missing one.

    Raises:
        ValueError: The bytes are no pickled frame, or name something that a frame is not made of.

    Example:
        >>> frame_columns(pickle.dumps(print))
        Traceback (most recent call last):
        ValueError: a pickled frame may not name builtins.print
    """
    try:
        frame = _FrameUnpickler(io.BytesIO(content)).load()
        if not isinstance(frame, _Frame):
            raise ValueError(f"a pickled {type(frame).__name__} is no data frame")
        return frame.columns()
    except (
        pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, LookupError, TypeError
    ) as error:  # fmt: skip
        # what broken bytes make a reader of opcodes, or a stand-in that gets nonsense, raise
        raise ValueError(f"not a pickled data frame: {error}") from error


class _StandIn:
    """Base of the stand-ins, all of them classes.

    A pickle may set attributes of what has no `__setstate__` of its own, a class among it, and
    would so change what later pickles meet. Here it is refused.
    """

    def __setstate__(self, state: Any) -> None:
        """Refuse a state where a saved frame has none."""
        raise ValueError(f"a pickled frame may not change a {type(self).__name__}")


class _Type(_StandIn):
    """Stands for a number type of numpy, or for its type of objects ("O8")."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        self.code = code
        self.order = "="

    def __setstate__(self, state: Sequence[Any]) -> None:
        """Keep the byte order; the rest of the state is of structured types."""
        self.order = state[1] if state[1] in ("<", ">") else "="

    def numbers(self) -> np.dtype[Any]:
        """The type, if it is one of numbers."""
        if self.code not in _NUMBERS:
            raise ValueError(f"a pickled frame may not hold values of type {self.code!r}")
        return np.dtype(self.order + self.code)


class _Array(_StandIn):
    """Stands for an array of numpy, which is made empty and filled when its state comes."""

    def __init__(self, kind: object, shape: tuple[int, ...], code: bytes) -> None:
        self.values: NDArray[Any] = np.empty(0)

    def __setstate__(self, state: tuple[int, tuple[int, ...], _Type, bool, Any]) -> None:
        """Take over shape, type, whether columns come first, and cells: a list, or bytes."""
        _, shape, kind, columns_first, cells = state
        if kind.code.startswith("O"):
            if not isinstance(cells, list):
                raise ValueError("a pickled array of objects has no list of them")
            flat = np.empty(len(cells), dtype=object)
            flat[:] = cells
        else:
            flat = np.frombuffer(cells, dtype=kind.numbers())
        self.values = flat.reshape(shape, order="F" if columns_first else "C")


class _Buffer(_StandIn):
    """Stands for an array of numpy that is made of its bytes at once."""

    def __init__(
        self, buffer: bytes, kind: _Type, shape: tuple[int, ...], order: Literal["C", "F"]
    ) -> None:
        self.values: NDArray[Any] = np.frombuffer(buffer, kind.numbers()).reshape(
            shape, order=order
        )


class _Class(_StandIn):
    """Stands for a class that a pickle only names."""


class _Index(_StandIn):
    """Stands for an index: the names of the columns, or of the rows, which are not looked at."""

    def __init__(self, kind: object, parts: Mapping[str, Any]) -> None:
        self.names = parts["data"].values.tolist() if "data" in parts else []


class _Block(_StandIn):
    """Stands for a block: values (columns, rows) and the places of its columns in the frame."""

    def __init__(
        self, values: _Array | _Buffer, placement: slice | _Array | _Buffer, dimensions: int
    ) -> None:
        self.values = values.values
        self.placement = placement

    def places(self, columns: int) -> list[int]:
        """The places as numbers in [0, columns)."""
        if isinstance(self.placement, slice):
            return list(range(columns))[self.placement]
        return [int(place) for place in self.placement.values]


class _Manager(_StandIn):
    """Stands for a block manager: its blocks, and the indexes of columns and of rows."""

    def __init__(self, blocks: Sequence[_Block], axes: Sequence[_Index]) -> None:
        self.blocks = blocks
        self.axes = axes


class _Frame(_StandIn):
    """Stands for a data frame."""

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Keep what manages the blocks."""
        self.manager: _Manager = state["_mgr"]

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns by name; ValueError where blocks and names do not fit."""
        names = self.manager.axes[0].names
        found: list[tuple[int, NDArray[Any]]] = []
        for block in self.manager.blocks:
            places = block.places(len(names))
            if len(places) != len(block.values):
                raise ValueError(f"a pickled block of {len(block.values)} has {len(places)} places")
            found += zip(places, block.values, strict=True)
        places = sorted(place for place, _ in found)
        if places != list(range(len(names))) or len({cells.shape for _, cells in found}) != 1:
            raise ValueError(f"a pickled frame of {len(names)} columns has blocks for others")
        cells = dict(found)
        return {str(name): cells[place] for place, name in enumerate(names)}


_STAND_INS: dict[str, type] = {
    "builtins.slice": slice,
    "numpy.dtype": _Type,
    "numpy.ndarray": _Class,
    # numpy 2 moved its inner modules
    "numpy.core.numeric._frombuffer": _Buffer,
    "numpy._core.numeric._frombuffer": _Buffer,
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy._core.multiarray._reconstruct": _Array,
    "pandas.core.frame.DataFrame": _Frame,
    "pandas.core.internals.managers.BlockManager": _Manager,
    "pandas._libs.internals._unpickle_block": _Block,
    "pandas.core.indexes.base._new_Index": _Index,
    "pandas.core.indexes.base.Index": _Class,
    "pandas.core.indexes.range.RangeIndex": _Class,
}
"""All that a pickled frame may name."""


class _FrameUnpickler(pickle.Unpickler):
    """A reader of opcodes that gives stand-ins for what it knows and imports nothing."""

    def find_class(self, module: str, name: str) -> type:
        """The stand-in; ValueError where there is none."""
        full = f"{module}.{name}"
        if full not in _STAND_INS:
            raise ValueError(f"a pickled frame may not name {full}")
        return _STAND_INS[full]
