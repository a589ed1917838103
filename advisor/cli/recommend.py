"""``advisor recommend``: the ranking of recipes for a task."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from advisor.budget import parse_budget
from advisor.cli import arguments as arg
from advisor.cli.output import amount, duration, say, size
from probes.errors import UserError

if TYPE_CHECKING:
    from advisor.advice import Advice, Candidate

GOALS = ("best", "fastest")
_SHOWN = 3


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
        default="best", help="best (result at the end, the default) or fastest (to the target)",
    )  # fmt: skip
    parser.add_argument(
        "--target", metavar="X", action=arg.Checked, check=arg.number("target"),
        help="for --goal fastest: the validation loss to reach",
    )  # fmt: skip
    arg.add_steps(parser)
    arg.add_device(parser)
    arg.add_seed(parser, "seed of the probes")
    parser.add_argument(
        "--out", metavar="FILE", action=arg.Checked, check=arg.out_file,
        help="also write the advice here, as JSON",
    )  # fmt: skip
    arg.add_json(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> str:
    """Recommend and give the advice as text."""
    if chosen.target is not None and chosen.goal != "fastest":
        raise UserError("--goal fastest with --target", f"--goal {chosen.goal}", "add or drop one")
    from probes.device import resolve_device

    resolve_device(chosen.device)
    from advisor.cli.load_task import load_task
    from advisor.recommender import recommend

    task = load_task(chosen.task)
    budget = _what_is_left(chosen.budget, time.monotonic() - chosen.began)
    advice = recommend(
        task, budget=budget, goal=chosen.goal, target=chosen.target, steps=chosen.steps,
        device=chosen.device, seed=chosen.seed, progress=say,
    )  # fmt: skip
    if chosen.out is not None:
        advice.save(chosen.out)
        say(f"wrote {chosen.out}")
    return advice.to_json() if chosen.json else _for_people(advice)


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


def _for_people(advice: Advice) -> str:
    task = advice.task
    metric = f", metric {task.metric}" if task.metric else ""
    samples = "an unknown number of" if task.train_samples is None else task.train_samples
    lines = [
        f"{task.name}: {samples} training samples, {task.steps} steps of "
        f"{task.batch_size} on {task.device}, loss {task.loss}{metric}"
    ]
    lines += [f"  {note}" for note in task.notes]
    for rank, candidate in enumerate(advice.ranking[:_SHOWN], start=1):
        lines += ["", *_candidate(rank, candidate)]
    more = len(advice.ranking) - _SHOWN
    if more > 0:
        lines += ["", f"({more} more in the ranking)"]
    probe = advice.probe
    lines += [
        "",
        f"probe: {amount(probe.passes)} passes in {duration(probe.seconds)}, "
        f"{probe.share:.1%} of one full training",
        f"{'abstained' if advice.abstained else 'why'}: {advice.reason}",
        "score: 0 is the best known recipe, 1 an untrained model",
    ]
    return "\n".join(lines)


def _candidate(rank: int, candidate: Candidate) -> list[str]:
    expected, cost = candidate.expected, candidate.cost
    passes = "pass" if cost.passes_per_step == 1 else "passes"
    time = "" if cost.seconds_per_step is None else f"{duration(cost.seconds_per_step)} and "
    return [
        f"{rank}. {candidate.recipe.describe()}",
        f"   expected score {expected.score:.3f} ({expected.low:.3f} to {expected.high:.3f}); "
        f"{time}{cost.passes_per_step:g} {passes} a step, "
        f"{size(cost.state_bytes)} of optimizer state",
        *(f"   - {line}" for line in candidate.evidence),
    ]
