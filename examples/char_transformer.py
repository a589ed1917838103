"""A character transformer on Python's own standard library, with a training step of its own.

advisor recommend examples/char_transformer.py:task --budget 10%
"""

import inspect
import json.decoder
import string
import textwrap

import torch
from torch import nn
from torch.nn import functional

from advisor import Task

CHARACTERS = string.printable
LENGTH = 32
WIDTH = 32


class CharacterTransformer(nn.Module):
    """Two causal layers; gives the logits of the next character at each position."""

    def __init__(self) -> None:
        super().__init__()
        self.characters = nn.Embedding(len(CHARACTERS), WIDTH)
        self.positions = nn.Embedding(LENGTH, WIDTH)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                WIDTH, nhead=4, dim_feedforward=4 * WIDTH, dropout=0.0, batch_first=True,
                norm_first=True,
            )
            for _ in range(2)
        )  # fmt: skip
        self.norm = nn.LayerNorm(WIDTH)
        self.output = nn.Linear(WIDTH, len(CHARACTERS))
        mask = nn.Transformer.generate_square_subsequent_mask(LENGTH)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(samples, LENGTH) tokens -> (samples, LENGTH, characters) logits."""
        hidden = self.characters(tokens) + self.positions.weight
        for layer in self.layers:
            hidden = layer(hidden, src_mask=self.mask, is_causal=True)
        return self.output(self.norm(hidden))


def training_step(model: nn.Module, windows: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the next character plus a z-loss that keeps the logits from drifting."""
    logits = model(windows[:, :-1])
    loss = functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
    return loss + 1e-4 * logits.logsumexp(dim=-1).square().mean()


def windows_of(*modules) -> torch.Tensor:
    """The modules' sources, one after the other, cut into windows of LENGTH + 1 characters."""
    text = "".join(inspect.getsource(module) for module in modules)
    tokens = torch.tensor([CHARACTERS.index(one) for one in text if one in CHARACTERS])
    count = len(tokens) // (LENGTH + 1)
    return tokens[: count * (LENGTH + 1)].view(count, LENGTH + 1)


def task() -> Task:
    """Learns from three modules, chooses by a fourth, is tested on a fifth."""
    return Task(
        model=CharacterTransformer,
        train=windows_of(inspect, string, textwrap),
        validation=windows_of(json.decoder),
        test=windows_of(json),
        training_step=training_step,
        steps=300,
        batch_size=16,
        name="standard library with a character transformer",
    )
