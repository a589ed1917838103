"""Pickled NumPy arrays, read without calling anything that the pickle names.

A pickle is a program: it names functions and calls them. Here the few names that a pickled array
needs stand for small replacements of our own, and every other name is refused.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PLAIN_KINDS = "biufOSU"
_BROKEN = (
    pickle.UnpicklingError, AttributeError, EOFError, ImportError, IndexError, KeyError,
    OverflowError, TypeError,
)  # fmt: skip


class _Marker:
    """Stands for a class that a pickle may name but not call."""

    # Without a dictionary a pickle cannot hang anything on it, which would outlive the reading.
    __slots__ = ()


class _EmptyArray:
    """Stands for NumPy's `_reconstruct`; the pickle then fills the array."""

    __slots__ = ()

    def __call__(self, subtype: object, shape: object, code: object) -> NDArray[np.int8]:
        return np.empty(0, dtype=np.int8)


class _PlainType:
    """Stands for `numpy.dtype`; the pickle then sets the byte order, so each is one of its own."""

    __slots__ = ()

    def __call__(self, code: str, align: object = False, copy: object = True) -> np.dtype[Any]:
        kind = np.dtype(code)
        if kind.kind not in _PLAIN_KINDS:
            raise ValueError(f"numbers, strings or objects were expected, not {kind}")
        return np.dtype(kind, copy=True)


class _Bytes:
    """Stands for `_codecs.encode`, with which old pickles write bytes as Latin-1 text.

    No bytes at all they write as a call of `bytes`.
    """

    __slots__ = ()

    def __call__(self, text: str = "", encoding: str = "latin1") -> bytes:
        if encoding != "latin1":
            raise ValueError(f"bytes written as latin1 were expected, not as {encoding!r}")
        return text.encode("latin-1")


_ALLOWED: dict[tuple[str, str], object] = {
    ("numpy.core.multiarray", "_reconstruct"): _EmptyArray(),
    ("numpy._core.multiarray", "_reconstruct"): _EmptyArray(),
    ("numpy", "ndarray"): _Marker(),
    ("numpy", "dtype"): _PlainType(),
    ("_codecs", "encode"): _Bytes(),
    ("__builtin__", "bytes"): _Bytes(),
}


class _ArrayUnpickler(pickle.Unpickler):
    """Knows arrays beside Python's own containers, numbers and strings."""

    def find_class(self, module: str, name: str) -> object:
        """What stands for a name of the pickle."""
        if (module, name) not in _ALLOWED:
            raise ValueError(f"the pickle asks for {module}.{name}, which no array needs")
        return _ALLOWED[module, name]


def load_arrays(content: bytes) -> Any:
    """Read a pickle of arrays, lists, dictionaries, numbers and strings.

    Args:
        content: A pickle, or an .npy file whose only element is a pickled object.

    Returns:
        What was pickled.

    Raises:
        ValueError: The bytes are no such pickle, or it asks for something else.

    Example:
        >>> load_arrays(pickle.dumps({"a": np.arange(3)}))
        {'a': array([0, 1, 2])}
    """
    stream = io.BytesIO(content)
    saved = content.startswith(np.lib.format.MAGIC_PREFIX)
    if saved:
        np.lib.format.read_magic(stream)
        shape, _, kind = np.lib.format.read_array_header_1_0(stream)
        if kind != np.dtype(object) or shape != ():
            raise ValueError(f"a single object was expected, not {shape} of {kind}")
    try:
        value = _ArrayUnpickler(stream).load()
    except _BROKEN as error:
        raise ValueError(f"no pickle of arrays: {error}") from None
    return value.item() if saved else value
