"""The table of models x data x losses that tests share: small, seeded, each trains in a blink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from probes.task import Task

SAMPLES, BATCH, STEPS = 96, 16, 12
VOCABULARY, LENGTH, WIDTH, CLASSES = 12, 7, 8, 3


def draw(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, the same for the same seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def ids(*shape: int, top: int = VOCABULARY, seed: int = 1) -> Tensor:
    """Whole numbers in [0, top), the same for the same seed."""
    return torch.randint(0, top, shape, generator=torch.Generator().manual_seed(seed))


def classes_of(inputs: Tensor, classes: int = CLASSES) -> Tensor:
    """Labels that a random linear map of the inputs gives: they can be learned."""
    flat = inputs.flatten(1).float()
    return (flat @ draw(flat.shape[1], classes, seed=9)).argmax(1)


def made(maker: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """A module with seeded weights; the global stream stays where it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return maker()


def mlp(inputs: int = 6, outputs: int = CLASSES) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 16), nn.ReLU(), nn.Linear(16, outputs))


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Dropout(0.1), nn.Linear(16, CLASSES),
    )  # fmt: skip


class Recurrent(nn.Module):
    """LSTM over embedded tokens; the last state is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.lstm(self.embedding(tokens))[0][:, -1])


class Transformer(nn.Module):
    """One pre-norm block, causal, with the head tied to the token embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Parameter(0.02 * torch.randn(1, LENGTH, WIDTH))
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(WIDTH) for _ in range(3))
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.tokens(tokens) + self.positions[:, : tokens.shape[1]]
        q, k, v = (part.unsqueeze(1) for part in self.qkv(self.norm1(hidden)).chunk(3, -1))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(1)
        hidden = hidden + self.out(mixed)
        hidden = hidden + self.down(functional.gelu(self.up(self.norm2(hidden))))
        return self.head(self.norm3(hidden))


class TwoInputs(nn.Module):
    """Takes a picture and numbers, by position or by name."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, WIDTH), nn.Linear(3, WIDTH)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.head(torch.tanh(self.left(left) + self.right(right)))


class ComplexNet(nn.Module):
    """A complex weight whose output's size is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, CLASSES, dtype=torch.complex64))
        self.scale = nn.Parameter(torch.ones(CLASSES))

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs.to(torch.complex64) @ self.weight).abs() * self.scale


class DictRows(Dataset[dict[str, Tensor]]):
    """Rows with named inputs and labels."""

    def __init__(self) -> None:
        self.left, self.right = draw(SAMPLES, 4), draw(SAMPLES, 3, seed=2)
        self.labels = classes_of(torch.cat([self.left, self.right], 1))

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"left": self.left[index], "right": self.right[index], "labels": self.labels[index]}


def half_frozen() -> nn.Module:
    """The first layer is not trained."""
    model = mlp()
    model[0].requires_grad_(False)
    return model


def reconstruction(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """A training step: predict the inputs' squares, whatever the labels are."""
    return (model(batch[0]) - batch[0][:, :CLASSES].square()).square().mean()


def _task(maker: Callable[[], nn.Module], *data: Tensor, **settings: object) -> Task:
    return Task(made(maker), data if len(data) > 1 else data[0], steps=STEPS, batch_size=BATCH,
                **settings)  # type: ignore[arg-type]  # fmt: skip


def _regression(columns: bool) -> Task:
    inputs = draw(SAMPLES, 6)
    targets = inputs[:, :2].sum(1) + 0.1 * draw(SAMPLES, seed=3)
    return _task(lambda: mlp(6, 1), inputs, targets.unsqueeze(1) if columns else targets)


def _tokens() -> Task:
    sequence = ids(SAMPLES, 1) + torch.arange(LENGTH + 1)
    return _task(Transformer, *((sequence % VOCABULARY)[:, a:b] for a, b in ((0, -1), (1, None))))


@dataclass(frozen=True)
class Case:
    """A task and the names that must be inferred for it.

    Attributes:
        make: Makes the task, the same each time.
        loss: Name of its loss.
        metric: Name of its metric in results, or None.
        deterministic: Whether a forward in training mode is the same each time.
    """

    make: Callable[[], Task]
    loss: str
    metric: str | None
    deterministic: bool = True


_INPUTS, _IMAGES, _TOKENS = draw(SAMPLES, 6), draw(SAMPLES, 1, 6, 6), ids(SAMPLES, LENGTH)
_LABELS = classes_of(_INPUTS)
_MANY_LABELS = (_INPUTS[:, :4] > 0).float()

CASES: dict[str, Case] = {
    "classifier": Case(lambda: _task(mlp, _INPUTS, _LABELS), "cross_entropy", "accuracy"),
    "regression": Case(lambda: _regression(columns=False), "mse", "mae"),
    "regression column": Case(lambda: _regression(columns=True), "mse", "mae"),
    "convolutional": Case(
        lambda: _task(convolutional, _IMAGES, classes_of(_IMAGES)),
        "cross_entropy", "accuracy", deterministic=False,
    ),
    "recurrent": Case(
        lambda: _task(Recurrent, _TOKENS, classes_of(_TOKENS)), "cross_entropy", "accuracy"
    ),
    "transformer": Case(_tokens, "cross_entropy", "accuracy"),
    "multi-label": Case(
        lambda: _task(lambda: mlp(6, 4), _INPUTS, _MANY_LABELS),
        "binary_cross_entropy", "binary_accuracy",
    ),
    "binary": Case(
        lambda: _task(lambda: mlp(6, 1), _INPUTS, (_INPUTS[:, 0] > 0).long()),
        "binary_cross_entropy", "binary_accuracy",
    ),
    "dict batch": Case(
        lambda: Task(made(TwoInputs), DictRows(), steps=STEPS, batch_size=BATCH),
        "cross_entropy", "accuracy",
    ),
    "tuple inputs": Case(
        lambda: _task(TwoInputs, draw(SAMPLES, 4), draw(SAMPLES, 3, seed=2),
                      classes_of(draw(SAMPLES, 4))),
        "cross_entropy", "accuracy",
    ),
    "frozen": Case(lambda: _task(half_frozen, _INPUTS, _LABELS), "cross_entropy", "accuracy"),
    "complex": Case(lambda: _task(ComplexNet, _INPUTS, _LABELS), "cross_entropy", "accuracy"),
    "training step": Case(
        lambda: _task(mlp, _INPUTS, _LABELS, training_step=reconstruction), "training_step", None
    ),
}  # fmt: skip
"""Every kind of model, data and loss by name."""
