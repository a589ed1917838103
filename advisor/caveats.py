"""What an answer says of itself when its data or its meta-models are not what they should be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from probes.data import IndexedSamples, Samples
from probes.errors import UserError
from probes.losses import LOSSES
from probes.measures.data_facts import MAX_SAMPLES, known_length
from probes.objective import split
from probes.profile import Profile
from probes.sandbox import sandbox
from probes.task import Task

_ERROR = re.compile(r"\w*(Error|Exception)\b")
"""How a probe's own failure begins where ``probes.profile`` tells why it is missing."""
_CHUNK = 64
"""Samples read at a time: targets that differ nearly always do so within the first of these."""


def constant_targets(task: Task, seed: int = 0) -> str | None:
    """Says that every training target is the same, so that there is nothing to learn; else None.

    All samples that are in memory are looked at, in a random order up to the first that differs;
    of others 1,024 at most, and then it says no more than that. A training step or loss of the
    user's own may not look at targets, and is taken at its word.

    Args:
        task: The task.
        seed: Of the order.
    """
    prepared = task.prepared
    if prepared.objective.loss_name not in LOSSES:
        return None
    first: Tensor | None = None
    seen = 0
    with sandbox(task.train, task.validation, task.test):
        for targets in _targets(prepared.train, prepared.batch_size, seed):
            first = targets[0] if first is None else first
            if targets.shape[1:] != first.shape or bool((targets != first).any()):
                return None
            seen += len(targets)
    if first is None or seen < 2:
        return None
    value = f"{first.item():g}" if first.numel() == 1 else "the same"
    told = f"all of {seen:,} training targets looked at are {value}"
    length = known_length(prepared.train)
    if seen < MAX_SAMPLES if length is None else seen >= length:
        return (
            f"{told}: any recipe can learn that, and this order tells nothing (was the data cut "
            "from a sorted set?)"
        )
    return f"{told}; a rare class may be among the others"


def _targets(samples: Samples, batch_size: int, seed: int) -> Iterator[Tensor]:
    """Targets of samples; ends where they are none or no tensor."""
    for batch in _batches(samples, batch_size, seed):
        try:
            _, targets = split(batch)
        except UserError:
            return
        if not isinstance(targets, Tensor) or targets.dim() == 0 or len(targets) == 0:
            return
        yield targets.detach().cpu()


def _batches(samples: Samples, batch_size: int, seed: int) -> Iterator[object]:
    if not isinstance(samples, IndexedSamples):
        yield from samples.ordered(batch_size, MAX_SAMPLES)
        return
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))
    count = len(order) if samples.in_memory else min(len(order), MAX_SAMPLES)
    for begin in range(0, count, _CHUNK):
        yield samples.take(order[begin : min(begin + _CHUNK, count)])


def failed_probes(profile: Profile) -> str | None:
    """Says which probes ended in an error, of the user's code most likely; None where none did."""
    failed = [
        f"{name} ({reason})" for name, reason in profile.missing.items() if _ERROR.match(reason)
    ]
    if not failed:
        return None
    return f"probes that failed, and what they would have told is not known: {'; '.join(failed)}"


def lacking_tier(used: int, paid: int, folder: Path) -> str | None:
    """Says that a folder lacks the meta-model of a tier that the budget could pay for; else None.

    Args:
        used: Tier of the profile.
        paid: Tier that the budget could pay for.
        folder: Of the meta-models.
    """
    if paid <= used:
        return None
    return (
        f"{folder} has no meta_model_{paid}.json, for whose tier the budget could pay: "
        f"went by tier {used}"
    )
