"""Samples made ready for training: a split held out, checked, in the model's precision."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from probes.batch import Batch, map_tensors, size_of
from probes.data import IndexedSamples, LoaderSamples, Samples
from probes.errors import UserError
from probes.inference import check_labels, class_count
from probes.objective import call, split

VALIDATION_SHARE = 0.2
_SPLIT_SEED = 0
_HELD_BATCHES = 50
"""Batches at most that are held out of an iterable data set by their position."""
_MANY = 200_000
"""Samples in memory above which targets are not read ahead."""
_MANY_FETCHED = 5_000
"""The same for samples fetched one by one, each perhaps an image file."""


def hold_out(samples: Samples, notes: list[str]) -> tuple[Samples, Samples]:
    """A validation split of a fifth, seeded, stratified for class targets."""
    if isinstance(samples, LoaderSamples):
        loader = samples._loader
        if not isinstance(loader.dataset, torch.utils.data.IterableDataset):
            raise UserError(
                "a (train, validation) pair for a loader with a sampler of its own",
                "one loader", "split the data set and pass two loaders",
            )  # fmt: skip
        every = round(1 / VALIDATION_SHARE)
        notes.append(
            f"validation: every {every}th batch of the loader is held out, "
            f"the first {_HELD_BATCHES} of these at most (a stream may have no end)"
        )
        return (
            samples.part(lambda position: position % every != every - 1),
            samples.part(lambda position: position % every == every - 1, every * _HELD_BATCHES),
        )
    assert isinstance(samples, IndexedSamples)  # noqa: S101 - the two kinds there are
    count = len(samples)
    if count < 2:
        raise UserError("at least two samples to hold one out", str(count), "give validation data")
    generator = torch.Generator().manual_seed(_SPLIT_SEED)
    order = torch.randperm(count, generator=generator)
    labels = _classes(samples)
    wanted = max(1, round(count * VALIDATION_SHARE))
    if labels is None:
        held = order[:wanted]
        how = "seeded"
    else:
        # going through the classes in turn keeps every class's share
        by_class = order[torch.argsort(labels[order], stable=True)]
        positions = ((torch.arange(wanted) + 0.5) * count / wanted).long()
        held = by_class[positions]
        how = "seeded, stratified by class"
    mask = torch.ones(count, dtype=torch.bool)
    mask[held] = False
    notes.append(f"validation: {wanted} of {count} samples held out ({how})")
    return samples.part(mask.nonzero().flatten()), samples.part(held.sort().values)


def _classes(samples: IndexedSamples) -> Tensor | None:
    """One class a sample, or None where targets are something else or nearly all different."""
    parts = [targets for targets in _integer_targets(samples) if targets.dim() == 1]
    if not parts or sum(map(len, parts)) < len(samples):
        return None
    labels = torch.cat(parts).long()
    return labels if len(set(labels.tolist())) <= max(len(labels) // 2, 2) else None


def _cheap(samples: IndexedSamples) -> bool:
    """Whether every sample may be read ahead."""
    return len(samples) <= (_MANY if samples.in_memory else _MANY_FETCHED)


def _integer_targets(samples: IndexedSamples) -> Iterator[Tensor]:
    """Integer targets in order; ends early where they are something else or many to read."""
    if not _cheap(samples):
        return
    for batch in samples.ordered(1024):
        try:
            _, targets = split(batch)
        except UserError:
            return
        if not isinstance(targets, Tensor) or targets.is_floating_point():
            return
        yield targets.cpu()


def check_finite(batch: Batch, role: str, samples: Samples, begin: int = 0) -> None:
    """Refuse NaN and infinity in a batch.

    Args:
        batch: What to look at.
        role: Whose it is, named in the error.
        samples: The set it comes from.
        begin: Position of its first sample in the set.
    """

    def check(tensor: Tensor) -> Tensor:
        if not (tensor.is_floating_point() or tensor.is_complex()):
            return tensor
        finite = torch.isfinite(tensor)
        if not bool(finite.all()):
            where = "the first batch"
            if isinstance(samples, IndexedSamples) and tensor.dim():
                where = f"sample {samples.origin(begin + int((~finite).nonzero()[0, 0]))}"
            raise UserError(
                f"finite numbers in the {role} data", f"NaN or infinity in {where}",
                "remove or impute it",
            )  # fmt: skip
        return tensor

    map_tensors(batch, check)


def class_labels(model: nn.Module, batch: Batch) -> int | None:
    """How many classes the model has, where the batch has integer labels."""
    inputs, targets = split(batch)
    if not isinstance(targets, Tensor) or targets.is_floating_point():
        return None
    with torch.no_grad():
        return class_count(call(model, inputs), targets)


def check_all(
    sets: dict[str, Samples], first: dict[str, Batch], classes: int | None, ignored: int
) -> None:
    """Numbers finite and labels within the classes in every set, where reading it is cheap.

    Args:
        sets: Samples by role ("train", "validation", "test").
        first: The first batch of each.
        classes: Labels lie below; None where they are none.
        ignored: The label that the loss leaves out.
    """
    for role, samples in sets.items():
        check_finite(first[role], role, samples)
        if not isinstance(samples, IndexedSamples) or not _cheap(samples):
            continue
        if samples.in_memory:  # what is in memory was found finite when it came
            for labels in _integer_targets(samples) if classes is not None else ():
                check_labels(labels, classes or 0, ignored)
            continue
        begin = 0
        for batch in samples.ordered(1024):
            check_finite(batch, role, samples, begin)
            begin += size_of(batch)
            if classes is not None:
                _, targets = split(batch)
                if isinstance(targets, Tensor) and not targets.is_floating_point():
                    check_labels(targets.cpu(), classes, ignored)


def first_batch(samples: Samples, role: str, batch_size: int, device: str) -> Batch:
    """The first batch of a set on a device.

    Raises:
        UserError: There is none, or it holds no samples.
    """
    batch = next(samples.ordered(batch_size), None)
    if batch is None:
        raise UserError(
            f"a {role} loader with at least one batch", "an empty one", "check its data"
        )
    if size_of(batch) == 0:
        raise UserError(f"{role} batches with samples", "an empty batch", "change collate_fn")
    return map_tensors(batch, lambda tensor: tensor.to(device))


def cast_like(samples: Samples, dtype: torch.dtype, notes: list[str]) -> Samples:
    """The samples with floating-point inputs in the model's precision."""
    batch = next(samples.ordered(1), None)
    found: list[torch.dtype] = []

    def look(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point() and tensor.dtype != dtype:
            found.append(tensor.dtype)
        return tensor

    if batch is None or not isinstance(samples, IndexedSamples):
        return samples
    map_tensors(batch, look)
    if not found:
        return samples
    note = f"data cast from {str(found[0])[6:]} to {str(dtype)[6:]}, the model's precision"
    if note not in notes:
        notes.append(note)
    inner = samples._fetch
    return IndexedSamples(
        lambda indices: map_tensors(
            inner(indices),
            lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor,
        ),
        samples._count,
        samples.batch_size,
        samples._indices,
        samples.in_memory,
    )
