"""``advisor refine``: search on from the ranking."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from advisor.budget import parse_seconds
from advisor.cli import arguments as arg
from advisor.cli.output import amount, columns, duration, say

if TYPE_CHECKING:
    from advisor.advice import Tuned


def add(commands: arg.Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "refine", help="search on from the ranking of an advice",
        description="An Optuna study that begins with the ranking; the best are trained again on "
        "fresh seeds before one of them is named best. That is N trials, the first five of them "
        "the ranking's own recipes as they are, and at most 12 final trainings (4 recipes on 3 "
        "seeds), each one full training unless it is ended early.",
    )  # fmt: skip
    parser.add_argument("advice", metavar="ADVICE", help="advice.json, written by recommend --out")
    parser.add_argument(
        "--task", metavar="TASK", required=True,
        help="the task the advice is for: path/to/file.py:function or package.module:function",
    )  # fmt: skip
    parser.add_argument(
        "--trials", metavar="N", action=arg.Checked, check=arg.whole("trials", 1), default=25,
        help="trials that this call adds (default 25)",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", metavar="T", action=arg.Checked, check=parse_seconds,
        help="for everything, such as 600s",
    )  # fmt: skip
    parser.add_argument(
        "--storage", metavar="URL", help="Optuna storage to keep the study in and resume it from"
    )
    arg.add_seed(parser, "seed of the search")
    parser.add_argument(
        "--out", metavar="FILE", action=arg.Checked, check=arg.out_file,
        help="also write the tuned recipes here, as JSON",
    )  # fmt: skip
    arg.add_json(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> str:
    """Refine and give the finalists as text."""
    from advisor.advice import Advice
    from advisor.cli.load_task import load_task

    advice = Advice.load(chosen.advice)
    tuned = advice.refine(
        trials=chosen.trials, timeout=chosen.timeout, storage=chosen.storage,
        task=load_task(chosen.task), seed=chosen.seed, progress=True,
    )  # fmt: skip
    if chosen.out is not None:
        tuned.save(chosen.out)
        say(f"wrote {chosen.out}")
    return tuned.to_json() if chosen.json else _for_people(tuned)


def _for_people(tuned: Tuned) -> str:
    header = ["RANK", "MEDIAN", "VALIDATION LOSS PER FRESH SEED", "FROM", "RECIPE"]
    rows = [
        [str(rank), amount(one.median), " ".join(map(amount, one.validation)), one.origin,
         one.recipe.describe()]
        for rank, one in enumerate(tuned.ranking, start=1)
    ]  # fmt: skip
    return "\n".join(
        [
            columns([header, *rows]),
            "",
            f"{tuned.trials} trials, {tuned.pruned} of them pruned; "
            f"{amount(tuned.passes)} passes in {duration(tuned.seconds)}",
        ]
    )
