"""Whole numbers as users give them: Python's or NumPy's, never a truth value or a fraction."""

from __future__ import annotations

import operator
from typing import Any

from probes.errors import UserError

SEEDS = 2**63
"""Seeds lie below; torch, NumPy and a file of signed numbers all take them."""


def whole_number(what: str, value: Any, least: int = 1, below: int | None = None) -> int:
    """The value as a plain int.

    Args:
        what: What it counts, named in errors.
        value: An int or what stands for one (a NumPy integer).
        least: Smallest value allowed.
        below: Values must lie below it; None for no bound.

    Raises:
        UserError: No whole number, or out of range.
    """
    number: int | None = None
    if type(value).__name__ not in ("bool", "bool_"):
        try:
            number = operator.index(value)
        except TypeError:
            number = None
    if number is None or number < least or (below is not None and number >= below):
        span = f"above {least - 1}" if below is None else f"in [{least}, {below})"
        raise UserError(f"{what} as a whole number {span}", repr(value), f"change {what}")
    return number


def seed_number(seed: Any) -> int:
    """A seed as a plain int in [0, 2^63).

    Raises:
        UserError: It is none.
    """
    return whole_number("seed", seed, 0, SEEDS)
