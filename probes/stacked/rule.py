"""What an optimizer is in a stack: an update for many members, each with settings of its own.

The weights of M members are the rows of one (M, P) tensor, and so are the gradients and each state.
Every setting is a column (M, 1), so one update serves members that differ in rate, momentum or
decay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Columns = Sequence[Tensor]
"""Settings of one step, each (M, 1)."""
Settings = Mapping[str, Tensor]
"""Settings by name, each (M,) in float64; ``lr`` is the peak rate."""
States = Sequence[Tensor]
"""What the optimizer keeps, each (M, P)."""


@dataclass(frozen=True)
class Part:
    """The place of one parameter in the rows: columns from ``begin`` to ``end``.

    Attributes:
        name: In the model.
        shape: Of the parameter.
        begin: First column.
        end: One past the last.
        decayed: Whether it gets weight decay.
    """

    name: str
    shape: torch.Size
    begin: int
    end: int
    decayed: bool


Parts = Sequence[Part]


@dataclass(frozen=True)
class Rule:
    """One update rule.

    Attributes:
        name: Members of the same rule share a stack.
        states: State tensors like the weights, zero at the start.
        table: From settings, rates (T, M) and step numbers (T, 1) counted from 1 to the columns of
            all steps, each broadcastable to (T, M).
        update: Changes weights and states in place. It may use up the gradients: new memory for
            so many numbers costs more than computing them. Whoever works tensor by tensor, with
            norms for each, finds the tensors in the parts.
        copies: States after those, which begin as the weights.
        own_decay: Whether weight decay is left to the rule, as the setting ``weight_decay``.
    """

    name: str
    states: int
    table: Callable[[Settings, Tensor, Tensor], list[Tensor]]
    update: Callable[[Tensor, Tensor, States, Columns, Parts], None]
    copies: int = 0
    own_decay: bool = False
