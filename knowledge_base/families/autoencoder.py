"""Autoencoder: a perceptron that narrows to a code and widens again."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field
from torch import nn

from knowledge_base.families.family import Draw, Family, Parameters
from knowledge_base.families.layers import (
    ActivationField,
    DropoutField,
    InitializationField,
    NormalizationField,
    ResidualField,
    hidden_layers,
    initialize,
)
from knowledge_base.families.signature import Signature


class AutoencoderParameters(Parameters):
    """Shape of an autoencoder.

    Attributes:
        width: Units of the hidden layers on both sides of the code.
        depth: Hidden layers on each side; 0 is a linear autoencoder, which learns the principal
            components' plane (Baldi and Hornik 1989).
        code: Width of the code, which has no activation.
        activation: After each hidden layer.
        normalization: Before each activation.
        dropout: Rate after each activation.
        initialization: Of the weights; "default" is PyTorch's.
        residual: Whether hidden layers after the first of a side are added to their inputs.
    """

    width: Annotated[int, Field(ge=2, le=1024), Draw((32, 64, 96, 128))] = 64
    depth: Annotated[int, Field(ge=0, le=4), Draw((0, 1, 1, 2))] = 1
    code: Annotated[int, Field(ge=1, le=256), Draw((4, 8, 16))] = 8
    activation: ActivationField = "relu"
    normalization: NormalizationField = "none"
    dropout: DropoutField = 0.0
    initialization: InitializationField = "default"
    residual: ResidualField = False


def _build_autoencoder(parameters: AutoencoderParameters, signature: Signature) -> nn.Module:
    inputs = math.prod(signature.input_shape)
    layers: list[nn.Module] = [nn.Flatten()]
    for width, target in ((inputs, parameters.code), (parameters.code, signature.output)):
        hidden = hidden_layers(
            width,
            parameters.width,
            parameters.depth,
            activation=parameters.activation,
            normalization=parameters.normalization,
            residual=parameters.residual,
            dropout=parameters.dropout,
        )
        layers += [hidden, nn.Linear(parameters.width if parameters.depth else width, target)]
    model = nn.Sequential(*layers)
    initialize(model, parameters.initialization)
    return model


AUTOENCODER = Family(
    name="autoencoder",
    summary="perceptron through a narrow code",
    paper="Hinton and Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks, "
    "2006",
    inputs=("flat", "image", "series"),
    per_position=False,
    parameters=AutoencoderParameters,
    build=_build_autoencoder,
)
