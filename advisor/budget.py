"""What probing may cost, as people write it: ``10%`` of one full training, or ``60s``."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from probes.errors import UserError

_NUMBER = r"(\d+\.?\d*|\.\d+)"
_BUDGET = re.compile(rf"\s*{_NUMBER}\s*(%|s)\s*", re.ASCII)
_SECONDS = re.compile(rf"\s*{_NUMBER}\s*s?\s*", re.ASCII)


class Budget(NamedTuple):
    """A probe budget; exactly one of the two is set.

    Attributes:
        share: Share of the passes of one full training, in (0, 1].
        seconds: Wall time in seconds, start-up included, above 0.
    """

    share: float | None
    seconds: float | None


def parse_budget(text: object) -> Budget:
    """The budget a text stands for.

    Args:
        text: A number above 0 followed by ``%`` (at most 100) or by ``s``.

    Raises:
        UserError: Anything else.

    Example:
        >>> parse_budget("10%")
        Budget(share=0.1, seconds=None)
        >>> parse_budget("90s")
        Budget(share=None, seconds=90.0)
    """
    form = "a budget such as 10% (of one full training) or 60s"
    match = _BUDGET.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise UserError(form, repr(text), "write a number above 0 followed by % or s")
    number, unit = float(match[1]), match[2]
    if number <= 0 or not math.isfinite(number):
        raise UserError(form, repr(text), "give a number above 0")
    if unit == "s":
        return Budget(share=None, seconds=number)
    if number > 100:
        raise UserError(
            "a budget of at most 100% of one full training", repr(text), "lower it, or give seconds"
        )
    return Budget(share=number / 100, seconds=None)


def parse_seconds(text: object) -> float:
    """Seconds from ``600s`` or ``600``.

    Raises:
        UserError: Not a number above 0.
    """
    match = _SECONDS.fullmatch(text) if isinstance(text, str) else None
    seconds = float(match[1]) if match else 0.0
    if seconds <= 0 or not math.isfinite(seconds):
        raise UserError("a time such as 600s", repr(text), "write a number of seconds above 0")
    return seconds
