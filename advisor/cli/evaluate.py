"""``advisor evaluate``: how good the advice is, by replay on the knowledge base or by live runs."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from advisor.cli import arguments as arg
from advisor.cli.output import columns, json_text, say
from probes.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from advisor.evaluate.report import Report

_LIVE = (
    "store",
    "trials",
    "studies",
    "tasks",
    "contenders",
    "opt_list",
    "long",
    "replay",
)
"""Arguments that mean something with --live alone."""


def add(commands: arg.Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "evaluate", help="measure how good the advice is",
        description="Replays the knowledge base with data sets (and model families) left out, "
        "beside what anyone would try; or, with --live, lets the advice and searches compete in "
        "real trainings.",
    )  # fmt: skip
    arg.add_seed(parser, "seed of the models, the searches and the random baselines")
    parser.add_argument(
        "--readme", metavar="FILE", action=arg.Checked, check=arg.old_file,
        help="also write the tables into this file, between their marks",
    )  # fmt: skip
    parser.add_argument(
        "--workers", metavar="N", action=arg.Checked, check=arg.whole("workers", 1),
        help="processes (default: one a core)",
    )  # fmt: skip
    parser.add_argument(
        "--out", metavar="FILE", action=arg.Checked, check=arg.out_file,
        help="write all results as JSON",
    )  # fmt: skip
    parser.add_argument(
        "--figure", metavar="FILE", action=arg.Checked, check=arg.out_file,
        help="draw the results as SVG",
    )  # fmt: skip
    parser.add_argument(
        "--ablations", action="store_true",
        help="replay also without each probe, with other tasks' profiles, with less knowledge",
    )  # fmt: skip
    _add_live(parser)
    arg.add_json(parser)
    parser.set_defaults(run=run)


def _add_live(parser: arg.Parser) -> None:
    parser.add_argument("--live", action="store_true", help="train for real on left-out tasks")
    parser.add_argument(
        "--store", metavar="FOLDER", action=arg.Checked, check=arg.folder_to_make,
        help="with --live: keeps what was trained, so that a later call goes on (default live)",
    )  # fmt: skip
    parser.add_argument(
        "--trials", metavar="N", action=arg.Checked, check=arg.whole("trials", 1),
        help="with --live: trainings of each cold search (default 100)",
    )  # fmt: skip
    parser.add_argument(
        "--studies", metavar="N", action=arg.Checked, check=arg.whole("studies", 1),
        help="with --live: repetitions of each cold search on each task (default 2)",
    )  # fmt: skip
    parser.add_argument(
        "--tasks", metavar="A,B", action=arg.Checked, check=_names(","),
        help="with --live: only these live tasks",
    )  # fmt: skip
    parser.add_argument(
        "--contenders", metavar="A;B", action=arg.Checked, check=_names(";"),
        help="with --live: only these; their names may hold commas, so semicolons part them",
    )  # fmt: skip
    parser.add_argument(
        "--long",
        action="store_true",
        default=None,
        help="with --live: GP, QMC and Hyperband take part as well and, where installed, the peers",
    )
    parser.add_argument(
        "--opt-list", metavar="FILE", action=arg.Checked, check=arg.old_file,
        help="with --live: the learned list of NAdamW configurations, which then takes part",
    )  # fmt: skip
    parser.add_argument(
        "--replay", metavar="FILE", action=arg.Checked, check=arg.old_file,
        help="with --live: what a replay wrote by --out, for the marks that it gives",
    )  # fmt: skip


def _names(separator: str) -> Callable[[str], list[str]]:
    def check(text: str) -> list[str]:
        names = [name.strip() for name in text.split(separator) if name.strip()]
        if not names:
            raise UserError(f"names parted by {separator!r}", repr(text), "give at least one")
        return names

    return check


def run(chosen: argparse.Namespace) -> str:
    """Replay, or compete, and give the table as text."""
    if chosen.live:
        if chosen.ablations:
            raise UserError("--ablations with a replay", "--live", "leave one of them out")
        return _run_live(chosen)
    for name in _LIVE:
        if getattr(chosen, name) is not None:
            flag = "--" + name.replace("_", "-")
            raise UserError(f"{flag} with --live", "a replay", f"add --live or leave {flag} out")
    from advisor.evaluate import replay
    from advisor.evaluate.blocks import around_marks
    from advisor.evaluate.replay_figure import replay_figure
    from advisor.evaluate.report import BEGIN, END
    from probes.files import write_text

    if chosen.readme is not None:
        around_marks(chosen.readme, BEGIN, END)
    workers = chosen.workers or os.cpu_count() or 1
    report = replay(seed=chosen.seed, report=say, workers=workers, ablations=chosen.ablations)
    if chosen.out is not None:
        write_text(chosen.out, report.model_dump_json(indent=1) + "\n")
        say(f"wrote {chosen.out}")
    if chosen.figure is not None:
        write_text(chosen.figure, replay_figure(report))
        say(f"wrote {chosen.figure}")
    if chosen.readme is not None:
        report.write_readme(chosen.readme)
        say(f"wrote {chosen.readme}")
    if chosen.json:
        return json_text(report.model_dump(mode="json", by_alias=True))
    parts = [columns(report.table()), "\n".join(report.facts())]
    if report.ablations is not None:
        parts += [columns(report.ablations.table()), "\n".join(report.ablations.facts())]
    return "\n\n".join(parts)


def _read_report(path: Path) -> Report:
    from pydantic import ValidationError

    from advisor.evaluate.report import Report

    try:
        return Report.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError):
        raise UserError(
            "what advisor evaluate --out of this release writes", str(path),
            "make it anew, or leave --replay out",
        ) from None  # fmt: skip


def _run_live(chosen: argparse.Namespace) -> str:
    from pathlib import Path

    from advisor.evaluate.blocks import around_marks
    from advisor.evaluate.figure import figure
    from advisor.evaluate.live import run_live
    from advisor.evaluate.live_facts import live_facts
    from advisor.evaluate.live_report import BEGIN, END, live_sections, write_readme
    from probes.files import write_text

    report = None if chosen.replay is None else _read_report(chosen.replay)
    if chosen.readme is not None:
        around_marks(chosen.readme, BEGIN, END)  # before hours of training
    results = run_live(
        chosen.store or Path("live"), tasks=chosen.tasks, trials=chosen.trials or 100,
        studies=chosen.studies or 2, contenders=chosen.contenders, opt_list=chosen.opt_list,
        seed=chosen.seed, workers=chosen.workers, report=say, long=bool(chosen.long),
    )  # fmt: skip
    if chosen.out is not None:
        write_text(chosen.out, results.model_dump_json(indent=1) + "\n")
        say(f"wrote {chosen.out}")
    if chosen.figure is not None:
        write_text(chosen.figure, figure(results))
        say(f"wrote {chosen.figure}")
    if chosen.readme is not None:
        write_readme(chosen.readme, results, report)
        say(f"wrote {chosen.readme}")
    if chosen.json:
        return json_text(results.model_dump(mode="json"))
    sections = [
        "\n".join(filter(None, (found.title, columns(found.rows), found.note)))
        for found in live_sections(results, report)
    ]
    return "\n\n".join([*sections, "\n".join(live_facts(results))])
