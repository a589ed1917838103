"""Samples made ready for training: a split held out, checked, in the model's precision."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from probes.batch import Batch, map_tensors
from probes.data import IndexedSamples, LoaderSamples, Samples
from probes.errors import UserError
from probes.inference import check_labels, class_count
from probes.objective import call, split

VALIDATION_SHARE = 0.2
_SPLIT_SEED = 0
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
        notes.append(f"validation: every {every}th batch of the loader is held out")
        return (
            samples.part(lambda position: position % every != every - 1),
            samples.part(lambda position: position % every == every - 1),
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


def _integer_targets(samples: IndexedSamples) -> Iterator[Tensor]:
    """Integer targets in order; ends early where they are something else or many to read."""
    if len(samples) > (_MANY if samples.in_memory else _MANY_FETCHED):
        return
    for batch in samples.ordered(1024):
        try:
            _, targets = split(batch)
        except UserError:
            return
        if not isinstance(targets, Tensor) or targets.is_floating_point():
            return
        yield targets.cpu()


def check_finite(batch: Batch) -> None:
    """Refuse NaN and infinity in a batch."""

    def check(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UserError(
                "finite numbers in the data", "NaN or infinity in the first batch",
                "remove or impute it",
            )  # fmt: skip
        return tensor

    map_tensors(batch, check)


def check_all_labels(model: nn.Module, sets: list[Samples], batch: Batch, ignored: int) -> None:
    """Labels of every set within the model's classes, where reading them is cheap."""
    inputs, targets = split(batch)
    if not isinstance(targets, Tensor) or targets.is_floating_point():
        return
    with torch.no_grad():
        classes = class_count(call(model, inputs), targets)
    for samples in sets:
        if isinstance(samples, IndexedSamples):
            for labels in _integer_targets(samples):
                check_labels(labels, classes, ignored)


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
    inner = samples.take
    return IndexedSamples(
        lambda indices: map_tensors(
            inner(indices),
            lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor,
        ),
        len(samples),
        samples.batch_size,
        in_memory=samples.in_memory,
    )
