"""``advisor kb``: the knowledge base."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from advisor.cli import arguments as arg
from advisor.cli import kb_findings, kb_import
from advisor.cli.output import ProgressLine, columns, duration, json_text, say, size
from probes.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from knowledge_base.build import Progress

EXECUTORS = ("local", "ray")
TIERS = ("cpu", "gpu")
STAGES = ("reference", "searched", "repeat", "profiles")
_STORE = "journal.log"
_MOST_DAMAGED = 10


def add(commands: arg.Commands) -> None:
    """Describe the commands."""
    parser = commands.add_parser(
        "kb", help="the knowledge base: status, build, import, findings, fit",
        description="What was learned before: runs of many recipes on benchmark tasks.",
    )  # fmt: skip
    below = parser.add_commands()
    _add_status(below)
    _add_build(below)
    kb_import.add(below)
    kb_findings.add(below)
    fit = below.add_parser(
        "fit", help="train the shipped meta-model anew",
        description="Trains the meta-model, and the rule that ends trials, on the shipped "
        "knowledge base and writes them beside it, or to a folder of your own for --models.",
    )  # fmt: skip
    fit.add_argument(
        "--out", metavar="DIR", action=arg.Checked, check=_folder,
        help="write them there (default: the package)",
    )  # fmt: skip
    arg.add_json(fit)
    fit.set_defaults(run=run_fit)


def _add_status(commands: arg.Commands) -> None:
    parser = commands.add_parser(
        "status", help="what the knowledge base holds",
        description="Counts what the knowledge base holds and checks its files' hashes. With "
        "--store it counts what a build has done so far: progress, failures and why, runs a "
        "second and the time left.",
    )  # fmt: skip
    parser.add_argument(
        "--pack", metavar="DIR", action=arg.Checked, check=arg.path,
        help="a packed knowledge base (default: the shipped one)",
    )  # fmt: skip
    parser.add_argument(
        "--store", metavar="FILE", nargs="?", const="", default=None,
        help="the journal of a build (without FILE the default one) in place of a packed one",
    )  # fmt: skip
    arg.add_json(parser)
    parser.set_defaults(run=run_status)


def _add_build(commands: arg.Commands) -> None:
    parser = commands.add_parser(
        "build", help="run recipes on the benchmark tasks",
        description="Runs what a store is missing, in one-thread processes. A new store begins "
        "with the shipped runs. It can be stopped at any moment and started again: no finished run "
        "is lost.",
    )  # fmt: skip
    parser.add_argument(
        "--store", metavar="FILE", action=arg.Checked, check=_store,
        help="the journal of runs (default: journal.log in the cache directory, which is "
        "$ADVISOR_CACHE or ~/.cache/optimizer-advisor)",
    )  # fmt: skip
    parser.add_argument(
        "--tasks", metavar="A,B", action=arg.Checked, check=_names, help="only these tasks"
    )
    parser.add_argument(
        "--tier", action=arg.Checked, check=arg.one_of("a tier of tasks", TIERS), default="cpu",
        metavar="|".join(TIERS),
        help="the tasks to run where none are named: of a second on one core, or of minutes on a "
        "GPU, which run a handful of recipes (default cpu)",
    )  # fmt: skip
    parser.add_argument(
        "--device", metavar="D", default="cpu", help="where to train: cpu, cuda, ... (default cpu)"
    )
    parser.add_argument(
        "--searched", metavar="N", action=arg.Checked, check=arg.whole("searched", 0), default=30,
        help="recipes searched per task (default 30)",
    )  # fmt: skip
    parser.add_argument(
        "--workers", metavar="N", action=arg.Checked, check=arg.whole("workers", 1),
        help="processes (default: one a core)",
    )  # fmt: skip
    parser.add_argument(
        "--stages", metavar="A,B", action=arg.Checked, check=_stages,
        help=f"of {', '.join(STAGES)} (default: all, in this order)",
    )  # fmt: skip
    parser.add_argument(
        "--fresh", action="store_true",
        help="start a new store from nothing, not from the shipped knowledge base",
    )  # fmt: skip
    parser.add_argument(
        "--executor", action=arg.Checked, check=arg.one_of("an executor", EXECUTORS),
        default="local", metavar="|".join(EXECUTORS),
        help="processes on this machine, or a Ray cluster: the one that RAY_ADDRESS names, or one "
        "started for the build (default local)",
    )  # fmt: skip
    parser.add_argument(
        "--time-limit", metavar="SECONDS", action=arg.Checked, check=arg.whole("time-limit", 1),
        default=1800, help="a run that takes longer has failed (default 1800)",
    )  # fmt: skip
    parser.add_argument(
        "--retry-failed", action="store_true", help="do again what failed in an earlier build"
    )
    parser.add_argument("--profiles-only", action="store_true", help="short for --stages profiles")
    parser.add_argument(
        "--retake-profiles", action="store_true", help="take profiles again that the store has"
    )
    parser.add_argument(
        "--pack", metavar="DIR", action=arg.Checked, check=_folder,
        help="afterwards write the store there as Parquet and JSON with a manifest; files of these "
        "names that are no pack's are never written over",
    )  # fmt: skip
    arg.add_json(parser)
    parser.set_defaults(run=run_build)


def run_status(chosen: argparse.Namespace) -> str:
    """Give the counts as text."""
    from pathlib import Path

    from advisor.cli.kb_counts import counts, store_counts
    from advisor.cli.kb_failures import failure_lines
    from knowledge_base.fetch import cache_directory
    from knowledge_base.store import SHIPPED

    if chosen.store is not None and chosen.pack is not None:
        raise UserError("--store or --pack", "both", "leave one out")
    if chosen.store is not None:
        found = store_counts(Path(chosen.store or cache_directory() / _STORE))
    else:
        found = counts(chosen.pack or SHIPPED)
    if chosen.json:
        return json_text(found)
    shown = {**found, "bytes": size(found["bytes"])}
    failed = shown.pop("failures", [])
    if "discounted" in found:
        shown["discounted"] = f"{len(found['discounted'])} tasks (--json names them, with reasons)"
    if "build" in found:
        shown["build"] = _progress(found["build"])
    table = columns([[name, _cell(value)] for name, value in shown.items()])
    return "\n".join([table, *failure_lines(failed)])


def _progress(stage: dict[str, Any] | None) -> str:
    """How far a build is, for people."""
    if stage is None:
        return "nothing yet"
    parts = [f"{stage['stage']} {stage['done']}/{stage['total']}"]
    parts.append("running" if stage["running"] else "not running")
    if stage["failed"]:
        parts.append(f"{stage['failed']} failed")
    if stage["per_second"]:
        parts.append(f"{stage['per_second']:.3g} a second")
    if stage["seconds_left"] is not None:
        parts.append(f"{duration(stage['seconds_left'])} left")
    return ", ".join(parts)


def run_build(chosen: argparse.Namespace) -> str:
    """Build, pack where asked to, and give the counts of the store as text."""
    if chosen.profiles_only and chosen.stages is not None:
        raise UserError("--stages or --profiles-only", "both", "leave one out")
    from advisor.cli.kb_failures import failure_lines, failures
    from knowledge_base.build import available_tasks, build
    from knowledge_base.fetch import cache_directory
    from knowledge_base.journal import Journal
    from knowledge_base.limits import Limits
    from knowledge_base.store import SHIPPED, check_pack_place, pack
    from knowledge_base.tasks import task_row, task_rows
    from probes.device import resolve_device

    if chosen.pack is not None:
        check_pack_place(chosen.pack)
    store = chosen.store or cache_directory() / _STORE
    line = ProgressLine()

    def report(progress: Progress) -> None:
        told = {"refused": progress.refused, "failed": progress.failed}
        note = ", ".join(f"{count} {kind}" for kind, count in told.items() if count)
        line.show(progress.stage, progress.done, progress.total, note)

    for name in chosen.tasks or ():
        task_row(name)  # an unknown one is told before anything else is
    left_out = set(task_rows(chosen.tier)) - set(available_tasks(chosen.tier))
    if chosen.tasks is None and left_out:
        say(f"left out, for want of $ADVISOR_DATA: {', '.join(sorted(left_out))}")
    shipped = (SHIPPED / "manifest.json").exists()
    say(f"store {store}")
    state = build(
        store, tasks=chosen.tasks, searched=chosen.searched, workers=chosen.workers,
        stages=("profiles",) if chosen.profiles_only else chosen.stages or STAGES,
        retake_profiles=chosen.retake_profiles, report=report, warn=say, executor=chosen.executor,
        seed_from=SHIPPED if shipped and not chosen.fresh else None,
        limits=Limits(seconds=chosen.time_limit), retry_failed=chosen.retry_failed,
        tier=chosen.tier, device=resolve_device(chosen.device),
    )  # fmt: skip
    for damaged in state.damaged[:_MOST_DAMAGED]:
        say(damaged)
    if len(state.damaged) > _MOST_DAMAGED:
        say(f"and {len(state.damaged) - _MOST_DAMAGED} more set aside")
    failed = failures(state)
    for told in failure_lines(failed):
        say(told)
    done: dict[str, Any] = {
        "store": str(store), "runs": len(state.runs), "recipes": len(state.recipes),
        "profiles": len(state.profiles), "refused": len(state.refused),
        "failed": len(state.failed), "damaged": len(state.damaged),
    }  # fmt: skip
    if chosen.pack is not None:
        made_by = f"advisor kb build --searched {chosen.searched}"
        done["packed"] = pack(Journal(store), chosen.pack, made_by, _circumstances())["counts"]
        say(f"packed into {chosen.pack}")
    if chosen.json:
        return json_text({**done, "failures": failed})
    return columns([[name, _cell(value)] for name, value in done.items()])


def run_fit(chosen: argparse.Namespace) -> str:
    """Train the meta-model and give a summary as text."""
    from advisor.curve_fit import fit_curves
    from advisor.shipped import fit_shipped

    summary = fit_shipped(folder=chosen.out, report=say)
    fit_curves(folder=chosen.out)
    if chosen.json:
        return json_text(summary)
    return columns([[name, _cell(value)] for name, value in summary.items()])


def _circumstances() -> dict[str, str]:
    """What the runs of a pack depend on, for its manifest."""
    import datetime
    import platform

    import torch

    from advisor import __version__

    return {
        "release": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise UserError("names with commas between them", repr(text), "write them as A,B")
    return names


def _stages(text: str) -> list[str]:
    check = arg.one_of("a stage of the build", STAGES)
    return [check(name) for name in _names(text)]


def _store(text: str) -> Path:
    from pathlib import Path

    path = Path(text)
    if os.path.isdir(path) or not path.name:
        raise UserError("the file of a store", f"{text!r}, a folder", "add a file name")
    return arg.place_to_make(path)


def _folder(text: str) -> Path:
    path = arg.path(text)
    if os.path.exists(path) and not os.path.isdir(path):
        raise UserError("a folder to write into", f"{path}, which is a file", "give another path")
    return arg.place_to_make(path)


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_cell(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_cell, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
