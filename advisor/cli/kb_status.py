"""``advisor kb status``: what a pack or a store holds."""

from __future__ import annotations

import argparse
from typing import Any

from advisor.cli import arguments as arg
from advisor.cli.output import duration, facts, json_text, size
from probes.errors import UserError


def add(commands: arg.Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "status", help="what the knowledge base holds",
        description="Counts what the knowledge base holds, and beside it what was imported into "
        "the cache directory, and checks the files' hashes. With "
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
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> str:
    """Give the counts as text."""
    from pathlib import Path

    from advisor.cli.kb_counts import counts, store_counts
    from advisor.cli.kb_failures import damaged_lines, failure_lines
    from advisor.cli.kb_imported import imported_counts, imported_shown
    from knowledge_base.importers import default_folder
    from knowledge_base.journal import default_store
    from knowledge_base.store import SHIPPED

    if chosen.store is not None and chosen.pack is not None:
        raise UserError("--store or --pack", "both", "leave one out")
    if chosen.store is not None:
        found = store_counts(Path(chosen.store or default_store()))
    else:
        imported = imported_counts(default_folder())
        found = {**counts(chosen.pack or SHIPPED), "imported": imported}
    if chosen.json:
        return json_text(found)
    shown = {**found, "bytes": size(found["bytes"])}
    failed, damaged = shown.pop("failures", []), shown.pop("damaged_lines", [])
    if "discounted" in found:
        shown["discounted"] = f"{len(found['discounted'])} tasks (--json names them, with reasons)"
    shown.update(imported_shown(shown.pop("imported", {})))
    if "build" in found:
        shown["build"] = _progress(found["build"])
    return "\n".join([facts(shown), *damaged_lines(damaged), *failure_lines(failed)])


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
