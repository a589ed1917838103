"""The findings as one HTML page that needs nothing else: intervals and map are inline SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import jinja2

from knowledge_base.findings.report import Findings, Part
from knowledge_base.findings.winners import TRIES, WinnersMap

_WIDTH, _EDGE = 260.0, 6.0
_PALEST = 0.6
"""Regret from which on a square is as pale as it gets; most lie below."""
_LABEL, _HEAD, _CELL_WIDTH, _CELL_HEIGHT, _GAP = 170.0, 150.0, 46.0, 18.0, 10.0


@dataclass(frozen=True)
class Interval:
    """One interval as drawn, in pixels from the left.

    Attributes:
        low: Its lower end.
        high: Its upper end.
        value: Where the mean is.
        threshold: Where the threshold is.
    """

    low: float
    high: float
    value: float
    threshold: float


@dataclass(frozen=True)
class Square:
    """One cell of the map as drawn.

    Attributes:
        x: Left edge in pixels.
        y: Upper edge.
        colour: Of its ground.
        ink: Of its text.
        text: What stands in it.
        title: What it says when pointed at.
        winner: Whether it is the best of its column.
    """

    x: float
    y: float
    colour: str
    ink: str
    text: str
    title: str
    winner: bool


@dataclass(frozen=True)
class Drawing:
    """The map as drawn; a label is (x, y, text)."""

    width: float
    height: float
    squares: tuple[Square, ...]
    columns: tuple[tuple[float, float, str], ...]
    rows: tuple[tuple[float, float, str], ...]
    families: tuple[tuple[float, float, str], ...]


def html_page(found: Findings) -> str:
    """The page as text; every name in it is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html.jinja")
    return template.render(
        found=found, interval=interval, drawing=draw_map(found.winners), width=_WIDTH,
        cell_width=_CELL_WIDTH, cell_height=_CELL_HEIGHT, tries=TRIES,
    )  # fmt: skip


def interval(part: Part) -> Interval | None:
    """Where a part's interval lies; None where there is nothing to draw.

    The scale is logarithmic for ratios. It reaches as far to each side of "no difference" as the
    farthest of the numbers, so that what lies to the left is lower.
    """
    if part.value is None or part.low is None or part.high is None:
        return None
    scaled = [
        math.log(max(value, 1e-9)) if part.ratio else value
        for value in (part.low, part.high, part.value, part.threshold)
    ]
    reach = max(*map(abs, scaled), 1e-9)
    half = _WIDTH / 2 - _EDGE
    return Interval(*(_WIDTH / 2 + half * value / reach for value in scaled))


def draw_map(winners: WinnersMap) -> Drawing:
    """The map with a square for each cell, a gap between the axes and between the families."""
    lefts, left, before = [], _LABEL, ""
    for column in winners.columns:
        left += _GAP if before not in ("", column.axis) else 0.0
        lefts.append(left)
        left, before = left + _CELL_WIDTH, column.axis
    squares, rows, families = [], [], []
    top, before = _HEAD, ""
    for row in winners.rows:
        if row.family != before:
            top += _GAP + _CELL_HEIGHT
            families.append((0.0, top - 5, row.family))
        before = row.family
        rows.append((_LABEL - 6, top + _CELL_HEIGHT - 5, row.optimizer))
        for place, cell in enumerate(row.cells):
            if cell is None:
                continue
            column = winners.columns[place]
            share = min(cell.regret / _PALEST, 1.0)
            squares.append(
                Square(
                    x=lefts[place],
                    y=top,
                    colour=f"hsl(215,60%,{30 + 65 * share:.0f}%)",
                    ink="#fff" if share < 0.4 else "#111",
                    text=f"{cell.regret:.2f}",
                    title=f"{row.optimizer}, {column.axis} {column.name}: mean test regret "
                    f"{cell.regret:.3f}, {cell.tasks} tasks, {cell.datasets} data sets",
                    winner=winners.winners[place] == row.optimizer,
                )
            )
        top += _CELL_HEIGHT
    columns = tuple(
        (x + _CELL_WIDTH / 2, _HEAD + 8, f"{column.name} ({column.tasks})")
        for x, column in zip(lefts, winners.columns, strict=True)
    )
    # the last heading slants to the right of its column
    return Drawing(left + 130, top + _GAP, tuple(squares), columns, tuple(rows), tuple(families))
