"""Coordinate networks, which learn a picture or a field: place in, value out."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from knowledge_base.families.family import Draw, Family, Parameters
from knowledge_base.families.layers import (
    ActivationField,
    InitializationField,
    NormalizationField,
    ResidualField,
    hidden_layers,
    initialize,
)
from knowledge_base.families.signature import Signature


class SirenParameters(Parameters):
    """Shape of a network with sine activations.

    Its initialization is what makes it train, and it keeps the spread of the units without
    normalization or skips, so none of these can be chosen.

    Attributes:
        width: Units of each hidden layer.
        depth: Number of hidden layers.
        frequency: Factor on every sine's argument; larger ones learn finer detail.
    """

    width: Annotated[int, Field(ge=4, le=1024), Draw((24, 32, 48, 64))] = 32
    depth: Annotated[int, Field(ge=1, le=8), Draw((1, 2, 3))] = 2
    frequency: Annotated[float, Field(gt=0.0, le=100.0), Draw((5.0, 10.0, 20.0, 30.0))] = 10.0


class SineLayer(nn.Module):
    """sin(frequency (W x + b)), with the initial weights that keep its spread from layer to layer.

    Source: Sitzmann et al. 2020, section 3.2 and supplement 1.5.
    """

    def __init__(self, inputs: int, outputs: int, frequency: float, first: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.frequency = frequency
        bound = 1 / inputs if first else math.sqrt(6 / inputs) / frequency
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, inputs) to (N, outputs)."""
        return torch.sin(self.frequency * self.linear(inputs))


def _build_siren(parameters: SirenParameters, signature: Signature) -> nn.Module:
    width, frequency = parameters.width, parameters.frequency
    sizes = [signature.input_shape[0], *[width] * parameters.depth]
    layers = [
        SineLayer(inputs, width, frequency, first=index == 0)
        for index, inputs in enumerate(sizes[:-1])
    ]
    return nn.Sequential(*layers, nn.Linear(width, signature.output))


SIREN = Family(
    name="siren",
    summary="perceptron with sine activations, for fields over few coordinates",
    paper="Sitzmann et al., Implicit Neural Representations with Periodic Activation Functions, "
    "2020",
    inputs=("flat",),
    per_position=False,
    parameters=SirenParameters,
    build=_build_siren,
)


class FourierParameters(Parameters):
    """Shape of a perceptron on random Fourier features.

    Attributes:
        features: Random frequencies; each gives a sine and a cosine.
        bandwidth: Standard deviation of the frequencies, in periods per unit of the inputs.
        width: Units of each hidden layer.
        depth: Number of hidden layers; 0 is a linear read-out of the features.
        activation: After each hidden layer.
        normalization: Before each activation.
        residual: Whether hidden layers after the first are added to their inputs.
        initialization: Of the linear layers' weights, not of the frequencies; "default" is
            PyTorch's.
    """

    features: Annotated[int, Field(ge=2, le=512), Draw((16, 32, 64))] = 32
    bandwidth: Annotated[float, Field(gt=0.0, le=20.0), Draw((0.5, 1.0, 2.0, 4.0))] = 1.0
    width: Annotated[int, Field(ge=2, le=1024), Draw((24, 32, 64))] = 32
    depth: Annotated[int, Field(ge=0, le=8), Draw((0, 1, 2))] = 1
    activation: ActivationField = "relu"
    normalization: NormalizationField = "none"
    residual: ResidualField = False
    initialization: InitializationField = "default"


class FourierFeatures(nn.Module):
    """sqrt(2) [cos 2 pi B x, sin 2 pi B x] with normal B that is drawn once and stays.

    Their mean square is 1. Source: Tancik et al. 2020, section 4.
    """

    frequencies: Tensor

    def __init__(self, inputs: int, features: int, bandwidth: float) -> None:
        super().__init__()
        self.register_buffer("frequencies", bandwidth * torch.randn(features, inputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, inputs) to (N, 2 features)."""
        angles = 2 * math.pi * inputs @ self.frequencies.T
        return math.sqrt(2) * torch.cat([angles.cos(), angles.sin()], dim=1)


def _build_fourier(parameters: FourierParameters, signature: Signature) -> nn.Module:
    inputs, features = signature.input_shape[0], 2 * parameters.features
    hidden = hidden_layers(
        features,
        parameters.width,
        parameters.depth,
        activation=parameters.activation,
        normalization=parameters.normalization,
        residual=parameters.residual,
    )
    width = parameters.width if parameters.depth else features
    model = nn.Sequential(
        FourierFeatures(inputs, parameters.features, parameters.bandwidth),
        hidden,
        nn.Linear(width, signature.output),
    )
    initialize(model, parameters.initialization)
    return model


FOURIER = Family(
    name="fourier",
    summary="perceptron on random Fourier features of few coordinates",
    paper="Tancik et al., Fourier Features Let Networks Learn High Frequency Functions in Low "
    "Dimensional Domains, 2020",
    inputs=("flat",),
    per_position=False,
    parameters=FourierParameters,
    build=_build_fourier,
)
