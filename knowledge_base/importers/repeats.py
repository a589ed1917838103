"""What was read before: exact repetitions are counted and left out, contradictions are named."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable

from knowledge_base.importers.base import Report

_NAMED_A_FILE = 20


class Repeats:
    """Of what is told twice the first is kept; the report says what was left out.

    Args:
        report: Takes contradictions as they come and, from ``tell``, the sums.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._first: dict[Hashable, tuple[Hashable, str]] = {}
        self._exact: Counter[tuple[str, str]] = Counter()
        self._contrary: Counter[str] = Counter()

    def is_first(
        self, key: Hashable, content: Hashable, file: str, line: int | None, what: str
    ) -> bool:
        """Whether this is the first of its key; what is left out for another reason is counted.

        Args:
            key: What tells it from others of its kind.
            content: What it says; the same of the same key is an exact repetition.
            file: Where it was read.
            line: Its line there.
            what: Its kind ("run"), and its name where the line does not find it ("record 3").
        """
        known = self._first.get(key)
        if known is None:
            self._first[key] = (content, f"{what} of {file}")
        elif known[0] == content:
            self.exact(file, what.partition(" ")[0])
        else:
            self.contrary(file, line, f"{what} is told otherwise than {known[1]}")
        return known is None

    def exact(self, file: str, kind: str, count: int = 1) -> None:
        """Count something that says what was said before."""
        self._exact[file, kind] += count

    def contrary(self, file: str, line: int | None, message: str) -> None:
        """Name something that says otherwise than what was said before."""
        self._contrary[file] += 1
        if self._contrary[file] <= _NAMED_A_FILE:
            self._report.problem(file, line, f"{message}; the first is kept")

    def tell(self) -> None:
        """Report how much was left out and not named."""
        for file, count in self._contrary.items():
            if count > _NAMED_A_FILE:
                self._report.problem(file, None, f"{count - _NAMED_A_FILE} more contradictions")
        for (file, kind), count in self._exact.items():
            counted = f"{count} exact repetition{'s' if count > 1 else ''} of a {kind}"
            self._report.problem(file, None, f"left out {counted}")


def same(first: float, second: float) -> bool:
    """Whether two values are the same, NaN being the same as NaN."""
    return first == second or (math.isnan(first) and math.isnan(second))
