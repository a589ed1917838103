"""The result of one training: its learning curve, costs and model, also as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Point:
    """One evaluation on the learning curve.

    Attributes:
        step: Optimizer steps done.
        train_loss: Mean training loss of the steps since the point before (NaN at step 0).
        validation: Loss and metric on the validation set.
    """

    step: int
    train_loss: float
    validation: dict[str, float]


@dataclass(frozen=True)
class Run:
    """The result of one training.

    Attributes:
        initial: Validation loss and metric before the first step.
        final: The same at the end (of the best weights, where the recipe stops early).
        test: The same on the test set, or None where there is none.
        curve: Points in order of steps; the first at step 0.
        steps: Optimizer steps done.
        passes: Passes spent, in batches of the task's batch size.
        seconds: Wall time, evaluation included.
        seconds_per_step: Wall time of the steps alone.
        peak_memory: Bytes: CUDA's counter on a GPU, else the process's largest resident size.
        diverged: Whether it was stopped because the loss was not finite or far above the start.
        model: The trained model, in evaluation mode.
        seed: The seed.
    """

    initial: dict[str, float]
    final: dict[str, float]
    test: dict[str, float] | None
    curve: tuple[Point, ...]
    steps: int
    passes: float
    seconds: float
    seconds_per_step: float
    peak_memory: int
    diverged: bool
    model: nn.Module = field(repr=False)
    seed: int = 0

    def plain(self) -> dict[str, Any]:
        """The result as plain data; numbers that are not finite become None."""
        return {
            "initial": _finite(self.initial),
            "final": _finite(self.final),
            "test": None if self.test is None else _finite(self.test),
            "columns": ["step", "loss", "train_loss", *[k for k in self.initial if k != "loss"]],
            "curve": [
                [point.step, _number(point.validation["loss"]), _number(point.train_loss)]
                + [_number(value) for key, value in point.validation.items() if key != "loss"]
                for point in self.curve
            ],
            "steps": self.steps,
            "passes": self.passes,
            "seconds": self.seconds,
            "seconds_per_step": self.seconds_per_step,
            "peak_memory": self.peak_memory,
            "diverged": self.diverged,
            "seed": self.seed,
        }


def _number(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {key: _number(value) for key, value in values.items()}
