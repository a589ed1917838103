"""What a probe is: one file with its paper, its cost in passes and the units of what it yields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from probes.task import Prepared, Task

TIERS = (16, 64, 256, 1024)
"""Passes a profile may cost, for users and for the knowledge base alike."""


@dataclass
class Context:
    """What a probe works on.

    Attributes:
        task: The user's task; probes train copies of its model.
        device: Where to measure.
        seed: Of weights, batch order and noise.
        tier: Passes the whole profile may cost.
        spent: Passes charged so far; every probe adds its own.
        found: Values of the probes before, by name.
        missing: Why a probe, or a part of one, has no value.
        landmark: Training losses of the landmark run, for races to be compared with.
        step_seconds: Wall time of a step of the landmark run, median, or None.
    """

    task: Task
    device: str
    seed: int
    tier: int
    spent: float = 0.0
    found: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    landmark: list[float] = field(default_factory=list)
    step_seconds: float | None = None

    @property
    def prepared(self) -> Prepared:
        """The task with everything inferred."""
        return self.task.prepared

    def charge(self, passes: float) -> None:
        """Add to the bill. A forward alone counts a third, a Hessian-vector product two."""
        self.spent += passes


class Measure(Protocol):
    """One probe.

    Attributes:
        name: Prefix of what it yields ("model", "noise").
        paper: Where it comes from.
        units: Unit of each value it can yield, by name ("model.parameters": "count").
    """

    name: str
    paper: str
    units: dict[str, str]

    def passes(self, tier: int) -> float:
        """Passes it costs at most at a tier; 0 for facts that need no training."""

    def skip(self, context: Context) -> str | None:
        """Why it does not apply to this task, or None."""

    def measure(self, context: Context) -> dict[str, float]:
        """Values by name, a subset of ``units``; charges its passes to the context."""


def validation_passes(context: Context) -> float:
    """Passes that validating on one batch's worth of samples costs: forwards, a third each."""
    samples = min(context.prepared.batch_size, len(context.prepared.validation))
    return samples / context.prepared.batch_size / 3.0
