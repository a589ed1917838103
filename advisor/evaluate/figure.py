"""The live evaluation as one SVG picture: regret by full trainings, and the time to the target.

Left, for each contender: its mean test regret after so many full trainings, with the 95 % interval
for the advice and the cold searches; a contender with one number is a point. Right: the performance
profile of the guesses. The picture brings its own ground, so it is readable on light and dark
pages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from advisor.evaluate.per_task import ADVICE, PerTask, is_search, per_task
from advisor.evaluate.results import LiveResults
from advisor.evaluate.speed import RATIOS, profiles
from advisor.evaluate.standing import RegretSummary, curve, ordered

_WIDTH, _TOP, _BOTTOM = 1060.0, 46.0, 376.0
_LEFT, _RIGHT = (72.0, 512.0), (606.0, 1040.0)
_LEGEND_COLUMNS, _LEGEND_LINE = 4, 20.0
_LOWEST = 1e-3
"""Means below it, 0 too, are drawn there: a log scale has no zero."""
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#9a6b00", "#3a3a3a", "#56b4e9", "#7a4fbf")
"""Told apart with every kind of colour vision (Okabe and Ito), darkened for a white ground."""
_DASHES = ("", "2 3", "9 3 2 3")
_SEARCH_DASH = "7 4"


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
    """One of the two plots as drawn; a tick is (place, label)."""

    left: float
    right: float
    head: str
    x_label: str
    y_label: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    top: float = _TOP
    bottom: float = _BOTTOM
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


def figure(results: LiveResults) -> str:
    """The picture as the text of an SVG file; every name in it is escaped."""
    table = per_task(results)
    looks = _looks(ordered(table))
    panels = [_regret_panel(table, looks), _profile_panel(table, looks)]
    pointed = {point.look.name for panel in panels for point in panel.points}
    step = (_WIDTH - 40) / _LEGEND_COLUMNS
    legend = []
    for place, look in enumerate(looks.values()):
        row, column = divmod(place, _LEGEND_COLUMNS)
        x, y = 30 + column * step, _BOTTOM + 66 + row * _LEGEND_LINE
        marker = _marker(look.marker, x + 15, y) if look.name in pointed else ""
        legend.append(Item(x, y, look, marker))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    height = _BOTTOM + 66 + math.ceil(len(looks) / _LEGEND_COLUMNS) * _LEGEND_LINE
    template = environment.get_template("figure.svg.jinja")
    return template.render(panels=panels, legend=legend, width=f"{_WIDTH:g}", height=f"{height:g}")


def _looks(names: Sequence[str]) -> dict[str, Look]:
    """Colours in the order of names; cold searches are dashed and begin from the last colour."""
    looks: dict[str, Look] = {}
    searches = 0
    for place, name in enumerate(names):
        if is_search(name):
            searches += 1
            looks[name] = Look(name, _COLOURS[-searches % len(_COLOURS)], _SEARCH_DASH, place)
            continue
        dash = _DASHES[place // len(_COLOURS) % len(_DASHES)]
        looks[name] = Look(name, _COLOURS[place % len(_COLOURS)], dash, place)
    return looks


def _regret_panel(table: PerTask, looks: dict[str, Look]) -> Panel:
    curves = {name: curve(table, name) for name in looks}
    means = [max(point.mean, _LOWEST) for points in curves.values() for point in points] or [1.0]
    low, high = _around(min(means), max(means))
    longest = max((points[-1].runs for points in curves.values()), default=1)
    x = _log_scale(0.85, max(longest, 2) * 1.1, *_LEFT)
    y = _log_scale(low, high, _BOTTOM, _TOP)
    panel = Panel(
        *_LEFT, head="Regret by full trainings", x_label="full trainings (log)",
        y_label="mean normalized test regret (log)",
        x_ticks=[(_tidy(x(n)), str(n)) for n in (1, 2, 5, 10, 20, 50, 100, 200) if n <= longest],
        y_ticks=[(_tidy(y(v)), f"{v:g}") for v in _round_numbers(low, high)],
    )  # fmt: skip

    def at(point: RegretSummary, value: float) -> tuple[float, float]:
        return x(point.runs), y(min(max(value, low), high))

    for name, points in curves.items():
        look = looks[name]
        if len(points) > 1:
            panel.lines.append(Shape(look, _path([at(p, p.mean) for p in points])))
            if is_search(name) or name == ADVICE[0]:
                upper = [at(p, p.high) for p in points]
                lower = [at(p, p.low) for p in reversed(points)]
                panel.bands.append(Shape(look, _path([*upper, *lower]) + "Z"))
            continue
        told = f"{name}: {points[0].mean:.3f} ({points[0].low:.3f} to {points[0].high:.3f})"
        marker = _marker(look.marker, *at(points[0], points[0].mean))
        panel.points.append(Shape(look, marker, told))
    return panel


def _profile_panel(table: PerTask, looks: dict[str, Look]) -> Panel:
    x = _log_scale(RATIOS[0], RATIOS[-1], *_RIGHT)

    def y(share: float) -> float:
        return _BOTTOM - share * (_BOTTOM - _TOP) * 0.97

    panel = Panel(
        *_RIGHT, head="Time to the target (loss of AdamW 1e-3 cosine)",
        x_label="time over that of the fastest of these (log)", y_label="share of tasks",
        x_ticks=[(_tidy(x(ratio)), f"{ratio} x") for ratio in (1, 2, 3, 4, 6, 8)],
        y_ticks=[(_tidy(y(share / 5)), f"{share / 5:g}") for share in range(6)],
    )  # fmt: skip
    for profile in profiles(table):
        corners = [(x(1), y(profile.share(1)))]
        for ratio in sorted({r for r in profile.ratios if 1 < r <= RATIOS[-1]}):
            corners += [(x(ratio), corners[-1][1]), (x(ratio), y(profile.share(ratio)))]
        corners.append((x(RATIOS[-1]), corners[-1][1]))
        panel.lines.append(Shape(looks[profile.entry[0]], _path(corners)))
    return panel


def _log_scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
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
    return _path([(x + dx, y + dy) for dx, dy in shapes[kind % len(shapes)]]) + "Z"


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


def _tidy(place: float) -> float:
    return round(place, 1)
