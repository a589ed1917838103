"""The replay as one SVG picture: mean regret by full trainings, a plot for each way of leaving out.

Every number has its 95 % interval: a band about a line, a bar through a point.
"""

from __future__ import annotations

from advisor.evaluate.picture import WIDTH, looks_of, picture, regret_panel
from advisor.evaluate.report import Column, Method, Report
from advisor.evaluate.tally import PORTFOLIO, RANDOM_SEARCH, SEARCHED, SINGLE_BEST

_FIRST, _LAST, _BETWEEN = 72.0, 20.0, 88.0
"""Room left of the first plot, right of the last and between two, in pixels."""
_LIST = f"{SINGLE_BEST}, then {PORTFOLIO}"
"""One line: the portfolio's first entry is the single best recipe."""


def replay_figure(report: Report) -> str:
    """The picture as the text of an SVG file; every name in it is escaped."""
    columns = {column.left_out: _curves(column) for column in report.columns}
    names = list(dict.fromkeys(name for curves in columns.values() for name in curves))
    looks = looks_of(names, (RANDOM_SEARCH, SEARCHED))
    room = WIDTH - _FIRST - _LAST - _BETWEEN * (len(columns) - 1)
    width = room / max(len(columns), 1)
    lefts = [_FIRST + place * (width + _BETWEEN) for place in range(len(columns))]
    panels = [
        regret_panel((left, left + width), f"{title} left out", curves, looks, names)
        for left, (title, curves) in zip(lefts, columns.items(), strict=True)
    ]
    return picture(panels, looks, "Test regret by full trainings on tasks left out")


def _curves(column: Column) -> dict[str, list[Method]]:
    curves: dict[str, list[Method]] = {}
    for method in column.methods:
        name = _LIST if method.name in (SINGLE_BEST, PORTFOLIO) else method.name
        curves.setdefault(name, []).append(method)
    return {name: sorted(found, key=lambda method: method.runs) for name, found in curves.items()}
