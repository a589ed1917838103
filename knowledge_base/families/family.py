"""A family as data: what it is, what it takes, its parameters and how they become a module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict
from torch import nn

from knowledge_base.families.signature import InputKind, Signature


@dataclass(frozen=True)
class Draw:
    """The values that `Parameters.sample` draws a field from, uniformly.

    They stand beside the field's allowed range, which is wider: draws stay small, so that a
    training step takes about a millisecond on one core. A value named twice is twice as likely.
    """

    values: tuple[Any, ...]


class Parameters(BaseModel):
    """Base of every family's parameters; each field carries its range and its `Draw`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @classmethod
    def sample(cls, rng: np.random.Generator, signature: Signature | None = None) -> dict[str, Any]:
        """Draw one value per field, in field order.

        Args:
            rng: Where the random numbers come from.
            signature: The data the parameters are for. Without it, only what serves every data
                set that the family takes is drawn.

        Returns:
            Field names with plain Python values, ready for JSON.
        """
        drawn: dict[str, Any] = {}
        for name, field in cls.model_fields.items():
            values = next(item.values for item in field.metadata if isinstance(item, Draw))
            drawn[name] = values[int(rng.integers(len(values)))]
        return drawn


P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True)
class Family(Generic[P]):
    """One model family.

    Attributes:
        name: Its key in `FAMILIES`.
        summary: What it is, in one line.
        paper: Where it comes from.
        inputs: The kinds of input it takes.
        per_position: Whether it can give an output at every position without looking ahead.
        parameters: The type of its parameters, all with defaults.
        build: Makes the module. It draws initial weights from torch's global generator, which
            `build_model` seeds.
    """

    name: str
    summary: str
    paper: str
    inputs: tuple[InputKind, ...]
    per_position: bool
    parameters: type[P]
    build: Callable[[P, Signature], nn.Module]

    def takes(self, signature: Signature) -> bool:
        """Whether the family can be built for data that looks like this."""
        return signature.kind in self.inputs and (self.per_position or not signature.per_position)
