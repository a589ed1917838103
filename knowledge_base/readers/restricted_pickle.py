"""Pickles read without trust, and the NumPy arrays in them.

A pickle is a program: it may name anything that Python can import, and call it. Here it may name
only what a table lists, and gets a stand-in for it, which holds values and does nothing else.
Whatever else it names is refused before it is looked up.

Not even an empty array or a type of NumPy is handed to a pickle: these believe the state that it
gives them, and one flag of a type decides whether bytes are numbers or addresses.
"""

from __future__ import annotations

import copy
import io
import pickle
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value")

_PLAIN_TYPES = re.compile(r"b1|[iu][1248]|f[48]|[SU][0-9]+|O[48]?")
_SAVED_OBJECT = re.compile(
    rb"\x93NUMPY\x01\0..\{'descr': '\|O', 'fortran_order': False, 'shape': \(\), \} *\n", re.DOTALL
)
_BROKEN = (
    pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, LookupError, RecursionError,
    TypeError,
)  # fmt: skip
"""What broken bytes make a reader of opcodes raise, or a stand-in that gets nonsense."""


def load_arrays(content: bytes) -> Any:
    """Read a pickle of arrays, lists, dictionaries, numbers and strings.

    Args:
        content: A pickle, or an .npy file whose only element is a pickled object.

    Returns:
        What was pickled; numbers in the machine's byte order.

    Raises:
        ValueError: The bytes are no such pickle, or it asks for something else.

    Example:
        >>> load_arrays(pickle.dumps({"a": np.arange(3)}))
        {'a': array([0, 1, 2])}
    """
    if not content.startswith(b"\x93NUMPY"):
        return read_pickle(content, {}, copy.deepcopy)
    header = _SAVED_OBJECT.match(content)
    if header is None:
        raise ValueError("a single object was expected in the .npy file")
    return read_pickle(content[header.end() :], {}, lambda saved: copy.deepcopy(saved).item())


def read_pickle(
    content: bytes, stand_ins: Mapping[str, object], finish: Callable[[Any], Value]
) -> Value:
    """Read a pickle that may name NumPy's arrays and what a table lists.

    Args:
        content: The pickle.
        stand_ins: What it gets for a name, beside `NUMPY_STAND_INS`.
        finish: Makes the result of what was read; `copy.deepcopy` puts arrays in place of their
            stand-ins and refuses others.

    Raises:
        ValueError: The bytes are no pickle, it names something else, or it does not fit together.
    """
    try:
        return finish(_Unpickler(io.BytesIO(content), {**NUMPY_STAND_INS, **stand_ins}).load())
    except _BROKEN as error:
        raise ValueError(f"a broken pickle: {error}") from error


class _Unpickler(pickle.Unpickler):
    """A reader of opcodes that gives stand-ins for what it knows and imports nothing."""

    def __init__(self, stream: io.BytesIO, stand_ins: Mapping[str, object]) -> None:
        super().__init__(stream)
        self._stand_ins = stand_ins

    def find_class(self, module: str, name: str) -> object:
        """The stand-in; ValueError where there is none."""
        full = f"{module}.{name}"
        if full not in self._stand_ins:
            raise ValueError(f"a pickle may not name {full} here")
        return self._stand_ins[full]


class StandIn:
    """Base of the stand-ins.

    Without a `__setstate__` a pickle could change them, and so what later pickles meet.
    """

    def __setstate__(self, state: Any) -> None:
        """Refuse a state where nothing saved has one."""
        raise ValueError(f"a pickle may not change a {type(self).__name__}")

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Refuse to be part of a result."""
        raise ValueError(f"a pickle of arrays may not hold a {type(self).__name__}")


class Name(StandIn):
    """Stands for a class that a pickle names but does not call."""


class _Type(StandIn):
    """Stands for `numpy.dtype`: of numbers, strings ("U5") or objects ("O8")."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        if not _PLAIN_TYPES.fullmatch(code):
            raise ValueError(f"a pickle may hold numbers, strings or objects, not {code!r}")
        self.kind = np.dtype(code)

    def __setstate__(self, state: Sequence[Any]) -> None:
        """Take over the byte order; what follows is of types with parts, and of sizes."""
        _, order, *parts = state[:5]
        if order not in ("<", ">", "=", "|") or parts != [None] * 3:
            raise ValueError(f"a pickle may not hold values of the type {state!r}")
        self.kind = self.kind.newbyteorder(order)

    def values(self, cells: bytes) -> NDArray[Any]:
        """The values that bytes hold, (N,); NumPy refuses to take bytes for objects."""
        native = np.frombuffer(cells, self.kind).astype(self.kind.newbyteorder("="))
        if native.dtype.kind == "U" and native.view(np.uint32).max(initial=0) > sys.maxunicode:
            raise ValueError("a pickled array of strings has cells that are no text")
        return native


class SavedArray(StandIn):
    """Stands for an array, which is `values`; NumPy's `_frombuffer` makes it at once."""

    def __init__(
        self, cells: bytes, kind: _Type, shape: tuple[int, ...], order: Literal["C", "F"]
    ) -> None:
        self.values = _shaped(kind.values(cells), shape, order)

    def __deepcopy__(self, memo: dict[int, Any]) -> NDArray[Any]:
        """The array, and so those in its cells."""
        return copy.deepcopy(self.values, memo)


class _LaterArray(SavedArray):
    """Stands for an array of NumPy's `_reconstruct`, which is empty until its state comes."""

    def __init__(self, subtype: object, shape: object, code: object) -> None:
        self.values = np.empty(0)

    def __setstate__(self, state: tuple[int, tuple[int, ...], _Type, bool, Any]) -> None:
        """Take over shape, type, whether columns come first, and cells: a list, or bytes."""
        _, shape, kind, columns_first, cells = state
        if kind.kind.kind != "O":
            self.values = _shaped(kind.values(cells), shape, "F" if columns_first else "C")
        elif isinstance(cells, list):
            # NumPy lists objects row by row even where their array has columns first.
            self.values = _shaped(np.fromiter(cells, object, len(cells)), shape, "C")
        else:
            raise ValueError("a pickled array of objects has no list of them")


def _shaped(cells: NDArray[Any], shape: tuple[int, ...], order: Literal["C", "F"]) -> NDArray[Any]:
    array = cells.reshape(shape, order=order)
    if array.shape != shape:  # a -1 would be a size of NumPy's choice
        raise ValueError(f"a pickled array may not have the shape {shape}")
    return array


class _Bytes(StandIn):
    """Stands for `_codecs.encode` of Latin-1 text, or `bytes` of nothing: bytes in old pickles."""

    def __call__(self, text: str = "", encoding: str = "latin1") -> bytes:
        if encoding != "latin1":
            raise ValueError(f"bytes written as latin1 were expected, not as {encoding!r}")
        return text.encode("latin-1")


NUMPY_STAND_INS: dict[str, object] = {
    "numpy.ndarray": Name(),
    "numpy.dtype": _Type,
    # NumPy 2 moved its inner modules.
    "numpy.core.multiarray._reconstruct": _LaterArray,
    "numpy._core.multiarray._reconstruct": _LaterArray,
    "numpy.core.numeric._frombuffer": SavedArray,
    "numpy._core.numeric._frombuffer": SavedArray,
    "_codecs.encode": _Bytes(),
    "__builtin__.bytes": _Bytes(),
}
"""What a pickled array may name."""
