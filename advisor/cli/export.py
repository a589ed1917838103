"""``advisor export``: a recipe as a file that others run."""

from __future__ import annotations

import argparse

from advisor.cli import arguments as arg
from advisor.cli.output import say
from probes.errors import UserError


def add(commands: arg.Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "export", help="write a recipe as PyTorch code, YAML or JSON",
        description="Writes one recipe of an advice or tuned file in another form.",
    )  # fmt: skip
    parser.add_argument("file", metavar="FILE", help="advice.json, tuned.json or a recipe file")
    arg.add_rank(parser)
    parser.add_argument("--to", metavar="FORMAT", required=True, help="torch, yaml or json")
    parser.add_argument(
        "--out", metavar="FILE", action=arg.Checked, check=arg.out_file,
        help="where to write (default: standard output)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> str:
    """Write the file, or give its text where no file is named."""
    from advisor.advice import load_ranked
    from advisor.export import export

    arg.not_an_input(chosen.out, chosen.file)
    recipe, facts = load_ranked(chosen.file, chosen.rank)
    batch_size = facts.batch_size if facts else recipe.batch_size
    if batch_size is None:
        raise UserError(
            "a recipe file with a batch_size (only an advice or tuned file knows the task's)",
            f"{chosen.file} without one", "add batch_size to it",
        )  # fmt: skip
    text = export(
        recipe, chosen.out, chosen.to, batch_size=batch_size,
        steps=facts.steps if facts else None, task_name=facts.name if facts else "",
    )  # fmt: skip
    if chosen.out is None:
        return text
    say(f"wrote {chosen.out}")
    return ""
