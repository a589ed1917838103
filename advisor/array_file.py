"""Arrays beside a meta-model, in a file that tells whose they are."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from advisor.fitted_file import damaged, of_another, unreadable
from probes.files import write_bytes

Arrays = Mapping[str, NDArray[Any]]
Content = TypeVar("Content")
_DAMAGE = (
    EOFError, KeyError, OSError, OverflowError, RuntimeError, TypeError, ValueError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What NumPy and zipfile raise on bytes that are none of theirs: RuntimeError for encrypted ones,
OSError for a place outside of the file."""


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Put arrays of numbers or texts into a compressed file at once."""
    buffer = io.BytesIO()
    named: dict[str, Any] = dict(arrays)
    np.savez_compressed(buffer, **named)
    write_bytes(path, buffer.getvalue())


def read_arrays(path: Path, what: str, make: Callable[[Arrays], Content]) -> tuple[Content, Arrays]:
    """What is made of the arrays in a file, and the arrays.

    Args:
        path: The file.
        what: What it should hold, in words.
        make: Makes it; whatever is missing or wrong raises KeyError, TypeError or ValueError.

    Raises:
        UserError: The file is not there, cannot be read, or does not hold it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(path, what, error) from None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as data:
            arrays = {name: data[name] for name in data}
        return make(arrays), arrays
    except _DAMAGE:  # what NumPy says of it is to allow pickles
        raise damaged(path, what) from None


def check_identity(path: Path, what: str, arrays: Arrays, wanted: Arrays) -> None:
    """Refuse arrays that go with something else.

    Args:
        path: Where they were read.
        what: What was expected, in words.
        arrays: What was read.
        wanted: The arrays that tell whose they are.

    Raises:
        UserError: One of these is missing or another.
    """
    for name, value in wanted.items():
        if name not in arrays or not np.array_equal(arrays[name], value):
            raise of_another(path, what)
