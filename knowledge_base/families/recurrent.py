"""Recurrent networks: long short-term memory and gated recurrent units."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from knowledge_base.families.family import Draw, Family, Parameters
from knowledge_base.families.layers import (
    DropoutField,
    InitializationField,
    Residual,
    ResidualField,
    initialize,
    series_input,
)
from knowledge_base.families.signature import InputKind, Signature

Pooling = Literal["last", "mean"]


class RecurrentParameters(Parameters):
    """Shape of a recurrent network; its activations are those of the gates.

    Attributes:
        width: Units of the hidden state, and of the token embeddings.
        depth: Number of stacked recurrent layers.
        pooling: What of the hidden states a single output reads: the last or the mean. An output
            per position reads its own.
        dropout: Rate before the read-out.
        initialization: Of the weights, biases then zero; "default" is PyTorch's.
        residual: Whether layers after the first are added to their inputs.
        normalization: Of each layer's hidden states, over the units of one position. Batch
            statistics are left out: they run over time too, and would let an output see what
            comes after it.
    """

    width: Annotated[int, Field(ge=2, le=512), Draw((16, 24, 32))] = 32
    depth: Annotated[int, Field(ge=1, le=4), Draw((1, 1, 1, 2))] = 1
    pooling: Annotated[Pooling, Draw(("last", "mean"))] = "last"
    dropout: DropoutField = 0.0
    initialization: InitializationField = "default"
    residual: ResidualField = False
    normalization: Annotated[Literal["none", "layer"], Draw(("none", "none", "layer"))] = "none"


class States(nn.Module):
    """The normalized hidden states of one recurrent layer: (N, T, C) to (N, T, width)."""

    def __init__(self, layer: nn.LSTM | nn.GRU, normalization: nn.Module) -> None:
        super().__init__()
        self.layer, self.normalization = layer, normalization

    def forward(self, inputs: Tensor) -> Tensor:
        """Run over time from a state of zeros."""
        states: Tensor = self.normalization(self.layer(inputs)[0])
        return states


def _layers(
    layer: type[nn.LSTM] | type[nn.GRU], channels: int, parameters: RecurrentParameters
) -> nn.Module:
    """The recurrent layers: as PyTorch stacks them where nothing stands between them."""
    width, normalized = parameters.width, parameters.normalization == "layer"
    if not normalized and not (parameters.residual and parameters.depth > 1):
        return layer(channels, width, num_layers=parameters.depth, batch_first=True)
    stack: list[nn.Module] = []
    for index in range(parameters.depth):
        states = States(
            layer(width if index else channels, width, batch_first=True),
            nn.LayerNorm(width) if normalized else nn.Identity(),
        )
        stack.append(Residual(states) if parameters.residual and index else states)
    return nn.Sequential(*stack)


class Recurrent(nn.Module):
    """Recurrent layers between an input and a linear read-out.

    `nn.LSTM` and `nn.GRU` themselves, as users have them, so what holds for their layers (names
    and shapes of parameters, what a second derivative needs) holds for these models too.
    """

    def __init__(
        self, layer: type[nn.LSTM] | type[nn.GRU], parameters: RecurrentParameters, data: Signature
    ) -> None:
        super().__init__()
        self.series, channels, _ = series_input(data, parameters.width)
        self.recurrent = _layers(layer, channels, parameters)
        self.pooling: Pooling | None = None if data.per_position else parameters.pooling
        self.dropout = nn.Dropout(parameters.dropout)
        self.readout = nn.Linear(parameters.width, data.output)
        initialize(self, parameters.initialization)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, T, C), (N, T) tokens or (N, C, H, W) to (N, output) or (N, T, output)."""
        found = self.recurrent(self.series(inputs))
        hidden: Tensor = found if isinstance(found, Tensor) else found[0]
        if self.pooling == "last":
            hidden = hidden[:, -1]
        elif self.pooling == "mean":
            hidden = hidden.mean(1)
        result: Tensor = self.readout(self.dropout(hidden))
        return result


def _build_lstm(parameters: RecurrentParameters, signature: Signature) -> nn.Module:
    return Recurrent(nn.LSTM, parameters, signature)


def _build_gru(parameters: RecurrentParameters, signature: Signature) -> nn.Module:
    return Recurrent(nn.GRU, parameters, signature)


_INPUTS: tuple[InputKind, ...] = ("series", "tokens", "image")

LSTM = Family(
    name="lstm",
    summary="long short-term memory over series, tokens or the rows of images",
    paper="Hochreiter and Schmidhuber, Long Short-Term Memory, 1997",
    inputs=_INPUTS,
    per_position=True,
    parameters=RecurrentParameters,
    build=_build_lstm,
)

GRU = Family(
    name="gru",
    summary="gated recurrent units over series, tokens or the rows of images",
    paper="Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, 2014",
    inputs=_INPUTS,
    per_position=True,
    parameters=RecurrentParameters,
    build=_build_gru,
)
