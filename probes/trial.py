"""One batch of each set through model, loss and metric before anything is trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from probes.batch import Batch
from probes.errors import UserError
from probes.inference import check_fit, check_scalar
from probes.losses import BINARY_LOSSES
from probes.model_checks import check_weights
from probes.objective import Metric, Objective, call, split


def check_sets(
    objective: Objective, model: nn.Module, first: dict[str, Batch], ignored: int
) -> None:
    """Try every set as training will use it.

    Args:
        objective: Loss and metric, not shared with any training.
        model: One to throw away, in evaluation mode; left in training mode.
        first: The first batch of each set by its role; "train" among them.
        ignored: The label that the loss leaves out.

    Raises:
        UserError: A set does not fit; the message names it.
    """
    check_weights(model)
    binary = objective.loss is not None and objective.loss_name in BINARY_LOSSES
    yes_or_no = binary and _are_shares(split(first["train"])[1])
    for role, batch in first.items():
        if role != "train":
            _evaluated(objective, model, batch, role, ignored, yes_or_no)
    model.train()
    check_scalar(objective, model, first["train"], training=True)


def _evaluated(
    objective: Objective, model: nn.Module, batch: Batch, role: str, ignored: int, yes_or_no: bool
) -> None:
    fits = f"{role} data that fit the model like the training data"
    try:
        with torch.no_grad(), objective._precision(_device_of(model)):
            if objective.training_step is not None:
                value: Any = objective.training_step(model, batch)
                outputs = targets = None
            else:
                inputs, targets = split(batch)
                outputs = call(model, inputs)
                check_fit(outputs, targets, objective.loss_name, ignored)
                if yes_or_no and not _are_shares(targets):
                    raise UserError("targets from 0 to 1", "others", "give targets as in training")
                value = objective.loss(outputs, targets)  # type: ignore[misc]
    except UserError as error:
        raise UserError(f"{error.expected} ({role} data)", error.got, error.fix) from error
    except Exception as error:
        raise UserError(
            fits, f"{type(error).__name__}: {error}",
            f"give the {role} data the shapes and types of the training data",
        ) from error  # fmt: skip
    if not _is_number(value):
        raise UserError(f"a loss that is one number on the {role} data", _named(value), "reduce it")
    if objective.metric is not None and objective.training_step is None:
        _check_metric(objective.metric, outputs, targets, role)


def _check_metric(metric: Metric, outputs: Any, targets: Any, role: str) -> None:
    expected = f"a metric {metric.name} of (outputs, targets) that gives one number"
    fix = "outputs are what the model returns (logits, not labels): return a float or a scalar"
    try:
        with torch.no_grad():
            value = metric.function(outputs, targets)
    except UserError:
        raise
    except Exception as error:
        raise UserError(expected, f"{type(error).__name__}: {error} ({role} data)", fix) from error
    if not _is_number(value):
        raise UserError(expected, _named(value), fix)


def _are_shares(targets: Any) -> bool:
    return isinstance(targets, Tensor) and bool(((targets >= 0) & (targets <= 1)).all())


def _is_number(value: Any) -> bool:
    """Whether evaluation can average it."""
    if isinstance(value, Tensor):
        return value.numel() == 1
    if value is None or isinstance(value, (str, bytes)):
        return False
    try:
        return torch.as_tensor(value, dtype=torch.float64).numel() == 1
    except (TypeError, ValueError, RuntimeError):
        return False


def _named(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ + (f" of shape {tuple(shape)}" if shape else "")


def _device_of(model: nn.Module) -> str:
    return next((p.device.type for p in model.parameters()), "cpu")
