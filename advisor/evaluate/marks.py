"""What good advice should reach, and what was measured for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from advisor.evaluate import mark_notes
from advisor.evaluate.fixed_guesses import COPIED_NAME
from advisor.evaluate.per_task import ADVICE, PerTask, TableEntry, per_task
from advisor.evaluate.report import Column, Report
from advisor.evaluate.results import LiveResults, LiveTask
from advisor.evaluate.speed import speed_up
from advisor.evaluate.worth import tpe_searches, worth

COPIED_ENTRY: TableEntry = (COPIED_NAME, 1)
SINGLE_BEST_ENTRY: TableEntry = ("portfolio", 1)
FASTEST_ENTRY: TableEntry = ("advice, fastest", 1)
NOT_MEASURED = "not measured"
_LEFT_OUT = "data set"
_TRIALS = 100


@dataclass(frozen=True)
class Mark:
    """One mark.

    Attributes:
        name: What is measured.
        goal: What it should be.
        measured: What it is; ``NOT_MEASURED`` where its input is missing.
        reached: Whether the goal is met; None where nothing was measured.
        source: Which evaluation gives it.
        why: Why it is missed, and what was tried; empty where it is not, or no reason is known.
    """

    name: str
    goal: str
    measured: str
    reached: bool | None
    source: Literal["replay", "live"]
    why: str = ""

    @property
    def verdict(self) -> str:
        """``yes``, ``no`` or ``-``."""
        return "-" if self.reached is None else "yes" if self.reached else "no"


_Found = tuple[str, bool] | None
"""What was measured and whether it is enough."""


def marks(report: Report | None, live: LiveResults | None) -> tuple[Mark, ...]:
    """All marks, in the order of the table; point estimates decide, intervals stand beside.

    Args:
        report: The replay, which gives four of them from the column with the data set left out.
        live: The live evaluation, which gives the others.
    """
    columns = report.columns if report is not None else ()
    column = next((column for column in columns if column.left_out == _LEFT_OUT), None)
    return (
        *_of_replay(column),
        *_of_live(per_task(live) if live is not None else None),
    )


def _mark(
    source: Literal["replay", "live"], name: str, goal: str, found: _Found, why: str = ""
) -> Mark:
    """A mark; ``why`` is told where it is missed alone."""
    measured, reached = found if found is not None else (NOT_MEASURED, None)
    return Mark(name, goal, measured, reached, source, why if reached is False else "")


def _of_replay(column: Column | None) -> Iterator[Mark]:
    gap: _Found = None
    tail: _Found = None
    coverage: _Found = None
    probes: _Found = None
    if column is not None:
        closed, low, high = column.gap_closed
        gap = f"{closed:.2f} ({low:.2f} to {high:.2f})", low >= 0.5
        ratio, ratio_low, ratio_high = column.p95_ratio
        tail = f"{ratio:.2f} ({ratio_low:.2f} to {ratio_high:.2f})", ratio <= 1.05
        coverage = f"{column.coverage:.0%}", 0.85 <= column.coverage <= 0.95
        probes = f"{column.probe_share:.1%}", column.probe_share <= 0.1
    yield _mark(
        "replay",
        "gap from the single best recipe to the oracle (the best known recipe of each task, "
        "searched ones included) closed by the first recommendation, data set left out "
        "(its lower end)",
        "at least 0.5",
        gap,
        mark_notes.GAP_CLOSED,
    )
    yield _mark(
        "replay",
        "95th-percentile regret over that of the portfolio's first entry",
        "at most 1.05",
        tail,
        mark_notes.TAIL,
    )
    yield _mark("replay", "the 90 % interval covers", "85 to 95 %", coverage)
    yield _mark("replay", "probes, share of one full training", "at most 10 %", probes)


def _of_live(table: PerTask | None) -> Iterator[Mark]:
    worse = _worse(table)
    yield _mark(
        "live",
        "trials of TPE that one recommendation is worth",
        "at least 25",
        _worth(table, 1, 25),
        mark_notes.WORTH,
    )
    yield _mark(
        "live",
        "trials of TPE that the best of five is worth",
        "at least 100",
        _worth(table, 5, 100),
        mark_notes.WORTH,
    )
    yield _mark(
        "live",
        "geometric-mean speed-up to the target over AdamW 1e-3 cosine",
        "at least 4",
        _speed(table, COPIED_ENTRY, 4.0),
    )
    yield _mark(
        "live",
        "geometric-mean speed-up to the target over the single best recipe",
        "at least 1.5",
        _speed(table, SINGLE_BEST_ENTRY, 1.5),
        mark_notes.SOONEST,
    )
    yield _mark(
        "live",
        "tasks worse than AdamW 1e-3 cosine by over two seed standard deviations",
        "none",
        _counted(worse),
        mark_notes.worse_than_copied(worse[0]) if worse else "",
    )
    yield _mark(
        "live",
        f"regret of refine at 10 trials beside that of TPE at {_TRIALS}, the better space",
        "at most the same",
        _refined(table),
    )


def _worth(table: PerTask | None, runs: int, goal: int) -> _Found:
    found = worth(table, ("advice", runs)) if table is not None else None
    # searches that were not run for as long as the goal cannot tell
    if found is None or (found.limit < goal and found.trials > found.limit):
        return None
    return found.shown(), found.trials >= goal


def _speed(table: PerTask | None, over: TableEntry, goal: float) -> _Found:
    """By the advice that was asked for speed where there is one; the other stands beside."""
    if table is None:
        return None
    found = [
        (entry[0], ratio)
        for entry in (FASTEST_ENTRY, ADVICE)
        if (ratio := speed_up(table, entry, over)) is not None
    ]
    if not found:
        return None
    told = "; ".join(f"{name}: {ratio.shown()}" for name, ratio in found)
    return told, found[0][1].ratio >= goal


def _worse(table: PerTask | None) -> tuple[list[LiveTask], int] | None:
    """Tasks on which the advice is worse than the copied recipe, and of how many."""
    if table is None or ADVICE not in table.regrets or COPIED_ENTRY not in table.regrets:
        return None
    where = table.common([ADVICE, COPIED_ENTRY])
    if not where.any():
        return None
    more = table.regrets[ADVICE] - table.regrets[COPIED_ENTRY]
    worse = [
        task
        for task, kept, by in zip(table.tasks, where, more, strict=True)
        if kept and by > 2 * task.noise
    ]
    return worse, int(where.sum())


def _counted(found: tuple[list[LiveTask], int] | None) -> _Found:
    if found is None:
        return None
    worse, count = found
    named = f" ({', '.join(task.name for task in worse)})" if worse else ""
    return f"{len(worse)} of {count}{named}", not worse


def _refined(table: PerTask | None) -> _Found:
    if table is None or ("refine", 10) not in table.regrets:
        return None
    others = [(name, _TRIALS) for name in tpe_searches(table)]
    if not others or any(other not in table.regrets for other in others):
        return None
    where = table.common([("refine", 10), *others])
    if not where.any():
        return None
    ours = float(table.regrets["refine", 10][where].mean())
    best = min(float(table.regrets[other][where].mean()) for other in others)
    return f"{ours:.3f} beside {best:.3f}", ours <= best
