"""Why a mark is missed where it is, and what was tried: short prose for the table of marks.

A mark without a text here has none in the table either: a reason is written once it is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from advisor.evaluate.results import LiveTask

GAP_CLOSED = (
    "told 8 whole trainings on the very task, the first untried recipe's regret falls by 0.06 at "
    "most (`python -m benchmarks.ceiling`); tried: averages of models, bagging, extra trees, "
    "kernels, penalties, offsets, compressed runs told in full; see docs/architecture.md"
)
TAIL = (
    "it rests on the worst one in twenty of the known tasks (see the interval); tried: "
    "cautious scores, abstaining"
)
WORTH = (
    "the mean over live tasks is made by few: where the first recommendation is bad it is far off, "
    "and which tasks are drawn decides (the interval); tried: cautious scores, abstaining, other "
    "models (`python -m benchmarks.models`), none of them better on known tasks"
)
SOONEST = (
    "the single soonest recipe serves nearly all tasks: ranking by predicted time is 1.2 x as soon "
    "on known tasks (`python -m benchmarks.soonest`); tried: compressed schedules, which are later"
)
_WORSE = (
    "either AdamW 1e-3 is itself near the best there, and what is good on average loses to "
    "it, or the first recommendation is far off; cautious scores (docs/architecture.md) do not "
    "prevent it"
)


def worse_than_copied(tasks: Iterable[LiveTask]) -> str:
    """Why advice is worse than AdamW 1e-3 cosine on these tasks, with its place on each."""
    places = [
        f"{task.name} ({ceil(round(100 * task.copied_place, 6))} %)"
        for task in tasks
        if task.copied_place is not None
    ]
    if not places:
        return _WORSE
    return f"{_WORSE}; the place of AdamW 1e-3 among the reference recipes: {', '.join(places)}"
