"""What is printed: JSON for programs, aligned columns for people, progress on standard error."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

from advisor.wording import amount, columns, duration, size

__all__ = ["ProgressLine", "amount", "columns", "duration", "facts", "json_text", "say", "size"]


def say(text: str) -> None:
    """One line on standard error."""
    if sys.stderr is not None:  # print takes None for standard output
        print(text, file=sys.stderr, flush=True)


def json_text(data: Any) -> str:
    """Plain data as one JSON document; numbers that are not finite become null."""
    import json

    return json.dumps(_finite(data), indent=1, allow_nan=False)


def facts(named: dict[str, Any]) -> str:
    """A line for each named value: nested ones with commas between them."""
    return columns([[name, _cell(value)] for name, value in named.items()])


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_cell(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_cell, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


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
        self._stage, self._began, self._first, self._told = "", 0.0, 0, float("-inf")

    def show(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Tell of one finished item; the time is that since the stage's first one."""
        now = self._clock()
        if stage != self._stage:
            self._stage, self._began, self._first = stage, now, done
            self._told = float("-inf")
        if done < total and now - self._told < self._every:
            return
        self._told = now
        filled = round(20 * done / total) if total else 20
        line = f"{stage} [{'#' * filled}{'.' * (20 - filled)}] {done}/{total}"
        since, spent = done - self._first, now - self._began
        if since > 0:  # one item alone tells nothing of the time that another takes
            left = f"{duration(spent / since * (total - done))} left"
            line += f", {left if done < total else duration(spent)}"
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
