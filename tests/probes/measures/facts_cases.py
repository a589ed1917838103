"""Models and data of known shape, with the facts one can work out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, IterableDataset

from probes.measures.base import Context
from probes.task import Task

VOCABULARY, LENGTH, WIDTH = 11, 6, 8


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 3)
    )


class ResidualNet(nn.Module):
    """Convolutions with batch norm, a skip and a functional ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.block = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.head = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        hidden = functional.relu(self.norm(self.stem(images)))
        hidden = hidden + self.block(hidden)
        return self.head(hidden.mean((2, 3)))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, WIDTH, num_layers=2, batch_first=True, dropout=0.25)
        self.head = nn.Linear(WIDTH, 1)

    def forward(self, sequences: Tensor) -> Tensor:
        return self.head(self.lstm(sequences)[0][:, -1])


class SelfAttention(nn.Module):
    """Attention by hand, with an RMS norm of its own making beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        weights = functional.dropout((q @ k.mT / WIDTH**0.5).softmax(-1), 0.1, self.training)
        return self.out(weights @ v)


class RootMeanSquare(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * self.scale


class TiedTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.norm, self.attention = RootMeanSquare(), SelfAttention()
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)
        )
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids)
        x = x + self.attention(self.norm(x))
        return self.head(x + self.mlp(x))


class Named(nn.Module):
    """Takes inputs by name, returns a mapping; one weight is used by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(7, 4)
        self.mix = nn.Parameter(torch.randn(9, 12) / 3)

    def forward(self, *, ids: Tensor, numbers: Tensor) -> dict[str, Any]:
        hidden = torch.cat([self.table(ids), numbers], 1) @ self.mix
        return {"loss": hidden.sum(), "hidden": hidden}


class NamedRows(Dataset[dict[str, Tensor]]):
    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        self.ids = torch.randint(0, 7, (60, 3), generator=generator)
        self.numbers = torch.randn(60, 5, generator=generator)

    def __len__(self) -> int:
        return 60

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        label = self.numbers[index].sum()
        return {"ids": self.ids[index], "numbers": self.numbers[index], "labels": label}


class Endless(IterableDataset[tuple[Tensor, Tensor]]):
    def __iter__(self) -> Any:
        generator = torch.Generator().manual_seed(0)
        while True:
            x = torch.randn(5, generator=generator)
            yield x, (x[:2] > 0).float()


def context(task: Task) -> Context:
    """Where a probe works in these tests."""
    return Context(task=task, device="cpu", seed=0, tier=16)


def _draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def _sum_loss(outputs: Any, targets: Tensor) -> Tensor:
    return (outputs["hidden"].sum(1) - targets).square().mean()


def blobs() -> Task:
    labels = torch.tensor([0, 0, 1, 2]).repeat(50)
    return Task(
        mlp(), (_draw(200, 5), labels), (_draw(40, 5), labels[:40]), steps=50, batch_size=20
    )


def images() -> Task:
    pixels = _draw(64, 3, 8, 8).relu()
    return Task(ResidualNet(), (pixels, torch.arange(64) % 2), steps=10, batch_size=16)


def sequences() -> Task:
    data = (_draw(100, 5, 4), 3 * _draw(100, 1))
    return Task(Recurrent(), data, (data[0][:20], data[1][:20]), steps=10, batch_size=25)


def text() -> Task:
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(0, VOCABULARY, (50, LENGTH + 1), generator=generator)
    return Task(TiedTransformer, ids, ids[:10], steps=10, batch_size=10)


def named() -> Task:
    return Task(Named(), NamedRows(), NamedRows(), loss=_sum_loss, steps=10, batch_size=12)


def stream() -> Task:
    loader = DataLoader(Endless(), batch_size=16)
    first = next(iter(loader))
    return Task(nn.Sequential(nn.Linear(5, 2)), loader, tuple(first), steps=5)


@dataclass(frozen=True)
class Case:
    """A task and what must be found; ``absent`` must not be."""

    make: Callable[[], Task]
    model: dict[str, float]
    data: dict[str, float]
    absent: tuple[str, ...] = field(default=())


_ATTENTION_COUNT = 8 * 24 + 24 + 8 * 8 + 8
_MLP_COUNT = 8 * 16 + 16 + 16 * 8 + 8
_TEXT_COUNT = VOCABULARY * 8 + 8 + _ATTENTION_COUNT + _MLP_COUNT
_LSTM_COUNT = 32 * 4 + 32 * 8 + 64 + 2 * 32 * 8 + 64

CASES = {
    "mlp": Case(
        blobs,
        {"parameters": 739, "share_linear": 1, "weight_layers": 3, "depth": 3, "width": 16,
         "max_width": 32, "has_norm": 0, "activation_saturating": 1, "activation_relu": 0,
         "residual": 0, "attention": 0, "recurrent": 0, "convolutional": 0, "embedding": 0,
         "tied": 0, "dropout": 0, "trainable_share": 1, "flops": 2 * (5 * 16 + 16 * 32 + 32 * 3)},
        {"samples": 200, "epochs": 5, "batch_size": 20, "input_dimensions": 5, "input_rank": 1,
         "tokens": 0, "classes": 3, "majority_share": 0.5, "target_classification": 1,
         "target_regression": 0, "uniform_loss": 1.0986},
        ("data.vocabulary", "data.target_std", "data.sequence_length"),
    ),
    "residual": Case(
        images,
        {"parameters": 108 + 8 + 144 + 10, "share_convolution": 252 / 270,
         "share_normalization": 8 / 270, "depth": 3, "width": 4, "has_batch_norm": 1,
         "has_layer_norm": 0, "has_norm": 1, "activation_relu": 1, "activation_saturating": 0,
         "residual": 1, "convolutional": 1, "flops": 2 * 64 * 252 + 16},
        {"input_dimensions": 192, "input_rank": 3, "classes": 2, "zeros": 0.5},
    ),
    "recurrent": Case(
        sequences,
        {"parameters": _LSTM_COUNT + 9, "share_recurrent": _LSTM_COUNT / (_LSTM_COUNT + 9),
         "weight_layers": 3, "depth": 3, "recurrent": 1, "dropout": 0.25, "max_width": 8,
         "residual": 0, "flops": 2 * 5 * (32 * 4 + 3 * 32 * 8) + 16},
        {"classes": 0, "target_regression": 1, "target_std": 3, "target_kurtosis": 3,
         "chance_loss": 9, "input_rank": 2},
        ("data.class_balance", "data.uniform_loss"),
    ),
    "transformer": Case(
        text,
        {"parameters": _TEXT_COUNT, "share_embedding": 88 / _TEXT_COUNT,
         "share_attention": _ATTENTION_COUNT / _TEXT_COUNT,
         "share_linear": _MLP_COUNT / _TEXT_COUNT, "share_normalization": 8 / _TEXT_COUNT,
         "depth": 5, "has_rms_norm": 1, "has_layer_norm": 0, "attention": 1, "residual": 1,
         "embedding": 1, "tied": 1, "activation_smooth": 1, "dropout": 0.1,
         "flops": 2 * 6 * (8 * 24 + 64 + 256 + 88) + 4 * 36 * 8},
        {"tokens": 1, "target_tokens": 1, "vocabulary": 11, "classes": 11, "sequence_length": 6,
         "input_dimensions": 6, "class_balance": 1, "uniform_loss": 2.3979},
        ("data.input_std", "data.conditioning"),
    ),
    "named": Case(
        named,
        {"parameters": 28 + 108, "share_embedding": 28 / 136, "share_linear": 108 / 136,
         "weight_layers": 1, "depth": 1, "width": 12, "tied": 0, "flops": 2 * 108,
         "weight_scale": 1},
        {"samples": 60, "input_dimensions": 8, "tokens": 0, "target_regression": 1},
        ("data.chance_loss",),
    ),
    "stream": Case(
        stream,
        {"parameters": 12, "depth": 1},
        {"target_binary": 1, "classes": 2, "chance_loss": 0.6931, "steps": 5},
        ("data.samples", "data.epochs", "model.log_parameters_per_sample"),
    ),
}  # fmt: skip
