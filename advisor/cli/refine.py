"""``advisor refine``: search on from the ranking."""

from __future__ import annotations

import argparse

from advisor.budget import parse_seconds
from advisor.cli import arguments as arg
from advisor.cli.output import say
from probes.errors import UserError


def add(commands: arg.Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "refine", help="search on from the ranking of an advice",
        description="An Optuna study that begins with the ranking; the best are trained again on "
        "fresh seeds before one of them is named best. That is at most N trials, the first five of "
        "them the ranking's own recipes as they are, and at most 12 final trainings (4 recipes on "
        "3 seeds), each one full training unless it is ended early. Goal and target are those that "
        "the advice was asked with: with goal fastest the least time to the target wins, a run "
        "ends where it reaches the target, and without --target one more training by AdamW 1e-3 "
        "cosine sets it.",
    )  # fmt: skip
    parser.add_argument("advice", metavar="ADVICE", help="advice.json, written by recommend --out")
    parser.add_argument(
        "--task", metavar="TASK", required=True,
        help="the task the advice is for: path/to/file.py:function or package.module:function",
    )  # fmt: skip
    parser.add_argument(
        "--trials", metavar="N", action=arg.Checked, check=arg.whole("trials", 1), default=25,
        help="trials that this call adds at most (default 25)",
    )  # fmt: skip
    parser.add_argument(
        "--min-gain", metavar="SHARE", action=arg.Checked, check=_share, default=0.001,
        help="stop, after ten trials, once one more is expected to lower the loss (or the time to "
        "the target) by less than this share of it (default 0.001); 0 runs all trials",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", metavar="T", action=arg.Checked, check=parse_seconds,
        help="for everything, such as 600s",
    )  # fmt: skip
    parser.add_argument(
        "--storage", metavar="URL", help="Optuna storage to keep the study in and resume it from"
    )
    arg.add_max_memory(parser, "default: the limit that the advice was made with")
    arg.add_seed(parser, "seed of the search")
    arg.add_models(parser)
    parser.add_argument(
        "--out", metavar="FILE", action=arg.Checked, check=arg.out_file,
        help="also write the tuned recipes here, as JSON",
    )  # fmt: skip
    arg.add_json(parser)
    parser.set_defaults(run=run)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = float("nan")
    if not 0 <= share < 1:
        raise UserError("min-gain from 0 up to 1", repr(text), "such as --min-gain 0.001")
    return share


def run(chosen: argparse.Namespace) -> str:
    """Refine and give the finalists as text."""
    from advisor.advice import Advice
    from advisor.cli.load_task import load_task

    arg.not_an_input(chosen.out, chosen.advice, chosen.task)
    advice = Advice.load(chosen.advice)
    try:
        tuned = advice.refine(
            trials=chosen.trials, timeout=chosen.timeout, storage=chosen.storage,
            task=load_task(chosen.task), seed=chosen.seed, progress=True,
            min_gain=chosen.min_gain, models=chosen.models, max_memory=chosen.max_memory,
        )  # fmt: skip
    except KeyboardInterrupt:
        kept = chosen.storage is not None
        say(
            f"finished trials are kept in {chosen.storage}: the same command goes on from them"
            if kept else "finished trials are lost; with --storage FILE they are kept"
        )  # fmt: skip
        raise
    if chosen.out is not None:
        tuned.save(chosen.out)
        say(f"wrote {chosen.out}")
    return tuned.to_json() if chosen.json else str(tuned)
