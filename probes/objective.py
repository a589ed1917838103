"""Loss and metric: from a batch and a model to a number."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from probes.batch import Batch, size_of
from probes.errors import UserError

LossFunction = Callable[[Any, Any], Tensor]
TARGET_KEYS = ("labels", "label", "targets", "target", "y")
"""Names under which a dict batch holds its targets."""


@dataclass(frozen=True)
class Metric:
    """A number people read beside the loss.

    Attributes:
        name: Its name in results.
        function: Takes outputs and targets, returns a scalar.
        greater_is_better: Direction.
    """

    name: str
    function: Callable[[Any, Any], Tensor | float]
    greater_is_better: bool


@dataclass(frozen=True)
class Objective:
    """How a batch becomes a loss.

    Attributes:
        loss_name: Name of the loss, for people.
        loss: Takes outputs and targets; None when ``training_step`` does all.
        metric: The metric, or None.
        training_step: The user's own ``(model, batch) -> loss``.
        cross_entropy: Whether label smoothing applies.
        autocast: Lower precision of the forward, or None.
    """

    loss_name: str
    loss: LossFunction | None = None
    metric: Metric | None = None
    training_step: Callable[[nn.Module, Batch], Tensor] | None = None
    cross_entropy: bool = False
    autocast: torch.dtype | None = None

    def _precision(self, model_device: str) -> AbstractContextManager[Any]:
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(model_device, dtype=self.autocast)

    def __call__(self, model: nn.Module, batch: Batch, device: str = "cpu") -> Tensor:
        """The mean loss of a batch, a scalar with a graph."""
        if self.autocast is None and self.training_step is None:
            inputs, targets = split(batch)
            return self.loss(call(model, inputs), targets)  # type: ignore[misc]
        with self._precision(device):
            if self.training_step is not None:
                return self.training_step(model, batch)
            inputs, targets = split(batch)
            return self.loss(call(model, inputs), targets)  # type: ignore[misc]

    def private(self, device: str) -> Objective:
        """The same objective with copies of a loss and a metric that hold state, on the device.

        A run must neither fill the user's metric nor read buffers on another device.
        """
        metric = self.metric
        if metric is not None:
            metric = replace(metric, function=own_copy(metric.function, device))
        return replace(self, loss=own_copy(self.loss, device), metric=metric)

    def smoothed(self, amount: float) -> Objective:
        """The same objective with label smoothing in its cross-entropy (for training only).

        Raises:
            UserError: The loss is not a cross-entropy.
        """
        if amount == 0.0:
            return self
        if not self.cross_entropy:
            raise UserError(
                "a cross-entropy loss for label smoothing", f"the loss {self.loss_name}",
                "set label_smoothing to 0",
            )  # fmt: skip
        from probes.losses import token_cross_entropy  # losses are made of what is defined here

        return replace(
            self, loss=lambda out, target: token_cross_entropy(out, target, smoothing=amount)
        )

    @torch.no_grad()
    def evaluate(
        self, model: nn.Module, batches: Iterable[Batch], device: str = "cpu"
    ) -> dict[str, float]:
        """Mean loss and metric over batches, each weighted by its number of samples.

        The model is put into evaluation mode and back.
        """
        was_training = model.training
        model.eval()
        total = torch.zeros((), dtype=torch.float64)
        measured, count = total, 0
        try:
            for batch in batches:
                weight = size_of(batch)
                count += weight
                with self._precision(device):
                    if self.training_step is not None:
                        total = total + _finish(self.training_step(model, batch)) * weight
                        continue
                    inputs, targets = split(batch)
                    outputs = call(model, inputs)
                    total = total + _finish(self.loss(outputs, targets)) * weight  # type: ignore[misc]
                    if self.metric is not None:
                        value = self.metric.function(outputs, targets)
                        measured = measured + _finish(value) * weight
        finally:
            model.train(was_training)
        if count == 0:
            raise UserError("at least one batch to evaluate on", "none", "check the data set")
        result = {"loss": float(total) / count}
        if self.metric is not None and self.training_step is None:
            result[self.metric.name] = float(measured) / count
        return result


def own_copy(function: Any, device: str | None = None) -> Any:
    """A copy of a callable that holds state (a module, an object); a function as it is."""
    if function is None or isinstance(function, (FunctionType, BuiltinFunctionType)):
        return function
    try:
        copied = copy.deepcopy(function)
    except (TypeError, RuntimeError):  # what cannot be copied is used as it is
        return function
    if device is not None and isinstance(copied, nn.Module):
        copied.to(device)
    return copied


def _finish(value: Tensor | float) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64, device="cpu") if not isinstance(
        value, Tensor
    ) else value.detach().double().cpu()  # fmt: skip


def split(batch: Batch) -> tuple[Any, Any]:
    """Inputs and targets of a batch.

    A pair is (inputs, targets); of a longer tuple the last is the target; of a dict the entry
    named ``labels``, ``label``, ``targets``, ``target`` or ``y``; a lone tensor is its own target,
    and a lone tensor of token ids gives each position's next token.
    """
    if isinstance(batch, (tuple, list)):  # the usual case first
        if len(batch) == 1:
            return split(batch[0])
        if not batch:
            raise UserError("a batch of inputs and targets", "an empty one", "change collate_fn")
        return (batch[0] if len(batch) == 2 else tuple(batch[:-1])), batch[-1]
    if isinstance(batch, Mapping):
        for key in TARGET_KEYS:
            if key in batch:
                rest = {name: value for name, value in batch.items() if name != key}
                return (next(iter(rest.values())) if len(rest) == 1 else rest), batch[key]
        raise UserError(
            f"a dict batch with targets under one of {', '.join(TARGET_KEYS)}",
            f"keys {', '.join(map(str, batch))}", "rename the key or give training_step",
        )  # fmt: skip
    if isinstance(batch, Tensor) and not batch.is_floating_point():
        if batch.dim() < 2 or batch.shape[1] < 2:
            raise UserError(
                "token ids of shape (samples, tokens), at least two tokens each",
                f"integers of shape {tuple(batch.shape)}",
                "cut the text into rows, or give (inputs, targets)",
            )  # fmt: skip
        return batch[:, :-1], batch[:, 1:]
    return batch, batch


def call(model: nn.Module, inputs: Any) -> Any:
    """The model's output, with several inputs handed over by name or position."""
    if isinstance(inputs, dict):
        return model(**inputs)
    if isinstance(inputs, tuple):
        return model(*inputs)
    return model(inputs)
