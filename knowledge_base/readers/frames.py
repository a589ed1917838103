"""Tables that pandas pickled, read without pandas and without trust in the pickle.

Source: the pickle of a frame of pandas 2 holds a block manager; a block holds the values of
some columns of one type as an array (columns, rows) and the places of these columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from knowledge_base.readers.arrays import ReadMember
from knowledge_base.readers.restricted_pickle import Name, SavedArray, StandIn, read_pickle

_CELLS: set[type] = {str, float, int, bool, type(None)}
"""What a cell of words may be: a word, or what stands for a missing one."""


def frame_columns(content: bytes) -> dict[str, NDArray[Any]]:
    """The columns of a pickled data frame, by name and in its order.

    Args:
        content: The pickle, decompressed.

    Returns:
        Arrays (rows,): of numbers or booleans, or of dtype object where the cells are words, with
        whatever the frame has in place of a missing one.

    Raises:
        ValueError: The bytes are no pickled frame, or name something that a frame is not made of;
            two columns have one name, or a cell is no word, number or None.

    Example:
        >>> import pickle
        >>> frame_columns(pickle.dumps(print))
        Traceback (most recent call last):
        ValueError: a pickle may not name builtins.print here
    """
    return read_pickle(content, PANDAS_STAND_INS, _columns)


def named_columns(member: str, read: ReadMember, *names: str) -> list[NDArray[Any]]:
    """Some columns of the frame in a file; ValueError where it lacks one."""
    columns = frame_columns(read(member))
    if absent := set(names) - columns.keys():
        raise ValueError(f"{member} has no columns {', '.join(sorted(absent))}")
    return [columns[name] for name in names]


class _Index(StandIn):
    """Stands for an index: the names of the columns, or of the rows, which are not looked at."""

    def __init__(self, kind: object, parts: Mapping[str, Any]) -> None:
        self.names = parts["data"].values.tolist() if "data" in parts else []


class _Block(StandIn):
    """Stands for a block: values (columns, rows) and the places of its columns in the frame."""

    def __init__(self, values: SavedArray, placement: slice | SavedArray, dimensions: int) -> None:
        if values.values.dtype.kind in "SU":
            raise ValueError("a pickled block holds strings of one length, which no frame does")
        self.values = values.values
        self.placement = placement

    def places(self, columns: int) -> list[int]:
        """The places as numbers in [0, columns)."""
        if isinstance(self.placement, slice):
            return list(range(columns))[self.placement]
        return [int(place) for place in self.placement.values]


class _Manager(StandIn):
    """Stands for a block manager: its blocks, and the indexes of columns and of rows."""

    def __init__(self, blocks: Sequence[_Block], axes: Sequence[_Index]) -> None:
        self.blocks = blocks
        self.axes = axes


class _Frame(StandIn):
    """Stands for a data frame."""

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Keep what manages the blocks."""
        self.manager: _Manager = state["_mgr"]


def _columns(frame: object) -> dict[str, NDArray[Any]]:
    """The columns by name; ValueError where blocks and names do not fit."""
    if not isinstance(frame, _Frame):
        raise ValueError(f"a pickled {type(frame).__name__} is no data frame")
    names = [str(name) for name in frame.manager.axes[0].names]
    if repeated := {name for name, count in Counter(names).items() if count > 1}:
        raise ValueError(f"a pickled frame has several columns {', '.join(sorted(repeated))}")
    found: list[tuple[int, NDArray[Any]]] = []
    for block in frame.manager.blocks:
        places = block.places(len(names))
        if block.values.ndim != 2:
            raise ValueError(f"a pickled block has the shape {block.values.shape}")
        _refuse_other_cells(block.values)
        if len(places) != len(block.values):
            raise ValueError(f"a pickled block of {len(block.values)} has {len(places)} places")
        found += zip(places, block.values, strict=True)
    places = sorted(place for place, _ in found)
    if places != list(range(len(names))) or len({cells.shape for _, cells in found}) != 1:
        raise ValueError(f"a pickled frame of {len(names)} columns has blocks for others")
    cells = dict(found)
    return {name: cells[place] for place, name in enumerate(names)}


def _refuse_other_cells(values: NDArray[Any]) -> None:
    """ValueError where objects are no words, numbers or None: stand-ins must not come out."""
    if values.dtype == object and (others := set(map(type, values.flat)) - _CELLS):
        kinds = ", ".join(sorted(kind.__name__ for kind in others))
        raise ValueError(f"a pickled frame may not have cells of the types {kinds}")


PANDAS_STAND_INS: dict[str, object] = {
    "builtins.slice": slice,
    "pandas.core.frame.DataFrame": _Frame,
    "pandas.core.internals.managers.BlockManager": _Manager,
    "pandas._libs.internals._unpickle_block": _Block,
    "pandas.core.indexes.base._new_Index": _Index,
    "pandas.core.indexes.base.Index": Name(),
    "pandas.core.indexes.range.RangeIndex": Name(),
}
"""What a pickled frame may name beside arrays."""
