"""Numbers and tables for people."""

from __future__ import annotations

import math
from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Rows as left-aligned columns, two spaces apart.

    Example:
        >>> print(columns([["name", "lr"], ["adamw", "0.001"]]))
        name   lr
        adamw  0.001
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        indent
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def amount(value: float | None) -> str:
    """A number for people: four significant digits, "-" where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Seconds for people: ``350 ms``, ``4.2 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 0.9995:  # what rounds to the next unit is told in it
        return f"{seconds * 1000:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def limit_in_words(max_memory: int) -> str:
    """A limit of memory for people."""
    return f"limit: {size(max_memory)} for weights, gradients and state (activations not counted)"


def target_in_words(target: float | None) -> str:
    """A target for people; None stands for the one that is taken where none is named."""
    if target is None:
        return "what AdamW 1e-3 cosine reaches"
    return f"a validation loss of {target:g}"


def goal_in_words(name: str, target: float | None) -> str:
    """A goal ("best" or "fastest") and its target for people."""
    if name == "best":
        return "goal best: the best result at the end"
    return f"goal fastest: soonest to {target_in_words(target)}"
