"""Linear model and multilayer perceptron; both take every kind of input, flattened."""

from __future__ import annotations

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
    vector_input,
)
from knowledge_base.families.signature import Signature


class LinearParameters(Parameters):
    """A linear model has no hidden layers, so little can be chosen.

    Attributes:
        token_width: Width of the token embeddings; has no part in a model of other inputs.
        initialization: Of the weights of the linear layer, not of the embeddings; "default" is
            PyTorch's.
    """

    token_width: Annotated[int, Field(ge=2, le=512), Draw((16, 32, 64))] = 32
    initialization: InitializationField = "default"


def _build_linear(parameters: LinearParameters, signature: Signature) -> nn.Module:
    vector, width = vector_input(signature, parameters.token_width)
    model = nn.Sequential(vector, nn.Linear(width, signature.output))
    initialize(model, parameters.initialization)
    return model


LINEAR = Family(
    name="linear",
    summary="linear or logistic regression; of the mean token embedding where inputs are tokens",
    paper="Cox, The Regression Analysis of Binary Sequences, 1958",
    inputs=("flat", "image", "series", "tokens"),
    per_position=False,
    parameters=LinearParameters,
    build=_build_linear,
)


class MLPParameters(Parameters):
    """A multilayer perceptron's shape.

    Attributes:
        width: Units of each hidden layer, and of the token embeddings.
        depth: Number of hidden layers.
        activation: After each hidden layer.
        normalization: Before each activation.
        residual: Whether hidden layers after the first are added to their inputs.
        dropout: Rate after each activation.
        initialization: Of the linear layers' weights; "default" is PyTorch's.
    """

    width: Annotated[int, Field(ge=2, le=1024), Draw((16, 32, 64, 96, 128))] = 64
    depth: Annotated[int, Field(ge=1, le=16), Draw((1, 2, 3, 4))] = 2
    activation: ActivationField = "relu"
    normalization: NormalizationField = "none"
    residual: ResidualField = False
    dropout: DropoutField = 0.0
    initialization: InitializationField = "default"


def _build_mlp(parameters: MLPParameters, signature: Signature) -> nn.Module:
    vector, width = vector_input(signature, parameters.width)
    hidden = hidden_layers(
        width,
        parameters.width,
        parameters.depth,
        activation=parameters.activation,
        normalization=parameters.normalization,
        residual=parameters.residual,
        dropout=parameters.dropout,
    )
    model = nn.Sequential(vector, hidden, nn.Linear(parameters.width, signature.output))
    initialize(model, parameters.initialization)
    return model


MLP = Family(
    name="mlp",
    summary="multilayer perceptron with optional normalization, skips and dropout",
    paper="Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, "
    "1986; skips as in Gorishniy et al., Revisiting Deep Learning Models for Tabular Data, 2021",
    inputs=("flat", "image", "series", "tokens"),
    per_position=False,
    parameters=MLPParameters,
    build=_build_mlp,
)
