"""Loss and metric inferred from a model and a batch, and the checks that all of it fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parameter import is_lazy

from probes.batch import Batch
from probes.errors import UserError, unknown_name
from probes.losses import CLASS_LOSSES, IGNORED, LOSSES, METRIC_OF, METRICS, Aligned
from probes.model_checks import check_weights
from probes.objective import LossFunction, Metric, Objective, call, own_copy, split


def make_objective(
    model: nn.Module,
    batch: Batch,
    loss: str | nn.Module | LossFunction | None,
    metric: str | Callable[[Any, Any], Any] | None,
    training_step: Callable[[nn.Module, Batch], Tensor] | None,
    autocast: torch.dtype | None = None,
) -> tuple[Objective, list[str]]:
    """The objective of a task, and in words what was inferred.

    Args:
        model: In evaluation mode, on the batch's device; called once.
        batch: One batch of training data.
        loss: Name of LOSSES, callable of (outputs, targets), or None to infer.
        metric: Name of METRICS, callable of (outputs, targets), or None to infer.
        training_step: Callable of (model, batch) that returns the loss.
        autocast: Lower precision of the forward.

    Raises:
        UserError: Model, data and loss do not fit together.
    """
    if training_step is not None:
        if metric is not None:
            raise UserError(
                "a metric or a training_step (which returns a loss and no outputs)", "both",
                "leave metric out",
            )  # fmt: skip
        objective = Objective("training_step", training_step=training_step, autocast=autocast)
        check_scalar(objective, model, batch)
        return objective, ["the loss is what training_step returns"]
    loss, metric = own_copy(loss), own_copy(metric)  # the user's own are never called
    notes: list[str] = []
    inputs, targets = split(batch)
    try:
        with torch.no_grad():
            outputs = call(model, inputs)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            "a model that takes a batch of the data", f"{type(error).__name__}: {error}",
            f"the batch was {_describe(inputs)}; check shapes and dtypes",
        ) from error  # fmt: skip
    if loss is None:
        loss, why = _infer(outputs, targets)
        notes.append(f"loss {loss}: {why}")
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise unknown_name("a loss", loss, LOSSES)
        name, function = loss, LOSSES[loss]
    else:
        name, function = _standard_name(loss), loss
        if _is_default(loss):
            function = LOSSES[name]
        elif name in LOSSES and name not in CLASS_LOSSES:
            function = Aligned(loss)  # (N, 1) against (N,) would broadcast to (N, N)
    chosen = _metric(metric, name, notes)
    objective = Objective(
        name, function, chosen, cross_entropy=name == "cross_entropy" and (
            isinstance(loss, str) or _is_default(loss)), autocast=autocast,
    )  # fmt: skip
    check_fit(outputs, targets, name, int(getattr(loss, "ignore_index", IGNORED)))
    check_scalar(objective, model, batch)
    return objective, notes


def _metric(metric: Any, loss_name: str, notes: list[str]) -> Metric | None:
    if metric is None:
        if loss_name not in METRIC_OF:
            return None
        notes.append(f"metric {METRIC_OF[loss_name]}: the usual one for {loss_name}")
        return METRICS[METRIC_OF[loss_name]]
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        if metric == "accuracy":
            usual = METRIC_OF.get(loss_name, "accuracy")
            if not usual.endswith("accuracy"):
                raise UserError(
                    "a metric that fits the loss", f"accuracy with the loss {loss_name}",
                    f"use {usual} or leave metric out",
                )  # fmt: skip
            return METRICS[usual]
        if metric not in METRICS:
            raise unknown_name("a metric", metric, METRICS)
        return METRICS[metric]
    if not callable(metric):
        raise UserError(
            "a metric as a name or a callable of (outputs, targets)", type(metric).__name__,
            f"use one of {', '.join(METRICS)}, a callable, or leave it out",
        )  # fmt: skip
    return Metric(getattr(metric, "__name__", "metric"), metric,
                  bool(getattr(metric, "greater_is_better", True)))  # fmt: skip


def _standard_name(loss: Any) -> str:
    known: dict[Any, str] = {
        nn.CrossEntropyLoss: "cross_entropy", nn.MSELoss: "mse", nn.L1Loss: "mae",
        nn.BCEWithLogitsLoss: "binary_cross_entropy", nn.NLLLoss: "nll",
        nn.BCELoss: "probability_binary_cross_entropy", nn.SmoothL1Loss: "huber",
        functional.cross_entropy: "cross_entropy", functional.mse_loss: "mse",
        functional.l1_loss: "mae", functional.nll_loss: "nll",
        functional.binary_cross_entropy_with_logits: "binary_cross_entropy",
    }  # fmt: skip
    key = type(loss) if isinstance(loss, nn.Module) else loss
    try:
        if key in known:
            return known[key]
    except TypeError:  # unhashable callable
        pass
    name = str(getattr(loss, "__name__", type(loss).__name__))
    # a function of the user's that happens to be called like a known one is not that one
    own = name in LOSSES and loss is not LOSSES[name]
    return f"own {name}" if own else name


def _is_default(loss: Any) -> bool:
    """Whether this is a standard loss with nothing set (weights, reduction, smoothing)."""
    if type(loss) is nn.CrossEntropyLoss:
        plain = loss.weight is None and loss.reduction == "mean" and loss.ignore_index == -100
        return plain and loss.label_smoothing == 0.0
    return loss in (functional.cross_entropy,) if callable(loss) else False


def _infer(outputs: Any, targets: Any) -> tuple[str, str]:
    """Name of the loss that outputs and targets speak for, and why."""
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor):
        raise UserError(
            "a tensor of outputs and a tensor of targets to infer the loss from",
            f"{type(outputs).__name__} and {type(targets).__name__}", "give loss or training_step",
        )  # fmt: skip
    width = outputs.shape[-1] if outputs.dim() > 1 else 1
    binary = bool(((targets == 0) | (targets == 1)).all())
    probabilities = bool(((outputs >= 0) & (outputs <= 1)).all())
    if not targets.is_floating_point() and targets.numel() != outputs.numel():
        rows = outputs.double().sum(-1)
        if outputs.dim() == 2 and probabilities and torch.allclose(rows, torch.ones_like(rows)):
            return "probability_nll", "integer targets and outputs that are probabilities"
        if outputs.dim() == 2 and torch.allclose(
            outputs.double().exp().sum(-1), torch.ones_like(rows), atol=1e-4
        ):
            return "nll", "integer targets and outputs that are log-probabilities"
        if targets.dim() == 2 and outputs.dim() == 3:
            return "cross_entropy", "token targets, one distribution per position"
        return "cross_entropy", f"integer class targets and {width} outputs"
    if not targets.is_floating_point() and width > 1 and targets.shape != outputs.shape:
        return "cross_entropy", f"integer class targets and {width} outputs"
    if targets.shape == outputs.shape and targets.is_floating_point() and width > 1:
        sums = targets.sum(-1)
        if bool((targets >= 0).all()) and torch.allclose(sums, torch.ones_like(sums)):
            return "cross_entropy", "targets are distributions over classes"
    if binary:
        if probabilities and outputs.numel() > 1:
            return "probability_binary_cross_entropy", "0/1 targets and outputs within [0, 1]"
        return "binary_cross_entropy", "0/1 targets, one output each"
    return "mse", "real targets"


def class_count(outputs: Tensor, targets: Tensor) -> int:
    """Classes of a model by its outputs: (N, C), (N, C, ...) or, for tokens, (N, T, C).

    Raises:
        UserError: The outputs have no dimension of classes.
    """
    if outputs.dim() < 2:
        raise UserError(
            "outputs of shape (samples, classes)", f"shape {tuple(outputs.shape)}",
            "give the model one output per class, or choose a loss for one output",
        )  # fmt: skip
    return outputs.shape[-1 if outputs.shape[:-1] == targets.shape else 1]


def check_fit(outputs: Any, targets: Any, name: str, ignored: int = IGNORED) -> None:
    """Class labels of the right shape and within the outputs; as many outputs as targets."""
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor):
        return
    whole = not targets.is_floating_point() or bool((targets == targets.round()).all())
    if name in CLASS_LOSSES and outputs.dim() > 1 and targets.shape != outputs.shape:
        got = f"targets {_describe(targets)} for outputs {_describe(outputs)}"
        if whole and targets.shape == (len(outputs), 1, *outputs.shape[2:]):
            cast = ".long()" if targets.is_floating_point() else ""
            raise UserError(
                f"one class label a sample for the loss {name}", got,
                f"use targets.squeeze(1){cast}",
            )  # fmt: skip
        if targets.is_floating_point():
            raise UserError(
                f"integer class labels for the loss {name}", got, "cast them: targets.long()"
            )
    if name in CLASS_LOSSES and not targets.is_floating_point():
        check_labels(targets, class_count(outputs, targets), ignored)
    elif name in LOSSES and name not in CLASS_LOSSES and outputs.numel() != targets.numel():
        raise UserError(
            f"one output per target for the loss {name}",
            f"outputs {tuple(outputs.shape)} and targets {tuple(targets.shape)}",
            "change the model's last layer or the loss"
            + (", or cast class labels with .long()" if whole and outputs.dim() > 1 else ""),
        )  # fmt: skip


def check_labels(targets: Tensor, classes: int, ignored: int = IGNORED) -> None:
    """Refuse labels outside [0, classes), the ignored one apart."""
    wrong = targets[(targets != ignored) & ((targets < 0) | (targets >= classes))]
    if wrong.numel():
        raise UserError(
            f"class labels from 0 to {classes - 1}, as the model has {classes} outputs",
            f"label {int(wrong[0])}", "renumber the labels or widen the last layer",
        )  # fmt: skip


def check_scalar(
    objective: Objective, model: nn.Module, batch: Batch, training: bool = False
) -> None:
    """Refuse a loss that is not one finite number with a gradient.

    A model in ``training`` mode may be noisy: there the loss need not be finite.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    before = [p.grad for p in trained]
    try:
        value = objective(model, batch)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"the loss {objective.loss_name} to take the model's output"
            + (" in training mode" if training else ""),
            f"{type(error).__name__}: {error}", "check that model, targets and loss fit",
        ) from error  # fmt: skip
    if not isinstance(value, Tensor) or value.numel() != 1:
        what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise UserError(
            "a loss that is one number (a scalar tensor)", str(what), "reduce it by mean"
        )
    if not training and not bool(torch.isfinite(value).all()):
        check_weights(model)
        raise UserError(
            f"a finite loss {objective.loss_name} before training", str(value.detach().item()),
            "check the model's weights and outputs, and the scale of the data",
        )  # fmt: skip
    if not trained:
        return
    if any(p.grad is not old for p, old in zip(trained, before, strict=True)):
        raise UserError(
            f"a {objective.loss_name} that returns the loss", "one that calls backward itself",
            "leave backward and the optimizer's step to the training",
        )  # fmt: skip
    if not value.requires_grad:
        raise UserError(
            f"a loss {objective.loss_name} that depends on the model's weights",
            "one without a gradient", "leave out detach, item, no_grad and argmax on its way",
        )  # fmt: skip
    made = [p for p in trained if not is_lazy(p)]  # a layer that did not run has none yet
    if not made:
        return
    try:
        slopes = torch.autograd.grad(value, made, allow_unused=True)
    except RuntimeError:  # some graphs allow backward alone, as with reentrant checkpoints
        return
    if all(slope is None for slope in slopes):
        raise UserError(
            f"a loss {objective.loss_name} of the model that it is given", "one of another model",
            "use the model that is handed over, not one from outside: copies of it are trained",
        )  # fmt: skip


def _describe(batch: Batch) -> str:
    if isinstance(batch, Tensor):
        return f"{tuple(batch.shape)} {str(batch.dtype).removeprefix('torch.')}"
    if isinstance(batch, Mapping):
        return "{" + ", ".join(f"{key}: {_describe(value)}" for key, value in batch.items()) + "}"
    if isinstance(batch, (tuple, list)):
        return "(" + ", ".join(_describe(value) for value in batch) + ")"
    return type(batch).__name__
