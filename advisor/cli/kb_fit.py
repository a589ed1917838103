"""``advisor kb fit``: the meta-model trained anew."""

from __future__ import annotations

import argparse

from advisor.cli import arguments as arg
from advisor.cli.output import facts, json_text, say


def add(commands: arg.Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "fit", help="train the shipped meta-model anew",
        description="Trains the meta-model, and the rule that ends trials, on the shipped "
        "knowledge base and writes them beside it, or to a folder of your own for --models.",
    )  # fmt: skip
    parser.add_argument(
        "--out", metavar="DIR", action=arg.Checked, check=arg.folder_to_make,
        help="write them there (default: the package)",
    )  # fmt: skip
    arg.add_json(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> str:
    """Train the meta-model and give a summary as text."""
    from advisor.curve_fit import fit_curves
    from advisor.shipped import fit_shipped

    summary = fit_shipped(folder=chosen.out, report=say)
    fit_curves(folder=chosen.out)
    if chosen.json:
        return json_text(summary)
    return facts(summary)
