"""What is printed: JSON for programs, aligned columns for people, progress on standard error."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any


def say(text: str) -> None:
    """One line on standard error."""
    if sys.stderr is not None:  # print takes None for standard output
        print(text, file=sys.stderr, flush=True)


def json_text(data: Any) -> str:
    """Plain data as one JSON document; numbers that are not finite become null."""
    import json

    return json.dumps(_finite(data), indent=1, allow_nan=False)


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
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


class ProgressLine:
    """How far a long job is: one line that is rewritten on a terminal, else a line now and then.

    Args:
        every: Seconds between two lines.
        clock: Seconds; replaced in tests.
    """

    def __init__(
        self, every: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._every = every if every is not None else 0.2 if self._terminal else 15.0
        self._clock = clock
        self._stage, self._began, self._told = "", 0.0, float("-inf")

    def show(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Tell of one finished item."""
        now = self._clock()
        if stage != self._stage:
            self._stage, self._began, self._told = stage, now, float("-inf")
        if done < total and now - self._told < self._every:
            return
        self._told = now
        left = (now - self._began) / done * (total - done) if done else 0.0
        filled = round(20 * done / total) if total else 20
        line = f"{stage} [{'#' * filled}{'.' * (20 - filled)}] {done}/{total}"
        line += f", {duration(left)} left" if done < total else f", {duration(now - self._began)}"
        line += f", {note}" if note else ""
        end = "\r" if self._terminal and done < total else "\n"
        print(line.ljust(78) if self._terminal else line, end=end, file=sys.stderr, flush=True)


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, dict):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return data
