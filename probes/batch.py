"""Batches: what a model is fed, whatever its shape, made, counted, changed and cut in one way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from probes.errors import UserError

Batch = Any
"""A tensor, a tuple of tensors or a dict of tensors: whatever the user's model is fed."""


def size_of(batch: Batch) -> int:
    """Number of samples in a batch."""
    if isinstance(batch, Tensor):
        if batch.dim() == 0:
            raise UserError(
                "a batch of tensors whose first dimension counts samples", "a tensor of one number",
                "change collate_fn",
            )  # fmt: skip
        return batch.shape[0]
    if isinstance(batch, dict) and batch:
        return size_of(next(iter(batch.values())))
    if isinstance(batch, (tuple, list)) and batch:
        return size_of(batch[0])
    raise UserError("a batch as a tensor, tuple or dict", kind_of(batch), "change collate_fn")


def map_tensors(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """The batch with ``change`` applied to every tensor in it."""
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, dict):
        return {key: map_tensors(value, change) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(map_tensors(value, change) for value in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(map_tensors(value, change) for value in batch)
    return batch


def cut(batch: Batch, begin: int, end: int) -> Batch:
    """Samples ``begin`` to ``end`` of a batch."""
    return map_tensors(batch, lambda tensor: tensor[begin:end])


def kind_of(data: Any) -> str:
    """The type of what a user gave, with the parts of a tuple or list, for errors."""
    if isinstance(data, (tuple, list)):
        return f"{type(data).__name__} of ({', '.join(kind_of(part) for part in data[:4])})"
    return type(data).__name__


def as_tensor(array: Tensor | np.ndarray[Any, Any], role: str) -> Tensor:
    """A tensor of an array's numbers, independent of a NumPy array's memory.

    Raises:
        UserError: The array holds no numbers; ``role`` says whose it is.
    """
    if isinstance(array, Tensor):
        if array.device.type == "meta":
            raise UserError(
                f"{role} tensors with numbers", "one on the meta device", "load the data first"
            )
        if array.layout != torch.strided:
            raise UserError(f"dense {role} tensors", str(array.layout), "call to_dense() on it")
        return array.detach()
    if array.dtype.kind not in "fiubc":
        raise UserError(
            f"{role} arrays of numbers", f"dtype {array.dtype}", "encode categories as integers"
        )
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    elif array.dtype.kind in "fc" and array.dtype.itemsize > 8 * (1 + (array.dtype.kind == "c")):
        array = array.astype(np.float64 if array.dtype.kind == "f" else np.complex128)
    # a copy: training must not be able to write into the user's array; in this machine's byte order
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("=")))
