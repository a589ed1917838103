"""``advisor evaluate``: how good the advice is, by replay on the knowledge base."""

from __future__ import annotations

import argparse

from advisor.cli import arguments as arg
from advisor.cli.output import columns, json_text, say


def add(commands: arg.Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "evaluate", help="measure how good the advice is",
        description="Replays the knowledge base with data sets (and model families) left out, "
        "beside what anyone would try.",
    )  # fmt: skip
    arg.add_seed(parser, "seed of the models and the random baselines")
    parser.add_argument(
        "--readme", metavar="FILE", action=arg.Checked, check=arg.old_file,
        help="also write the table into this file, between its marks",
    )  # fmt: skip
    arg.add_json(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> str:
    """Replay and give the table as text."""
    from advisor.evaluate import replay

    report = replay(seed=chosen.seed, report=say)
    if chosen.readme is not None:
        report.write_readme(chosen.readme)
        say(f"wrote {chosen.readme}")
    if chosen.json:
        return json_text(report.model_dump(mode="json", by_alias=True))
    return columns(report.table())
