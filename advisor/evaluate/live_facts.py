"""What stands beside the tables of the live evaluation, one line each."""

from __future__ import annotations

from statistics import median

import numpy as np

from advisor.evaluate.comparison import DRAWN, ranks
from advisor.evaluate.per_task import TableEntry, per_task
from advisor.evaluate.results import LiveResults


def live_facts(results: LiveResults) -> list[str]:
    """The lines: what was run, how sure it is, what has to be known to read the tables."""
    table = per_task(results)
    groups = {task.group for task in results.tasks}
    lines = [f"{len(results.tasks)} tasks from {len(groups)} groups of data sets"]
    if results.tasks:
        steps = [task.steps for task in results.tasks]
        seconds = [task.seconds for task in results.tasks]
        noise = median(task.noise for task in results.tasks)
        lines[0] += (
            f", {min(steps)} to {max(steps)} steps, {min(seconds):.2g} to {max(seconds):.2g} s "
            f"a training; median seed-to-seed standard deviation of test regret {noise:.3f}"
        )
    repeated = _studies(results)
    if repeated:
        lines.append(f"independent studies a task: {repeated}")
    placed = ranks(table)
    if placed is not None:
        best = min(placed.mean.values())
        level = [e for e, rank in placed.mean.items() if rank - best <= placed.critical_difference]
        lines.append(
            f"mean ranks of {len(placed.mean)} over {placed.tasks} tasks: Friedman's test "
            f"p {_compared(placed.p)}; Nemenyi's critical difference at 5 % is "
            f"{placed.critical_difference:.1f}; within it of the best: "
            f"{', '.join(f'{_shown(entry)} ({placed.mean[entry]:.1f})' for entry in level)}"
        )
        if placed.left_out:
            left_out = ", ".join(map(_shown, placed.left_out))
            lines.append(f"not ranked, for want of a result on every task: {left_out}")
    lines.append(
        "the target is the median final validation loss of AdamW 1e-3 cosine in the knowledge "
        "base; a run that misses it counts at its whole budget"
    )
    lines.append(
        "the tasks were chosen so that recipes differ by much more than seeds do "
        "(`advisor/evaluate/live_tasks.py`): differences are larger than on the average task"
    )
    drawn = [name for name in table.searches() if name.startswith(DRAWN)]
    if drawn:
        lines.append(
            f"{', '.join(drawn)}: the expectation over draws, by the test result of the training "
            "that was chosen, not of fresh seeds; it takes no part in the tests"
        )
    refined = [entry for entry in table.entries if entry[0] == "refine"]
    for entry in refined:
        cost = float(np.nanmean(table.passes[entry]))
        lines.append(
            f"refine: {entry[1]} trials at most, and final trainings on seeds of its own; in all "
            f"{cost:.1f} full trainings on average, so its place in the table flatters it"
        )
    return lines


def probability(p: float) -> str:
    """A p-value as text; one below 0.001 as a bound."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _studies(results: LiveResults) -> str:
    """Contenders that were repeated and how often, ``2`` or ``2 to 5`` where tasks differ."""
    found: dict[str, dict[str, set[int]]] = {}
    for outcome in results.outcomes:
        found.setdefault(outcome.contender, {}).setdefault(outcome.task, set()).add(outcome.study)
    told = []
    for name in sorted(found):
        counts = {len(studies) for studies in found[name].values()}
        low, high = min(counts), max(counts)
        if high > 1:
            told.append(f"{name} {low}" if low == high else f"{name} {low} to {high}")
    return "; ".join(told)


def _compared(p: float) -> str:
    return probability(p) if p < 0.001 else f"= {probability(p)}"


def _shown(entry: TableEntry) -> str:
    return entry[0] if entry[1] == 1 else f"{entry[0]} at {entry[1]}"
