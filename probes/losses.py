"""The losses and metrics known by name, and the loss's usual metric."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from probes.objective import LossFunction, Metric

CLASS_LOSSES = ("cross_entropy", "nll", "probability_nll")
"""Losses of integer class labels."""
BINARY_LOSSES = ("binary_cross_entropy", "probability_binary_cross_entropy")
"""Losses of targets from 0 to 1."""
IGNORED = -100
"""The label that cross-entropy leaves out, unless told otherwise."""


def token_cross_entropy(outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy for (N, C), (N, C, ...) and, for tokens, (N, T, C) outputs."""
    if outputs.dim() == 3 and targets.dim() == 2 and outputs.shape[:2] == targets.shape:
        outputs, targets = outputs.flatten(0, 1), targets.flatten()
    return functional.cross_entropy(outputs, _indices(targets), label_smoothing=smoothing)


def _indices(targets: Tensor) -> Tensor:
    """Labels of any integer type as the one that torch's losses take."""
    if targets.dtype == torch.int64 or targets.is_floating_point():
        return targets
    return targets.long()


def _negative_log_likelihood(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.nll_loss(outputs, _indices(targets))


class Aligned:
    """A loss with (N, 1) and (N,) brought to the same shape, which broadcasting would not.

    Args:
        function: Takes outputs and targets of the same shape and dtype.
    """

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        self._function = function

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss; targets take the outputs' shape and dtype."""
        if outputs.shape != targets.shape:
            targets = targets.reshape(outputs.shape)
        return self._function(outputs, targets.to(outputs.dtype))


def _log_probabilities(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.nll_loss(outputs.clamp_min(1e-7).log(), _indices(targets))


LOSSES: dict[str, LossFunction] = {
    "cross_entropy": token_cross_entropy,
    "nll": _negative_log_likelihood,
    "probability_nll": _log_probabilities,
    "binary_cross_entropy": Aligned(functional.binary_cross_entropy_with_logits),
    "probability_binary_cross_entropy": Aligned(functional.binary_cross_entropy),
    "mse": Aligned(functional.mse_loss),
    "mae": Aligned(functional.l1_loss),
    "huber": Aligned(functional.smooth_l1_loss),
}


def _accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    classes = outputs.argmax(-1 if outputs.shape[:-1] == targets.shape else 1)
    if targets.is_floating_point() and targets.shape == outputs.shape:
        targets = targets.argmax(-1)
    counted = targets != IGNORED
    return (classes == targets)[counted].double().mean()


def _binary_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    return ((outputs > 0) == (targets.reshape(outputs.shape) > 0.5)).double().mean()


def _probability_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    return ((outputs > 0.5) == (targets.reshape(outputs.shape) > 0.5)).double().mean()


METRICS = {
    "accuracy": Metric("accuracy", _accuracy, True),
    "binary_accuracy": Metric("binary_accuracy", _binary_accuracy, True),
    "probability_accuracy": Metric("binary_accuracy", _probability_accuracy, True),
    "mae": Metric("mae", Aligned(functional.l1_loss), False),
    "mse": Metric("mse", Aligned(functional.mse_loss), False),
}
METRIC_OF = {
    "cross_entropy": "accuracy",
    "nll": "accuracy",
    "probability_nll": "accuracy",
    "binary_cross_entropy": "binary_accuracy",
    "probability_binary_cross_entropy": "probability_accuracy",
    "mse": "mae",
    "mae": "mse",
    "huber": "mae",
}
"""The metric that goes with a loss, where the user names none."""
