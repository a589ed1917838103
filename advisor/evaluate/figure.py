"""The live evaluation as one SVG picture: regret by full trainings, and the time to the target.

Left, for each contender: its mean test regret after so many full trainings, with the 95 % interval
for the advice and the cold searches; a contender with one number is a point. Right: the performance
profile of the guesses.
"""

from __future__ import annotations

from advisor.evaluate.per_task import ADVICE, PerTask, is_search, per_task
from advisor.evaluate.picture import (
    BOTTOM,
    TOP,
    Look,
    Panel,
    Shape,
    log_scale,
    looks_of,
    path,
    picture,
    regret_panel,
    tidy,
)
from advisor.evaluate.results import LiveResults
from advisor.evaluate.speed import RATIOS, profiles
from advisor.evaluate.standing import curve, ordered

_LEFT, _RIGHT = (72.0, 512.0), (606.0, 1040.0)


def figure(results: LiveResults) -> str:
    """The picture as the text of an SVG file; every name in it is escaped."""
    table = per_task(results)
    names = ordered(table)
    searches = [name for name in names if is_search(name)]
    looks = looks_of(names, searches)
    curves = {name: curve(table, name) for name in names}
    head = "Regret by full trainings"
    panels = [
        regret_panel(_LEFT, head, curves, looks, [ADVICE[0], *searches]),
        _profile_panel(table, looks),
    ]
    return picture(panels, looks, "Test regret by full trainings, and time to the target")


def _profile_panel(table: PerTask, looks: dict[str, Look]) -> Panel:
    x = log_scale(RATIOS[0], RATIOS[-1], *_RIGHT)

    def y(share: float) -> float:
        return BOTTOM - share * (BOTTOM - TOP) * 0.97

    panel = Panel(
        *_RIGHT, head="Time to the target (loss of AdamW 1e-3 cosine)",
        x_label="passes over those of the fastest of these (log)", y_label="share of tasks",
        x_ticks=[(tidy(x(ratio)), f"{ratio} x") for ratio in (1, 2, 3, 4, 6, 8)],
        y_ticks=[(tidy(y(share / 5)), f"{share / 5:g}") for share in range(6)],
    )  # fmt: skip
    for profile in profiles(table):
        corners = [(x(1), y(profile.share(1)))]
        for ratio in sorted({r for r in profile.ratios if 1 < r <= RATIOS[-1]}):
            corners += [(x(ratio), corners[-1][1]), (x(ratio), y(profile.share(ratio)))]
        corners.append((x(RATIOS[-1]), corners[-1][1]))
        panel.lines.append(Shape(looks[profile.entry[0]], path(corners)))
    return panel
