"""Models of unordered features: mean of embeddings, and neural factorization machine."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

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


class BagParameters(Parameters):
    """Shape of a bag of embeddings.

    Attributes:
        embedding: Width of a feature's embedding.
        width: Units of each hidden layer.
        depth: Number of hidden layers; 0 for a linear read-out of the bag.
        activation: After each hidden layer.
        dropout: Rate on the bag and after each activation.
        normalization: Before each activation.
        residual: Whether hidden layers after the first are added to their inputs.
        initialization: Of the linear layers' weights, not of the embeddings; "default" is
            PyTorch's.
    """

    embedding: Annotated[int, Field(ge=2, le=512), Draw((8, 16, 32, 64))] = 32
    width: Annotated[int, Field(ge=2, le=1024), Draw((16, 32, 64, 128))] = 64
    depth: Annotated[int, Field(ge=0, le=8), Draw((0, 1, 2))] = 1
    activation: ActivationField = "relu"
    dropout: DropoutField = 0.0
    normalization: NormalizationField = "none"
    residual: ResidualField = False
    initialization: InitializationField = "default"


def _head(parameters: BagParameters, output: int) -> nn.Sequential:
    """Dropout, hidden layers and read-out: (N, embedding) to (N, output)."""
    hidden = hidden_layers(
        parameters.embedding,
        parameters.width,
        parameters.depth,
        activation=parameters.activation,
        normalization=parameters.normalization,
        residual=parameters.residual,
        dropout=parameters.dropout,
    )
    width = parameters.width if parameters.depth else parameters.embedding
    head = nn.Sequential(nn.Dropout(parameters.dropout), hidden, nn.Linear(width, output))
    initialize(head, parameters.initialization)
    return head


def _build_embedding_bag(parameters: BagParameters, signature: Signature) -> nn.Module:
    vector, _ = vector_input(signature, parameters.embedding)
    return nn.Sequential(vector, _head(parameters, signature.output))


EMBEDDING_BAG = Family(
    name="embedding_bag",
    summary="mean of token embeddings, then a small perceptron",
    paper="Joulin et al., Bag of Tricks for Efficient Text Classification, 2017",
    inputs=("tokens",),
    per_position=False,
    parameters=BagParameters,
    build=_build_embedding_bag,
)


class FactorizationMachine(nn.Module):
    """A linear term plus a perceptron on the pairwise products of feature embeddings.

    The sum over pairs i < j of (x_i v_i) * (x_j v_j), element by element, is
    ((sum_i x_i v_i)^2 - sum_i (x_i v_i)^2) / 2, which costs one pass over the features
    (He and Chua 2017, equation 4). Tokens count as features with value 1. The pairs are divided
    by the number of features, so that their size does not depend on it.
    """

    def __init__(self, parameters: BagParameters, signature: Signature) -> None:
        super().__init__()
        self.features = signature.input_shape[0]
        self.tokens = signature.tokens is not None
        vocabulary = signature.tokens if signature.tokens is not None else self.features
        self.linear = nn.Embedding(vocabulary, signature.output)
        self.factors = nn.Embedding(vocabulary, parameters.embedding)
        self.head = _head(parameters, signature.output)
        nn.init.normal_(self.linear.weight, std=0.01)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, T) tokens or (N, F) numbers to (N, output)."""
        if self.tokens:
            linear = self.linear(inputs).mean(1)
            embedded = self.factors(inputs)
            total, squares = embedded.sum(1), embedded.square().sum(1)
        else:
            linear = inputs @ self.linear.weight / self.features
            total = inputs @ self.factors.weight
            squares = inputs.square() @ self.factors.weight.square()
        pairs = (total.square() - squares) / (2 * self.features)
        result: Tensor = linear + self.head(pairs)
        return result


FACTORIZATION = Family(
    name="factorization",
    summary="linear term plus a perceptron on pairwise products of feature embeddings",
    paper="Rendle, Factorization Machines, 2010; He and Chua, Neural Factorization Machines, 2017",
    inputs=("flat", "tokens"),
    per_position=False,
    parameters=BagParameters,
    build=FactorizationMachine,
)
