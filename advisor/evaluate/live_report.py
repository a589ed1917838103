"""The live evaluation as tables, as Markdown, and as a block of the README."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from advisor.evaluate.blocks import between_marks
from advisor.evaluate.comparison import compared, paired, ranks
from advisor.evaluate.live_facts import live_facts, probability
from advisor.evaluate.marks import COPIED_ENTRY, SINGLE_BEST_ENTRY, marks
from advisor.evaluate.per_task import ADVICE, PerTask, TableEntry, per_task
from advisor.evaluate.report import Report
from advisor.evaluate.results import LiveResults
from advisor.evaluate.speed import RATIOS, profiles, speed_up
from advisor.evaluate.standing import SHOWN, ordered, regret_summary
from advisor.evaluate.worth import relative_seconds, worth

BEGIN, END = "<!-- live:begin -->", "<!-- live:end -->"
_NONE = "-"
_COST_NOTE = (
    "Seconds are those of probes and of the steps of all trainings that a contender chose by, over "
    f"those of one training by {COPIED_ENTRY[0]} on the same task: the geometric mean over tasks, "
    "as measured beside other processes and on different days. Those of refine are of its whole "
    "call, validations included. What was not timed has none."
)
_SPEED_NOTE = (
    "All but the two columns in seconds counts passes. Seconds are passes at the pace of the same "
    "training (the whole budget where it misses the target), and those of probes: the geometric "
    "mean over tasks, as measured beside other processes and on different days."
)


@dataclass(frozen=True)
class Section:
    """One table.

    Attributes:
        title: What it tells, as a line of text.
        rows: Header and rows, all of one length.
        note: What has to be known to read it, as a line under it; empty where nothing has.
    """

    title: str
    rows: list[list[str]]
    note: str = ""


def live_sections(results: LiveResults, report: Report | None = None) -> tuple[Section, ...]:
    """All tables of the live evaluation; one that has no rows is left out.

    Args:
        results: The live evaluation.
        report: The replay, for the marks that it gives.
    """
    table = per_task(results)
    sections = (
        Section("Marks", _mark_rows(results, report), _edition_note(results, report)),
        Section(
            "Mean normalized test regret over tasks after full trainings "
            "(95 % interval by bootstrap over data sets) / median",
            _regret_rows(table),
        ),
        Section(
            "What a few full trainings are worth in trials of TPE", _worth_rows(table), _COST_NOTE
        ),
        Section(
            "One recommendation against others; negative differences are better", _pair_rows(table)
        ),
        Section(
            "Time to the target in passes: speed-up, and share of tasks on which it takes at most "
            "so many times as long as the fastest",
            _speed_rows(table),
            _SPEED_NOTE,
        ),
    )
    return tuple(section for section in sections if len(section.rows) > 1)


def live_markdown(results: LiveResults, report: Report | None = None) -> str:
    """Tables and facts as Markdown."""
    blocks = []
    for section in live_sections(results, report):
        header, *rows = [[cell.replace("|", r"\|") for cell in row] for row in section.rows]
        lines = [f"**{section.title}**", "", _line(header), "|" + "---|" * len(header)]
        noted = ["", section.note] if section.note else []
        blocks.append("\n".join([*lines, *map(_line, rows), *noted]))
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    edition = f"knowledge base of {results.edition}; " if results.edition else ""
    made = (
        f"made by `{results.made_by}` on {results.date}, seed {results.seed}; {edition}{versions}"
    )
    blocks.append("\n".join(f"- {fact}" for fact in [*live_facts(results), made]))
    return "\n\n".join(blocks)


def write_readme(path: Path, results: LiveResults, report: Report | None = None) -> None:
    """Put the tables between the marks in a README.

    Raises:
        UserError: The file has no marks, or cannot be written.
    """
    between_marks(path, BEGIN, END, live_markdown(results, report))


def _mark_rows(results: LiveResults, report: Report | None) -> list[list[str]]:
    rows = [["mark", "goal", "measured", "reached", "by", "why, and what was tried"]]
    for mark in marks(report, results):
        rows.append(
            [mark.name, mark.goal, mark.measured, mark.verdict, mark.source, mark.why or _NONE]
        )
    return rows


def _edition_note(results: LiveResults, report: Report | None) -> str:
    """Which knowledge bases replay and live trainings rest on, where that is not one."""
    if report is None or report.edition == results.edition:
        return ""
    if not results.edition:
        return (
            f"The marks by replay are of the knowledge base of {report.edition}; the live results "
            "do not tell theirs."
        )
    return (
        f"The marks by replay are of another edition of the knowledge base ({report.edition}) than "
        f"those by live trainings ({results.edition})."
    )


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
    rows = [
        ["contender", "full runs", "cost in full trainings",
         f"seconds over those of {COPIED_ENTRY[0]}", "worth in trials of TPE"],
    ]  # fmt: skip
    for entry in _chosen_by_hand(table):
        found = worth(table, entry)
        if found is None:
            continue
        cost = float(np.nanmean(table.passes[entry]))
        told = found.shown()
        if found.tasks < len(table.tasks):
            told += f", {found.tasks} tasks"
        timed = relative_seconds(table, entry, COPIED_ENTRY)
        seconds = _NONE if timed is None else f"{timed:.2f}"
        rows.append([entry[0], str(entry[1]), f"{cost:.2f}", seconds, told])
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
             f"{pair.losses}{of}", probability(pair.p), probability(pair.holm),
             rank(pair.other)]
        )  # fmt: skip
    if len(rows) > 1 and ADVICE in compared(table):
        rows.append([f"({ADVICE[0]} itself)", "1", *[_NONE] * 5, rank(ADVICE)])
    return rows


def _speed_rows(table: PerTask) -> list[list[str]]:
    rows = [
        ["contender", "over AdamW 1e-3 cosine", "in seconds", "over the single best recipe",
         "in seconds", "reached", "score", *(f"{ratio} x" for ratio in RATIOS)],
    ]  # fmt: skip
    for profile in profiles(table):
        rows.append(
            [profile.entry[0], *_ratios(table, profile.entry, COPIED_ENTRY),
             *_ratios(table, profile.entry, SINGLE_BEST_ENTRY), f"{profile.reached:.0%}",
             f"{profile.score:.2f}", *(f"{profile.share(ratio):.0%}" for ratio in RATIOS)]
        )  # fmt: skip
    return rows


def _ratios(table: PerTask, entry: TableEntry, over: TableEntry) -> Iterator[str]:
    """The speed-up in passes, with its interval, and in seconds."""
    passes = speed_up(table, entry, over)
    yield _NONE if passes is None else passes.shown()
    seconds = speed_up(table, entry, over, "seconds")
    yield _NONE if seconds is None else f"{seconds.ratio:.1f}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
