"""Plots of regret by full trainings, and others, side by side in one SVG picture with a legend.

The picture brings its own ground, so it is readable on light and dark pages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import jinja2

WIDTH, TOP, BOTTOM = 1060.0, 46.0, 376.0
"""Of the picture, and of every plot in it, in pixels."""
_LEGEND_COLUMNS, _LEGEND_LINE = 4, 20.0
_LOWEST = 1e-3
"""Means below it, 0 too, are drawn there: a log scale has no zero."""
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#9a6b00", "#3a3a3a", "#56b4e9", "#7a4fbf")
"""Told apart with every kind of colour vision (Okabe and Ito), darkened for a white ground."""
_DASHES = ("", "2 3", "9 3 2 3")
_SEARCH_DASH = "7 4"


class Point(Protocol):
    """Mean regret of a contender after some full trainings, with the ends of its interval."""

    @property
    def runs(self) -> int:
        """Full trainings it chose by."""

    @property
    def mean(self) -> float:
        """Mean normalized test regret over tasks."""

    @property
    def low(self) -> float:
        """Lower end of its 95 % interval."""

    @property
    def high(self) -> float:
        """Upper end."""


@dataclass(frozen=True)
class Look:
    """How a contender is drawn.

    Attributes:
        name: The contender.
        colour: Of its line and points.
        dash: Its line's dash pattern; empty for a full line.
        marker: Which shape its points have.
    """

    name: str
    colour: str
    dash: str
    marker: int


@dataclass(frozen=True)
class Shape:
    """One path: the look it has, SVG's path data, what it says when pointed at."""

    look: Look
    path: str
    title: str = ""


@dataclass
class Panel:
    """One plot as drawn; a tick is (place, label)."""

    left: float
    right: float
    head: str
    x_label: str
    y_label: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    top: float = TOP
    bottom: float = BOTTOM
    bands: list[Shape] = field(default_factory=list)
    lines: list[Shape] = field(default_factory=list)
    points: list[Shape] = field(default_factory=list)


@dataclass(frozen=True)
class Item:
    """One line of the legend; ``marker`` is empty for a contender that has no point."""

    x: float
    y: float
    look: Look
    marker: str


def picture(panels: Sequence[Panel], looks: Mapping[str, Look], title: str) -> str:
    """The picture as the text of an SVG file; every name in it is escaped.

    Args:
        panels: The plots.
        looks: Every contender's; the legend is in their order.
        title: What it shows, for those who cannot see it.
    """
    pointed = {point.look.name for panel in panels for point in panel.points}
    step = (WIDTH - 40) / _LEGEND_COLUMNS
    legend = []
    for place, look in enumerate(looks.values()):
        row, column = divmod(place, _LEGEND_COLUMNS)
        x, y = 30 + column * step, BOTTOM + 66 + row * _LEGEND_LINE
        marker = _marker(look.marker, x + 15, y) if look.name in pointed else ""
        legend.append(Item(x, y, look, marker))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    height = BOTTOM + 66 + math.ceil(len(looks) / _LEGEND_COLUMNS) * _LEGEND_LINE
    template = environment.get_template("picture.svg.jinja")
    return template.render(
        panels=panels, legend=legend, title=title, width=f"{WIDTH:g}", height=f"{height:g}"
    )


def looks_of(names: Sequence[str], searches: Collection[str]) -> dict[str, Look]:
    """Colours in the order of names; cold searches are dashed and begin from the last colour."""
    looks: dict[str, Look] = {}
    searched = 0
    for place, name in enumerate(names):
        if name in searches:
            searched += 1
            looks[name] = Look(name, _COLOURS[-searched % len(_COLOURS)], _SEARCH_DASH, place)
            continue
        dash = _DASHES[place // len(_COLOURS) % len(_DASHES)]
        looks[name] = Look(name, _COLOURS[place % len(_COLOURS)], dash, place)
    return looks


def regret_panel(
    place: tuple[float, float],
    head: str,
    curves: Mapping[str, Sequence[Point]],
    looks: Mapping[str, Look],
    with_interval: Collection[str],
) -> Panel:
    """Mean regret by full trainings, both on log scales; a contender with one number is a point.

    Args:
        place: The plot's left and right side in the picture.
        head: What stands above it.
        curves: Each contender's points, by rising number of trainings.
        looks: How each is drawn.
        with_interval: Those whose intervals are drawn: a band about a line, a bar through a point.
    """
    means = [max(point.mean, _LOWEST) for points in curves.values() for point in points] or [1.0]
    low, high = _around(min(means), max(means))
    longest = max((points[-1].runs for points in curves.values()), default=1)
    x = log_scale(0.85, max(longest, 2) * 1.1, *place)
    y = log_scale(low, high, BOTTOM, TOP)
    panel = Panel(
        *place, head=head, x_label="full trainings (log)",
        y_label="mean normalized test regret (log)",
        x_ticks=[(tidy(x(n)), str(n)) for n in (1, 2, 5, 10, 20, 50, 100, 200) if n <= longest],
        y_ticks=[(tidy(y(v)), f"{v:g}") for v in _round_numbers(low, high)],
    )  # fmt: skip

    def at(point: Point, value: float) -> tuple[float, float]:
        return x(point.runs), y(min(max(value, low), high))

    for name, points in curves.items():
        look, first = looks[name], points[0]
        if len(points) > 1:
            panel.lines.append(Shape(look, path([at(p, p.mean) for p in points])))
            if name in with_interval:
                upper = [at(p, p.high) for p in points]
                lower = [at(p, p.low) for p in reversed(points)]
                panel.bands.append(Shape(look, path([*upper, *lower]) + "Z"))
            continue
        if name in with_interval:
            bar = path([at(first, first.low), at(first, first.high)])
            panel.lines.append(Shape(replace(look, dash=""), bar))
        told = f"{name}: {first.mean:.3f} ({first.low:.3f} to {first.high:.3f})"
        panel.points.append(Shape(look, _marker(look.marker, *at(first, first.mean)), told))
    return panel


def log_scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """From a value between low and high to a place between start and end."""
    return lambda value: start + (end - start) * math.log(value / low) / math.log(high / low)


def _around(low: float, high: float) -> tuple[float, float]:
    """The nearest round numbers at or beyond both, never the same."""
    numbers = [digit * 10.0**power for power in range(-4, 2) for digit in (1, 2, 5)]
    return max(n for n in numbers if n < low * 0.98), min(n for n in numbers if n > high * 1.02)


def _round_numbers(low: float, high: float) -> list[float]:
    numbers = [digit * 10.0**power for power in range(-4, 2) for digit in (1, 2, 5)]
    return [n for n in numbers if low * 0.999 <= n <= high * 1.001]


def _marker(kind: int, x: float, y: float) -> str:
    """Circle, square, diamond, triangle up or down, as path data about a place."""
    size = 5.0
    shapes: tuple[Sequence[tuple[float, float]], ...] = (
        [(size * math.cos(t * math.pi / 8), size * math.sin(t * math.pi / 8)) for t in range(16)],
        [(-4.5, -4.5), (4.5, -4.5), (4.5, 4.5), (-4.5, 4.5)],
        [(0, -6), (6, 0), (0, 6), (-6, 0)],
        [(0, -6), (5.5, 4.5), (-5.5, 4.5)],
        [(0, 6), (5.5, -4.5), (-5.5, -4.5)],
    )
    return path([(x + dx, y + dy) for dx, dy in shapes[kind % len(shapes)]]) + "Z"


def path(places: Sequence[tuple[float, float]]) -> str:
    """SVG's path data of a line through these places."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


def tidy(place: float) -> float:
    """A place on the picture, rounded to what can be seen."""
    return round(place, 1)
