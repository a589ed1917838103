"""The live evaluation as tables, as Markdown, and as a block of the README."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from advisor.evaluate.blocks import between_marks
from advisor.evaluate.comparison import DRAWN, compared, paired, ranks
from advisor.evaluate.marks import COPIED_ENTRY, SINGLE_BEST_ENTRY, marks
from advisor.evaluate.per_task import ADVICE, PerTask, TableEntry, per_task
from advisor.evaluate.report import Report
from advisor.evaluate.results import LiveResults
from advisor.evaluate.speed import RATIOS, SpeedUp, profiles, speed_up
from advisor.evaluate.standing import SHOWN, ordered, regret_summary
from advisor.evaluate.worth import worth

BEGIN, END = "<!-- live:begin -->", "<!-- live:end -->"
_NONE = "-"


@dataclass(frozen=True)
class Section:
    """One table.

    Attributes:
        title: What it tells, as a line of text.
        rows: Header and rows, all of one length.
    """

    title: str
    rows: list[list[str]]


def live_sections(results: LiveResults, report: Report | None = None) -> tuple[Section, ...]:
    """All tables of the live evaluation; one that has no rows is left out.

    Args:
        results: The live evaluation.
        report: The replay, for the marks that it gives.
    """
    table = per_task(results)
    sections = (
        Section("Marks", _mark_rows(results, report)),
        Section(
            "Mean normalized test regret over tasks after full trainings "
            "(95 % interval by bootstrap over data sets) / median",
            _regret_rows(table),
        ),
        Section("What a few full trainings are worth in trials of TPE", _worth_rows(table)),
        Section(
            "One recommendation against others; negative differences are better", _pair_rows(table)
        ),
        Section(
            "Time to the target: speed-up, and share of tasks on which it takes at most so many "
            "times as long as the fastest",
            _speed_rows(table),
        ),
    )
    return tuple(section for section in sections if len(section.rows) > 1)


def live_facts(results: LiveResults) -> list[str]:
    """What stands beside the tables, one line each."""
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


def live_markdown(results: LiveResults, report: Report | None = None) -> str:
    """Tables and facts as Markdown."""
    blocks = []
    for section in live_sections(results, report):
        header, *rows = [[cell.replace("|", r"\|") for cell in row] for row in section.rows]
        lines = [f"**{section.title}**", "", _line(header), "|" + "---|" * len(header)]
        blocks.append("\n".join([*lines, *map(_line, rows)]))
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    made = f"made by `{results.made_by}` on {results.date}, seed {results.seed}; {versions}"
    blocks.append("\n".join(f"- {fact}" for fact in [*live_facts(results), made]))
    return "\n\n".join(blocks)


def write_readme(path: Path, results: LiveResults, report: Report | None = None) -> None:
    """Put the tables between the marks in a README.

    Raises:
        UserError: The file has no marks, or cannot be written.
    """
    between_marks(path, BEGIN, END, live_markdown(results, report))


def _mark_rows(results: LiveResults, report: Report | None) -> list[list[str]]:
    rows = [["mark", "goal", "measured", "reached", "by"]]
    for mark in marks(report, results):
        rows.append([mark.name, mark.goal, mark.measured, mark.verdict, mark.source])
    return rows


def _regret_rows(table: PerTask) -> list[list[str]]:
    shown = [runs for runs in SHOWN if any(entry[1] == runs for entry in table.entries)]
    rows = [["contender", *map(str, shown)]]
    for name in ordered(table):
        cells = [_regret(table, (name, runs)) for runs in shown]
        if any(cell != _NONE for cell in cells):
            rows.append([name, *cells])
    return rows


def _regret(table: PerTask, entry: TableEntry) -> str:
    here = regret_summary(table, entry)
    if here is None:
        return _NONE
    told = f"{here.mean:.3f} ({here.low:.3f}-{here.high:.3f}) / {here.median:.3f}"
    return told if here.tasks == len(table.tasks) else f"{told}, {here.tasks} tasks"


def _worth_rows(table: PerTask) -> list[list[str]]:
    rows = [["contender", "full runs", "cost in full trainings", "worth in trials of TPE"]]
    for entry in _chosen_by_hand(table):
        found = worth(table, entry)
        if found is None:
            continue
        cost = float(np.nanmean(table.passes[entry]))
        told = found.shown()
        if found.tasks < len(table.tasks):
            told += f", {found.tasks} tasks"
        rows.append([entry[0], str(entry[1]), f"{cost:.2f}", told])
    return rows


def _chosen_by_hand(table: PerTask) -> Iterator[TableEntry]:
    """Entries that no cold search made, at the numbers of trainings shown."""
    searches = table.searches()
    for name in ordered(table):
        if name not in searches:
            yield from ((name, runs) for runs in table.runs(name) if runs in SHOWN)


def _pair_rows(table: PerTask) -> list[list[str]]:
    rows = [
        ["against", "full runs", "difference in mean regret", "better on", "worse on",
         "p, Wilcoxon", "p, Holm", "mean rank"],
    ]  # fmt: skip
    placed = ranks(table)
    mean = placed.mean if placed is not None else {}

    def rank(entry: TableEntry) -> str:
        return f"{mean[entry]:.1f}" if entry in mean else _NONE

    for pair in paired(table):
        difference = f"{pair.difference:+.3f} ({pair.low:+.3f} to {pair.high:+.3f})"
        of = f" of {pair.tasks}"
        rows.append(
            [pair.other[0], str(pair.other[1]), difference, f"{pair.wins}{of}",
             f"{pair.losses}{of}", _probability(pair.p), _probability(pair.holm),
             rank(pair.other)]
        )  # fmt: skip
    if len(rows) > 1 and ADVICE in compared(table):
        rows.append([f"({ADVICE[0]} itself)", "1", *[_NONE] * 5, rank(ADVICE)])
    return rows


def _speed_rows(table: PerTask) -> list[list[str]]:
    rows = [
        ["contender", "over AdamW 1e-3 cosine", "over the single best recipe", "reached",
         "score", *(f"{ratio} x" for ratio in RATIOS)],
    ]  # fmt: skip
    for profile in profiles(table):
        rows.append(
            [profile.entry[0], _ratio(speed_up(table, profile.entry, COPIED_ENTRY)),
             _ratio(speed_up(table, profile.entry, SINGLE_BEST_ENTRY)), f"{profile.reached:.0%}",
             f"{profile.score:.2f}", *(f"{profile.share(ratio):.0%}" for ratio in RATIOS)]
        )  # fmt: skip
    return rows


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


def _ratio(found: SpeedUp | None) -> str:
    return _NONE if found is None else found.shown()


def _probability(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _compared(p: float) -> str:
    return _probability(p) if p < 0.001 else f"= {_probability(p)}"


def _shown(entry: TableEntry) -> str:
    return entry[0] if entry[1] == 1 else f"{entry[0]} at {entry[1]}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
