"""``advisor recommend``: the ranking of recipes for a task."""

from __future__ import annotations

import argparse
import time

from advisor.budget import parse_budget
from advisor.cli import arguments as arg
from advisor.cli.output import duration, say
from probes.errors import UserError

GOALS = ("best", "fastest")


def add(commands: arg.Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "recommend", help="probe a task and rank recipes for it",
        description="Probes how the task behaves under short trainings, recalls what served "
        "similar tasks, and ranks recipes.",
    )  # fmt: skip
    arg.add_task(parser)
    parser.add_argument(
        "--budget", metavar="B", action=arg.Checked, check=_budget, default="10%",
        help="what probing may cost: 10%% of one full training (the default), or 60s",
    )  # fmt: skip
    parser.add_argument(
        "--goal", metavar="G", action=arg.Checked, check=arg.one_of("a goal", GOALS),
        default="best", help="best (result at the end, the default) or fastest (to the "
        "target, in seconds as predicted: how long a step takes over one of AdamW is taken from "
        "the knowledge base or the table of prices, and nothing is timed)",
    )  # fmt: skip
    parser.add_argument(
        "--target", metavar="X", action=arg.Checked, check=arg.number("target"),
        help="for --goal fastest: the validation loss to reach",
    )  # fmt: skip
    arg.add_max_memory(parser, "default: no limit; probes are not held to it")
    arg.add_steps(parser)
    arg.add_device(parser)
    arg.add_seed(parser, "seed of the probes")
    arg.add_models(parser)
    parser.add_argument(
        "--out", metavar="FILE", action=arg.Checked, check=arg.out_file,
        help="also write the advice here, as JSON",
    )  # fmt: skip
    parser.add_argument(
        "--explain", action="store_true",
        help="also say what was measured, which tasks speak for the first recipe, what the "
        "runner-up is and what it would cost to be sure",
    )  # fmt: skip
    arg.add_json(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> str:
    """Recommend and give the advice as text."""
    if chosen.target is not None and chosen.goal != "fastest":
        raise UserError("--goal fastest with --target", f"--goal {chosen.goal}", "add or drop one")
    from probes.device import resolve_device

    arg.not_an_input(chosen.out, chosen.task)
    resolve_device(chosen.device)
    from advisor.cli.load_task import load_task
    from advisor.recommender import recommend
    from advisor.tables import advice_details

    task = load_task(chosen.task)
    budget = _what_is_left(chosen.budget, time.monotonic() - chosen.began)
    advice = recommend(
        task, budget=budget, goal=chosen.goal, target=chosen.target,
        max_memory=chosen.max_memory, steps=chosen.steps, device=chosen.device, seed=chosen.seed,
        progress=say, models=chosen.models, explain=chosen.explain,
    )  # fmt: skip
    if chosen.out is not None:
        advice.save(chosen.out)
        say(f"wrote {chosen.out}")
    if chosen.json:
        return advice.to_json()
    return advice_details(advice) + (f"\n\n{advice.explain()}" if chosen.explain else "")


def _budget(text: str) -> str:
    parse_budget(text)
    return text


def _what_is_left(text: str, spent: float) -> str:
    """A budget in seconds less those that starting up took; a share stays what it is."""
    seconds = parse_budget(text).seconds
    if seconds is None:
        return text
    say(f"starting up took {duration(spent)} of the {duration(seconds)}")
    return f"{max(seconds - spent, 0.001):.3f}s"
