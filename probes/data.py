"""Every form of data a user has, as one thing: samples that come in batches.

A form is recognized once, by ``as_samples``; from there on only the ``Samples`` Protocol is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
)

from probes.batch import Batch, as_tensor, cut, kind_of, size_of
from probes.errors import UserError
from probes.fetching import fetcher, length_of, loaded, subset_indices

FORMS = (
    "a DataLoader, a Dataset, a pair of tensors or NumPy arrays, "
    "or a (train, validation) pair of these"
)


_MOST_BATCHES = 200_000
"""Batches of an iterable that are counted before it is taken for endless."""


class Samples(Protocol):
    """Samples that can be drawn in batches, without a change to where they come from."""

    batch_size: int | None
    """The batch size the user chose with the data, if any."""

    def __len__(self) -> int:
        """Number of samples."""

    def stream(self, batch_size: int, seed: int) -> Iterator[Batch]:
        """Endless shuffled batches of exactly ``batch_size``, the same for the same seed."""

    def ordered(self, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
        """Each sample once, in order; at most ``limit`` samples."""


def shuffled_indices(count: int, batch_size: int, seed: int) -> Iterator[Tensor]:
    """Endless batches of indices: a fresh permutation each epoch, the incomplete end dropped."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(count, generator=generator)
        for begin in range(0, count - batch_size + 1, batch_size):
            yield order[begin : begin + batch_size]


class IndexedSamples:
    """Samples reached by index: tensors (all at once) or a map-style dataset (one by one).

    Args:
        fetch: Takes a tensor of indices, returns the batch.
        count: Number of samples ``fetch`` knows.
        batch_size: The batch size that came with the data.
        indices: The part of the samples this object stands for; None for all.
        in_memory: Whether ``fetch`` only indexes tensors, so that reading every sample is cheap; a
            data set may load a file for each.
    """

    def __init__(
        self,
        fetch: Callable[[Tensor], Batch],
        count: int,
        batch_size: int | None = None,
        indices: Tensor | None = None,
        in_memory: bool = False,
    ) -> None:
        self._fetch, self._count, self.batch_size, self._indices = fetch, count, batch_size, indices
        self.in_memory = in_memory

    def __len__(self) -> int:
        return self._count if self._indices is None else len(self._indices)

    def take(self, indices: Tensor) -> Batch:
        """The batch of these samples (positions within this object)."""
        return self._fetch(indices if self._indices is None else self._indices[indices])

    def origin(self, position: int) -> int:
        """Index of a sample in the data it came from."""
        return position if self._indices is None else int(self._indices[position])

    def stream(self, batch_size: int, seed: int) -> Iterator[Batch]:
        """See Samples."""
        fetch, inner = self._fetch, self._indices
        for indices in shuffled_indices(len(self), batch_size, seed):
            yield fetch(indices if inner is None else inner[indices])

    def ordered(self, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
        """See Samples."""
        count = len(self) if limit is None else min(limit, len(self))
        for begin in range(0, count, batch_size):
            yield self.take(torch.arange(begin, min(begin + batch_size, count)))

    def part(self, indices: Tensor) -> IndexedSamples:
        """The samples at these positions."""
        inner = indices if self._indices is None else self._indices[indices]
        return IndexedSamples(self._fetch, self._count, self.batch_size, inner, self.in_memory)


class LoaderSamples:
    """Batches as a DataLoader makes them, for samplers of the user's own and iterable datasets.

    The loader decides batch size and order; ``every`` and ``offset`` pick out batches so that a
    validation split can be held out of an iterable dataset; nothing is read past ``end`` batches.
    """

    def __init__(
        self,
        loader: DataLoader[Any],
        keep: Callable[[int], bool] = lambda position: True,
        end: int | None = None,
    ) -> None:
        self._loader, self._keep, self._end = loader, keep, end
        self.batch_size: int | None = loader.batch_size or _first_size(loader)
        self._length: int | None = None

    def __len__(self) -> int:
        if self._length is None:
            length = 0
            for position, batch in enumerate(self._once()):
                if position == _MOST_BATCHES:
                    got = f"more than {_MOST_BATCHES} batches"
                    raise UserError("a loader that ends, or a budget in steps", got, "give steps")
                length += size_of(batch)
            self._length = length
        return self._length

    def _once(self) -> Iterator[Batch]:
        for position, batch in enumerate(islice(loaded(self._loader), self._end)):
            if self._keep(position):
                yield batch

    def stream(self, batch_size: int, seed: int) -> Iterator[Batch]:
        """See Samples; the order is the loader's own, seeded through torch's global stream."""
        empty = True
        while True:
            for batch in self._once():
                if size_of(batch) == batch_size:
                    empty = False
                    yield batch
            if empty:
                raise UserError(
                    f"batches of {batch_size} samples", "a loader that gave none",
                    "check its batch size and length",
                )  # fmt: skip

    def ordered(self, batch_size: int, limit: int | None = None) -> Iterator[Batch]:
        """See Samples."""
        left = limit
        for batch in self._once():
            size = size_of(batch)
            if left is not None and size >= left:
                yield cut(batch, 0, left) if size > left else batch
                return
            yield batch
            if left is not None:
                left -= size

    def part(self, keep: Callable[[int], bool], end: int | None = None) -> LoaderSamples:
        """The batches whose position satisfies ``keep`` and lies before ``end``."""
        return LoaderSamples(self._loader, keep, end)


def as_samples(data: Any, role: str = "train", batch_size: int | None = None) -> Samples:
    """Recognize one form of data.

    Args:
        data: A DataLoader, a Dataset, a tensor or array, or a tuple of tensors or arrays.
        role: What it is for, named in errors.
        batch_size: Of an iterable data set that comes without a loader; None takes 32.

    Raises:
        UserError: Another form, lengths that differ, no sample, or numbers that are not finite.
    """
    if isinstance(data, DataLoader):
        samples = _from_loader(data, role)
    elif isinstance(data, IterableDataset):
        samples = _from_loader(DataLoader(data, batch_size=batch_size or 32), role)
    elif isinstance(data, Dataset) or _is_map_style(data):
        samples = _from_dataset(data, default_collate, None, role)
    elif _is_array(data):
        samples = _from_arrays((data,), role, alone=True)
    elif isinstance(data, (tuple, list)) and data and all(_is_array(part) for part in data):
        samples = _from_arrays(tuple(data), role)
    else:
        hint = "give one of these"
        if hasattr(data, "__next__"):
            hint = "an iterator can be read only once: wrap it in a Dataset or DataLoader"
        raise UserError(f"{role} data as {FORMS}", kind_of(data), hint)
    if isinstance(samples, IndexedSamples) and len(samples) == 0:
        raise UserError(f"at least one sample in the {role} data", "none", "check the data set")
    return samples


def is_pair_of_sets(data: Any) -> bool:
    """Whether ``data`` is a (train, validation) pair and not (inputs, targets)."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        return False
    return not (_is_array(data[0]) and _is_array(data[1]))


def _first_size(loader: DataLoader[Any]) -> int:
    for batch in loaded(loader):
        return size_of(batch)
    raise UserError("a loader with at least one batch", "an empty loader", "check its data set")


def _is_array(data: Any) -> bool:
    return isinstance(data, (Tensor, np.ndarray))


def _is_map_style(data: Any) -> bool:
    plain = isinstance(data, (tuple, list, dict, str, bytes)) or _is_array(data)
    return not plain and hasattr(data, "__getitem__") and hasattr(data, "__len__")


def _from_arrays(
    arrays: Sequence[Tensor | np.ndarray[Any, Any]],
    role: str,
    batch_size: int | None = None,
    alone: bool = False,
) -> IndexedSamples:
    """Samples of arrays; the batches are tuples, or tensors where one array came ``alone``."""
    tensors = tuple(as_tensor(array, role) for array in arrays)
    lengths = {tensor.shape[0] if tensor.dim() else 0 for tensor in tensors}
    if len(lengths) != 1:
        shapes = " and ".join(str(tuple(tensor.shape)) for tensor in tensors)
        raise UserError(
            f"{role} inputs and targets of the same length", f"shapes {shapes}",
            "give one target per input (is it (train, validation)? then give a pair of pairs)",
        )  # fmt: skip
    for position, tensor in enumerate(tensors):
        real = tensor.is_floating_point() or tensor.is_complex()
        if real and not bool(torch.isfinite(tensor).all()):
            row = int((~torch.isfinite(tensor)).nonzero()[0, 0])
            what = "inputs" if position < max(len(tensors) - 1, 1) else "targets"
            raise UserError(
                f"finite numbers in the {role} {what}", f"NaN or infinity in row {row}",
                "remove or impute it",
            )  # fmt: skip
    (count,) = lengths
    if alone:
        (only,) = tensors
        return IndexedSamples(lambda indices: only[indices], count, batch_size, in_memory=True)
    if len(tensors) == 2:  # the usual case, without a loop
        inputs, targets = tensors
        return IndexedSamples(lambda i: (inputs[i], targets[i]), count, batch_size, in_memory=True)
    return IndexedSamples(
        lambda indices: tuple(tensor[indices] for tensor in tensors),
        count,
        batch_size,
        in_memory=True,
    )


def _from_dataset(
    dataset: Any, collate: Callable[[list[Any]], Batch], batch_size: int | None, role: str
) -> Samples:
    if type(dataset) is TensorDataset and collate is default_collate:
        return _from_arrays(dataset.tensors, role, batch_size)
    if (
        type(dataset) is Subset
        and type(dataset.dataset) is TensorDataset
        and collate is default_collate
    ):
        whole = _from_arrays(dataset.dataset.tensors, role, batch_size)
        return whole.part(subset_indices(dataset, len(whole), role))
    count = length_of(dataset, role)
    return IndexedSamples(fetcher(dataset, collate, role), count, batch_size)


def _from_loader(loader: DataLoader[Any], role: str) -> Samples:
    plain_order = isinstance(loader.sampler, SequentialSampler) or (
        isinstance(loader.sampler, RandomSampler)
        and not loader.sampler.replacement
        and loader.sampler.num_samples == len(loader.sampler.data_source)
    )
    if not isinstance(loader.dataset, IterableDataset) and plain_order and loader.batch_size:
        return _from_dataset(loader.dataset, loader.collate_fn, loader.batch_size, role)
    return LoaderSamples(loader)
