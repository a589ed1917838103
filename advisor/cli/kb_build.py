"""``advisor kb build``: run recipes on the benchmark tasks."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from advisor.cli import arguments as arg
from advisor.cli.output import ProgressLine, facts, json_text, say
from probes.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from knowledge_base.build import Progress

EXECUTORS = ("local", "ray")
TIERS = ("cpu", "gpu")
STAGES = ("reference", "searched", "repeat", "profiles")


def add(commands: arg.Commands) -> None:
    """Describe the command."""
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
        help="the tasks to run where none are named: of 0.2 to 2 seconds on one core, with larger "
        "forms of ten of them, or of minutes on a GPU, which run a handful of recipes (default "
        "cpu)",
    )  # fmt: skip
    parser.add_argument(
        "--device", metavar="D", default="cpu", help="where to train: cpu, cuda, ... (default cpu)"
    )
    parser.add_argument(
        "--searched", metavar="N", action=arg.Checked, check=arg.whole("searched", 0), default=60,
        help="recipes searched per task, as many as the shipped runs have (default 60)",
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
        "--pack", metavar="DIR", action=arg.Checked, check=arg.folder_to_make,
        help="afterwards write the store there as Parquet and JSON with a manifest; files of these "
        "names that are no pack's are never written over",
    )  # fmt: skip
    arg.add_json(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> str:
    """Build, pack where asked to, and give the counts of the store as text."""
    if chosen.profiles_only and chosen.stages is not None:
        raise UserError("--stages or --profiles-only", "both", "leave one out")
    from advisor.cli.kb_failures import damaged_lines, failure_lines, failures
    from knowledge_base.build import available_tasks, build, tasks_of
    from knowledge_base.journal import Journal, default_store
    from knowledge_base.limits import Limits
    from knowledge_base.store import SHIPPED, check_pack_place, pack
    from knowledge_base.tasks import task_row
    from probes.device import resolve_device

    if chosen.pack is not None:
        check_pack_place(chosen.pack)
    store = chosen.store or default_store()
    line = ProgressLine()

    def report(progress: Progress) -> None:
        told = {"refused": progress.refused, "failed": progress.failed}
        note = ", ".join(f"{count} {kind}" for kind, count in told.items() if count)
        line.show(progress.stage, progress.done, progress.total, note)

    for name in chosen.tasks or ():
        task_row(name)  # an unknown one is told before anything else is
    left_out = set(tasks_of(chosen.tier)) - set(available_tasks(chosen.tier))
    if chosen.tasks is None and left_out:
        say(f"left out, for want of $ADVISOR_DATA: {', '.join(sorted(left_out))}")
    shipped = (SHIPPED / "manifest.json").exists()
    say(f"store {store}; the rows of the data sets are compared first, half a minute for all")
    state = build(
        store, tasks=chosen.tasks, searched=chosen.searched, workers=chosen.workers,
        stages=("profiles",) if chosen.profiles_only else chosen.stages or STAGES,
        retake_profiles=chosen.retake_profiles, report=report, warn=say, executor=chosen.executor,
        seed_from=SHIPPED if shipped and not chosen.fresh else None,
        limits=Limits(seconds=chosen.time_limit), retry_failed=chosen.retry_failed,
        tier=chosen.tier, device=resolve_device(chosen.device),
    )  # fmt: skip
    failed = failures(state)
    for told in (*damaged_lines(state.damaged), *failure_lines(failed)):
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
    return facts(done)


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
