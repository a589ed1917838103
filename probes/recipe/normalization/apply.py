"""What a recipe's normalization does to the user's own model, and which models cannot take it.

| name | effect | source |
| --- | --- | --- |
| keep | nothing | |
| none | the identity in place of every normalization layer | |
| weight | weight normalization of linear and convolutional weights | Salimans & Kingma 2016 |
| batch | batch norm | Ioffe & Szegedy 2015 |
| layer | layer norm over the features of a position | Ba et al. 2016 |
| group | group norm | Wu & He 2018 |
| instance | instance norm | Ulyanov et al. 2016 |
| rms | root-mean-square norm over the features of a position | Zhang & Sennrich 2019 |
"""

from __future__ import annotations

from typing import get_args

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from probes.errors import UserError, unknown_name
from probes.recipe.normalization.finder import FoundNormalization, find_normalizations
from probes.recipe.normalization.layers import Kind
from probes.recipe.normalization.surgery import (
    change_normalization,
    layers_to_normalize,
    remove_normalization,
)
from probes.recipe.normalization.weight import normalize_weights, weights_to_split

KINDS: tuple[Kind, ...] = get_args(Kind)
NORMALIZATIONS: tuple[str, ...] = ("keep", "none", "weight", *KINDS)
_QUANTIZED = ("torch.ao.", "torch.nn.quantized", "torch.nn.qat", "torchao.", "bitsandbytes.")


def normalization_layers(model: nn.Module) -> list[tuple[str, nn.Module, Kind]]:
    """The normalization layers of a model: dotted path, module and what it computes.

    Found by type and by behaviour, so a model's own RMS norm class counts too.

    Example:
        >>> [(name, kind) for name, _, kind in normalization_layers(
        ...     nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 1)))]
        [('1', 'layer')]
    """
    return [(found.name, found.module, found.kind) for found in find_normalizations(model)]


def apply_normalization(model: nn.Module, name: str, **hyperparameters: object) -> nn.Module:
    """Changes the normalization of a model.

    New layers start at weight 1 and bias 0, on the device, in the floating-point type and in the
    mode (training or evaluation) of what they stand beside; no random numbers are drawn. A layer
    that gets a normalization becomes a `NormalizedLayer`, whose state is saved under
    `<path>.layer` and `<path>.normalization`.

    Args:
        model: The model; changed in place.
        name: One of `NORMALIZATIONS`.
        **hyperparameters: For "group": `num_groups`, at least 1 (default 8), reduced to a divisor
            of the features.

    Returns:
        The same model.

    Raises:
        UserError: The name or a hyperparameter is unknown, or the model cannot take it.
    """
    reason = refuse_normalization(model, name)
    if reason is not None:
        raise UserError(
            f"a model that can take normalization {name!r}",
            f"{type(model).__name__}, where {reason}",
            "choose normalization 'keep' or hand over the plain PyTorch model",
        )
    num_groups = hyperparameters.pop("num_groups", 8) if name == "group" else 8
    if hyperparameters:
        allowed = "num_groups alone" if name == "group" else "none"
        raise UserError(
            f"hyperparameters of normalization {name!r} ({allowed})",
            ", ".join(sorted(hyperparameters)),
            "leave them out",
        )
    if isinstance(num_groups, bool) or not isinstance(num_groups, int) or num_groups < 1:
        raise UserError("num_groups of at least 1", repr(num_groups), "give a whole number")
    if name == "none":
        return remove_normalization(model)
    if name == "weight":
        return normalize_weights(model)
    for kind in KINDS:
        if name == kind:
            return change_normalization(model, kind, num_groups)
    return model


def refuse_normalization(model: nn.Module, name: str) -> str | None:
    """Why a model cannot take a normalization.

    Args:
        model: The model; not changed.
        name: One of `NORMALIZATIONS`.

    Returns:
        The reason in one clause, or None where `apply_normalization` serves.

    Raises:
        UserError: The name is unknown.

    Example:
        >>> refuse_normalization(nn.Linear(4, 1), "batch")
        'the only layer to normalize after is the output layer'
    """
    if name not in NORMALIZATIONS:
        raise unknown_name("a normalization", name, NORMALIZATIONS)
    if name == "keep":
        return None
    foreign = next((reason for m in model.modules() if (reason := _foreign(m))), None)
    if foreign is not None:
        return foreign
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | _ConvNd)]
    if name == "weight":
        if weights_to_split(model):
            return None
        if layers:
            return "every linear and convolutional weight is frozen, tied, lazy, 0 or parametrized"
        return "there is no linear or convolutional layer"
    found = find_normalizations(model)
    if not layers and not found:
        return "there is no linear or convolutional layer"
    if name == "none" and not found:
        return "there is no normalization layer to take out"
    for item in found:
        reason = _not_exchangeable(item, name)
        if reason is not None:
            return reason
    if name == "instance" and not any(isinstance(m, _ConvNd) for m in layers):
        return "there is no convolution and so no positions for instance norm to average over"
    for kind in KINDS:
        if name == kind and not found and not layers_to_normalize(model, kind):
            return "the only layer to normalize after is the output layer"
    return None


def _foreign(module: nn.Module) -> str | None:
    """Why a module is not one whose parts can be exchanged."""
    kind, origin = type(module).__name__, type(module).__module__
    if isinstance(module, torch.jit.ScriptModule):
        return f"{kind} is compiled TorchScript"
    if kind == "OptimizedModule" and origin.startswith("torch._dynamo"):
        return "torch.compile has already been applied"
    numbers = [p.dtype for p in module.parameters(recurse=False)]
    if origin.startswith(_QUANTIZED) or any(
        not (dtype.is_floating_point or dtype.is_complex) for dtype in numbers
    ):
        return f"{kind} is quantized"
    return None


def _not_exchangeable(item: FoundNormalization, name: str) -> str | None:
    """Why a normalization layer cannot give way to another."""
    where = f"{type(item.module).__name__} at {item.name!r}"
    if item.name == "":
        return "the model itself is a normalization layer"
    if item.fused:
        return f"{where} does more than normalize one input"
    if item.lazy and name != "none":
        return f"{where} does not know its number of features before a first batch"
    return None
