"""The losses of many members: each by the objective, or all at once where it is a cross-entropy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from probes.batch import Batch
from probes.losses import IGNORED, token_cross_entropy
from probes.objective import Objective, call, split

_FEW = 32
"""Classes below which torch's softmax is several times faster along any but the last dimension."""


@dataclass(frozen=True)
class StackLoss:
    """One loss in two forms.

    Attributes:
        member: The loss of one member: takes what stands for its model, its batch and its label
            smoothing. It runs inside of ``torch.vmap``.
        together: The same for all members, (M,), from their outputs (M, N, ...), targets (M, ...)
            and label smoothings (M,); outside of ``torch.vmap``, which makes a dozen operations
            of a cross-entropy. None where the loss is another one.
    """

    member: Callable[[Any, Batch, Tensor], Tensor]
    together: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None


def stack_loss(objective: Objective, smoothing: bool) -> StackLoss:
    """The loss of members with label smoothings s of their own; the loss is linear in s.

    The cross-entropy is (1 - s) times that with 0 plus s times that with 1 (Szegedy et al. 2016,
    section 7). Without ``smoothing``, the objective as it is.
    """

    def together(outputs: Tensor, targets: Tensor, amounts: Tensor) -> Tensor:
        return cross_entropies(outputs, targets, amounts if smoothing else None)

    if not smoothing:
        plain = objective.loss is token_cross_entropy
        return StackLoss(
            lambda model, batch, amount: objective(model, batch), together if plain else None
        )
    entire = objective.smoothed(1.0)

    def member(model: Any, batch: Batch, amount: Tensor) -> Tensor:
        inputs, targets = split(batch)
        outputs = call(model, inputs)
        hard, soft = token_cross_entropy(outputs, targets), entire.loss(outputs, targets)  # type: ignore[misc]
        return torch.lerp(hard, soft, amount)

    return StackLoss(member, together)


def cross_entropies(outputs: Tensor, targets: Tensor, smoothing: Tensor | None = None) -> Tensor:
    """Each member's mean cross-entropy, as ``probes.losses.token_cross_entropy`` gives it.

    Args:
        outputs: Logits, (M, N, C), (M, N, C, ...) or, for tokens, (M, N, T, C).
        targets: Labels, (M, N), (M, N, ...) or (M, N, T), or probabilities in the outputs' shape.
        smoothing: Each member's label smoothing in [0, 1], (M,); None for none.

    Returns:
        Losses (M,).
    """
    if targets.is_floating_point() or outputs.dim() < 3:
        return _one_by_one(outputs, targets, smoothing)
    if outputs.dim() == 4 and targets.dim() == 3 and outputs.shape[:3] == targets.shape:
        outputs, targets = outputs.flatten(1, 2), targets.flatten(1)
    members, targets = len(targets), targets.long()
    if outputs.dim() == 3 and outputs.shape[2] >= _FEW:
        logits, labels = outputs.flatten(0, 1), targets.flatten()
    else:
        logits, labels = outputs.movedim(2, 1).contiguous(), targets
    counts = (targets != IGNORED).flatten(1).sum(1)
    each = functional.cross_entropy(logits, labels, reduction="none")
    losses = each.view(members, -1).sum(1) / counts
    if smoothing is None:
        return losses
    each = functional.cross_entropy(logits, labels, reduction="none", label_smoothing=1.0)
    return torch.lerp(losses, each.view(members, -1).sum(1) / counts, smoothing)


def _one_by_one(outputs: Tensor, targets: Tensor, smoothing: Tensor | None) -> Tensor:
    pairs = list(zip(outputs, targets, strict=True))
    hard = torch.stack([token_cross_entropy(*pair) for pair in pairs])
    if smoothing is None:
        return hard
    soft = torch.stack([token_cross_entropy(*pair, smoothing=1.0) for pair in pairs])
    return torch.lerp(hard, soft, smoothing)
