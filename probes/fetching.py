"""Samples fetched from a user's data set or loader, with errors that name the samples.

An exception of the user's own code passes as it is, its traceback points at the place. One raised
by torch about what that code returned points into torch instead: it becomes a ``UserError``.
"""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, Subset, default_collate

from probes.batch import Batch
from probes.errors import UserError

_LIBRARY = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


def fault(error: Exception, where: str) -> UserError | None:
    """What to say of an exception met in reading data, or None where it is the user's own.

    Args:
        error: What was caught.
        where: Which samples were read.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, (UserError, MemoryError)) or not all(
        frame.filename.startswith(_LIBRARY) for frame in frames
    ):
        return None
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0] if lines else ''}"
    if len(lines) > 1 and "worker process" in lines[0]:
        text = f"{lines[-1]} (in a worker process)"  # the last line of the worker's traceback
    return UserError(
        f"samples that make a batch, in {where}", text[:300],
        "each sample must give tensors or numbers of the same shape and type as the others",
    )  # fmt: skip


def fetcher(
    dataset: Any, collate: Callable[[list[Any]], Batch], role: str
) -> Callable[[Tensor], Batch]:
    """A function from a tensor of indices to the batch of these samples."""

    def fetch(indices: Tensor) -> Batch:
        wanted = indices.tolist()
        rows: list[Any] = []
        try:
            for index in wanted:
                rows.append(dataset[index])
            return collate(rows)
        except Exception as error:
            found = wanted[len(rows)] if len(rows) < len(wanted) else wanted[_odd(rows, collate)]
            said = fault(error, f"sample {found} of the {role} data")
            if said is None:
                raise
            raise said from error

    return fetch


def _odd(rows: list[Any], collate: Callable[[list[Any]], Batch]) -> int:
    """Position of the first row that makes no batch with the row at the front."""
    if collate is not default_collate:  # the user's own, not to be called more than needed
        return 0
    for position, row in enumerate(rows):
        try:
            collate([rows[0], row])
        except Exception:  # the one looked for, whatever is wrong with it
            return position
    return 0


def loaded(loader: DataLoader[Any]) -> Iterator[Batch]:
    """The loader's batches in its order, from a copy: an iteration the user has begun goes on."""
    loader = copy.copy(loader)
    loader._iterator = None  # of persistent workers
    position = 0
    batches: Iterator[Batch] | None = None
    while True:
        try:
            if batches is None:
                batches = iter(loader)
            batch = next(batches)
        except StopIteration:
            return
        except Exception as error:
            said = fault(error, f"batch {position} of the loader")
            if said is None:
                raise
            raise said from error
        yield batch
        position += 1


def length_of(dataset: Any, role: str) -> int:
    """Number of samples of a map-style data set.

    Raises:
        UserError: It has no length, or one that is no count.
    """
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__getitem__"):
        raise UserError(
            f"a {role} data set with __getitem__", type(dataset).__name__,
            "define __getitem__, or derive from IterableDataset",
        )  # fmt: skip
    try:
        return len(dataset)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"a {role} data set with a length", f"{type(dataset).__name__} ({error})",
            "define __len__, or wrap an iterable data set in a DataLoader",
        ) from None  # fmt: skip


def subset_indices(subset: Subset[Any], count: int, role: str) -> Tensor:
    """The indices of a subset of ``count`` samples.

    Raises:
        UserError: One is outside.
    """
    indices = torch.as_tensor(list(subset.indices), dtype=torch.long)
    outside = indices[(indices < -count) | (indices >= count)]
    if len(outside):
        raise UserError(
            f"indices of a {role} subset below {count}", f"index {int(outside[0])}",
            "change its indices",
        )  # fmt: skip
    return indices
