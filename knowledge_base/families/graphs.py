"""Graph convolution: each layer mixes a node's features with those of its neighbours."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from knowledge_base.families.family import Draw, Family, Parameters
from knowledge_base.families.layers import (
    ActivationField,
    InitializationField,
    ResidualField,
    activation_layer,
    initialize,
)
from knowledge_base.families.signature import Signature
from knowledge_base.graph import Graph


class GraphParameters(Parameters):
    """Shape of a graph convolutional network.

    Attributes:
        width: Units of each hidden layer.
        depth: Number of hidden layers; the read-out mixes neighbours once more.
        activation: After each hidden layer.
        normalization: Before each activation, over a node's units.
        residual: Whether hidden layers after the first are added to their inputs.
        dropout: Rate after each activation.
        initialization: Of the weights; "default" is PyTorch's.
    """

    width: Annotated[int, Field(ge=2, le=512), Draw((8, 16, 32))] = 16
    depth: Annotated[int, Field(ge=1, le=8), Draw((1, 1, 2))] = 1
    activation: ActivationField = "relu"
    normalization: Annotated[Literal["none", "layer"], Draw(("none", "layer"))] = "none"
    residual: ResidualField = False
    dropout: Annotated[float, Field(ge=0.0, le=0.9), Draw((0.0, 0.2, 0.5))] = 0.0
    initialization: InitializationField = "default"


class Neighbourhood(nn.Module):
    """Multiplies (nodes, F) features by D^-1/2 (A + I) D^-1/2, D the degrees with the node itself.

    Source: Kipf and Welling 2017, section 2 (the renormalization trick). Sums over edges, and not
    a sparse product, because they can be differentiated twice.
    """

    pairs: Tensor
    weights: Tensor

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.nodes = graph.nodes
        own = torch.arange(graph.nodes).expand(2, -1)
        pairs = torch.cat([torch.from_numpy(graph.edges).T, own], dim=1)
        scale = torch.bincount(pairs[0], minlength=graph.nodes).rsqrt()
        self.register_buffer("pairs", pairs, persistent=False)
        self.register_buffer("weights", scale[pairs[0]] * scale[pairs[1]], persistent=False)

    def sources(self, targets: Tensor) -> Tensor:
        """The nodes, each once, that the mixed features of the target nodes are made of."""
        return _different(self.pairs[1, self._edges(targets)])[0]

    def forward(self, features: Tensor, sources: Tensor, targets: Tensor) -> Tensor:
        """Mix features (sources, F) into those of the target nodes, (targets, F)."""
        edges = self._edges(targets)
        into, out_of = self.pairs[:, edges]
        passed = features[self._places(sources)[out_of]] * self.weights[edges, None]
        mixed = features.new_zeros(len(targets), features.shape[1])
        return mixed.index_add(0, self._places(targets)[into], passed)

    def _edges(self, targets: Tensor) -> Tensor:
        wanted = torch.zeros(self.nodes, dtype=torch.bool, device=targets.device)
        wanted[targets] = True
        return wanted[self.pairs[0]].nonzero()[:, 0]

    def _places(self, nodes: Tensor) -> Tensor:
        """Where each node stands in a list of different nodes."""
        places = torch.zeros(self.nodes, dtype=torch.long, device=nodes.device)
        places[nodes] = torch.arange(len(nodes), device=nodes.device)
        return places


class GraphConvolution(nn.Module):
    """A network over a graph, computed at the nodes that a batch can see and at no others.

    The nodes' own features never change, so the first mixing of neighbours is done once.
    """

    mixed: Tensor

    def __init__(self, parameters: GraphParameters, graph: Graph, output: int) -> None:
        super().__init__()
        self.mix = Neighbourhood(graph)
        features, everywhere = torch.from_numpy(graph.features), torch.arange(graph.nodes)
        mixed = self.mix(features, everywhere, everywhere)
        self.register_buffer("mixed", mixed, persistent=False)
        width, plain = parameters.width, parameters.normalization == "none"
        sizes = [features.shape[1], *[width] * (parameters.depth - 1)]
        self.linears = nn.ModuleList(nn.Linear(size, width, bias=plain) for size in sizes)
        self.after = nn.ModuleList(
            nn.Sequential(
                nn.Identity() if plain else nn.LayerNorm(width),
                activation_layer(parameters.activation),
                nn.Dropout(parameters.dropout),
            )
            for _ in sizes
        )
        self.residual = parameters.residual
        self.readout = nn.Linear(width, output)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map node numbers (N, 1) to (N, output)."""
        nodes, back = _different(inputs[:, 0])
        seen = [nodes]
        for _ in self.linears:
            seen.append(self.mix.sources(seen[-1]))
        hidden = self.after[0](self.linears[0](self.mixed[seen[-1]]))
        for index in range(1, len(self.linears)):
            sources, targets = seen[-index], seen[-index - 1]
            new = self.after[index](self.linears[index](self.mix(hidden, sources, targets)))
            # Sources are sorted, and every node is a source of itself.
            own = torch.searchsorted(sources, targets)
            hidden = hidden[own] + new if self.residual else new
        result: Tensor = self.readout(self.mix(hidden, seen[1], nodes))[back]
        return result


def _different(nodes: Tensor) -> tuple[Tensor, Tensor]:
    """The nodes of a list, each once and sorted, and where each of the list stands among them."""
    found: tuple[Tensor, Tensor] = torch.unique(nodes, return_inverse=True)
    return found


def _build_graph_convolution(parameters: GraphParameters, signature: Signature) -> nn.Module:
    if signature.graph is None:  # what `Family.takes` has ruled out
        raise ValueError("a signature with a graph")
    model = GraphConvolution(parameters, signature.graph, signature.output)
    initialize(model, parameters.initialization)
    return model


GRAPH_CONVOLUTION = Family(
    name="graph_convolution",
    summary="graph convolutions over all nodes, read at those of the batch",
    paper="Kipf and Welling, Semi-Supervised Classification with Graph Convolutional Networks, "
    "2017",
    inputs=("nodes",),
    per_position=False,
    parameters=GraphParameters,
    build=_build_graph_convolution,
)
