"""The parts that several families share: activations, normalizations, inputs, hidden layers.

Everything here is differentiable twice, so that curvature can be measured on every model, and
every dropout is a module of its own even at rate 0, so that a recipe can change the rate.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from knowledge_base.families.family import Draw
from knowledge_base.families.signature import Signature

Activation = Literal["relu", "gelu", "tanh", "silu"]
Initialization = Literal["default", "kaiming", "xavier", "orthogonal"]
FeatureNormalization = Literal["none", "batch", "layer"]
ChannelNormalization = Literal["none", "batch", "group"]

# Fields that several families have, with allowed range and draws.
ActivationField = Annotated[Activation, Draw(("relu", "gelu", "tanh", "silu"))]
DropoutField = Annotated[float, Field(ge=0.0, le=0.9), Draw((0.0, 0.0, 0.0, 0.1, 0.2))]

InitializationField = Annotated[
    Initialization, Draw(("default", "default", "kaiming", "xavier", "orthogonal"))
]
NormalizationField = Annotated[FeatureNormalization, Draw(("none", "none", "batch", "layer"))]
ResidualField = Annotated[bool, Draw((False, True))]

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
}


def initialize(model: nn.Module, initialization: Initialization) -> None:
    """Overwrite the weights of linear and convolutional layers, and of recurrent ones.

    Biases become zero; "default" keeps all as PyTorch made it.

    Sources: He et al. 2015 (kaiming, normal, for ReLU), Glorot and Bengio 2010 (xavier,
    uniform), Saxe et al. 2014 (orthogonal).
    """
    if initialization == "default":
        return
    for module in model.modules():
        if not isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.RNNBase)):
            continue
        for parameter in module.parameters(recurse=False):
            if parameter.ndim < 2:
                nn.init.zeros_(parameter)
            elif initialization == "kaiming":
                nn.init.kaiming_normal_(parameter, nonlinearity="relu")
            elif initialization == "xavier":
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.orthogonal_(parameter)


def activation_layer(name: Activation) -> nn.Module:
    """The activation of this name as a new module."""
    return _ACTIVATIONS[name]()


def channel_normalization(
    name: ChannelNormalization, channels: int, dimensions: Literal[1, 2]
) -> nn.Module:
    """Normalization of (N, channels, T) or (N, channels, H, W) activations.

    Group normalization takes up to 4 groups, fewer where the channels do not divide.
    """
    if name == "batch":
        return nn.BatchNorm1d(channels) if dimensions == 1 else nn.BatchNorm2d(channels)
    if name == "group":
        return nn.GroupNorm(math.gcd(channels, 4), channels)
    return nn.Identity()


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, inputs: Tensor) -> Tensor:
        """Add the body's output to its input; both have the same shape."""
        result: Tensor = inputs + self.body(inputs)
        return result


class Transpose(nn.Module):
    """(N, A, B) to (N, B, A): between positions-last and channels-last layouts."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Swap the last two dimensions."""
        return inputs.transpose(1, 2)


class MeanOverPositions(nn.Module):
    """(N, T, C) to (N, C)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Average over positions."""
        return inputs.mean(1)


class ImageRows(nn.Module):
    """An image (N, C, H, W) as a series of its rows, (N, H, C * W)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Put the rows in the place of time."""
        return inputs.transpose(1, 2).flatten(2)


def vector_input(signature: Signature, token_width: int) -> tuple[nn.Module, int]:
    """A module that turns any input into one vector per sample, and that vector's width.

    Tokens become the mean of their embeddings; everything else is flattened. Embedding and mean
    are two operations because `nn.EmbeddingBag` cannot be differentiated twice.
    """
    if signature.tokens is not None:
        return nn.Sequential(
            nn.Embedding(signature.tokens, token_width), MeanOverPositions()
        ), token_width
    if signature.kind == "flat":
        return nn.Identity(), signature.input_shape[0]
    return nn.Flatten(), math.prod(signature.input_shape)


def series_input(signature: Signature, token_width: int) -> tuple[nn.Module, int, int]:
    """A module that turns a series, tokens or an image into (N, T, C), with C and T.

    Returns:
        The module, the channels C per position and the number of positions T.
    """
    if signature.tokens is not None:
        return nn.Embedding(signature.tokens, token_width), token_width, signature.input_shape[0]
    if signature.kind == "image":
        channels, height, width = signature.input_shape
        return ImageRows(), channels * width, height
    steps, channels = signature.input_shape
    return nn.Identity(), channels, steps


def hidden_layers(
    inputs: int,
    width: int,
    depth: int,
    *,
    activation: Activation,
    normalization: FeatureNormalization = "none",
    residual: bool = False,
    dropout: float = 0.0,
) -> nn.Sequential:
    """`depth` layers linear, normalization, activation, dropout: (N, inputs) to (N, width).

    With `residual`, each layer but the first, whose widths differ, is added to its input. There
    is no bias before a normalization, which has its own.
    """
    layers: list[nn.Module] = []
    for index in range(depth):
        layer: list[nn.Module] = [
            nn.Linear(inputs if index == 0 else width, width, bias=normalization == "none")
        ]
        if normalization == "batch":
            layer.append(nn.BatchNorm1d(width))
        elif normalization == "layer":
            layer.append(nn.LayerNorm(width))
        layer += [activation_layer(activation), nn.Dropout(dropout)]
        body = nn.Sequential(*layer)
        layers.append(Residual(body) if residual and index > 0 else body)
    return nn.Sequential(*layers)


def sinusoidal_positions(steps: int, width: int) -> Tensor:
    """Position codes of shape (steps, width), width even: sines, then cosines.

    Source: Vaswani et al., "Attention Is All You Need", 2017, section 3.5.
    """
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angles = torch.arange(steps)[:, None] * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)
