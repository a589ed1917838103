"""What an optimizer does in one step, behind one small Protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from probes.batch import Batch
from probes.objective import Objective


class Stepper(Protocol):
    """Turns a batch into an update."""

    def step(self, batch: Batch) -> Tensor:
        """Update the model once; returns the batch's loss before the update, detached."""


class PlainStepper:
    """Forward, backward, clip, update: what most optimizers need.

    Args:
        model: The model, in training mode.
        objective: The loss.
        optimizer: Over the model's parameters.
        max_norm: Gradients are scaled down to this norm; None leaves them.
        device: Type of the model's device, for autocast.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        max_norm: float | None,
        device: str,
    ) -> None:
        self.model, self.objective, self.optimizer = model, objective, optimizer
        self.max_norm, self.device = max_norm, device
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]

    def step(self, batch: Batch) -> Tensor:
        """See Stepper."""
        loss = self.objective(self.model, batch, self.device)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        if self.max_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.max_norm)
        self.optimizer.step()
        return loss.detach()


STEPPERS: dict[str, Callable[..., Stepper]] = {"plain": PlainStepper}
"""Implementations by the name a catalogue row gives."""


def make_stepper(name: str, *arguments: Any) -> Stepper:
    """The stepper a catalogue row names."""
    return STEPPERS[name](*arguments)
