"""``advisor probe``: the profile of a task alone."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from advisor.budget import Budget, parse_budget
from advisor.cli import arguments as arg
from advisor.cli.output import amount, columns, duration, json_text, say
from probes.errors import UserError

if TYPE_CHECKING:
    from probes.profile import Profile
    from probes.task import Task


def add(commands: arg.Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "probe", help="measure how a task behaves under training",
        description="The profile of a task, without a recommendation.",
    )  # fmt: skip
    arg.add_task(parser)
    parser.add_argument(
        "--budget", metavar="B", action=arg.Checked, check=parse_budget,
        help="what probing may cost: 10%% of one full training (the default), or 60s",
    )  # fmt: skip
    parser.add_argument(
        "--tier", metavar="N", action=arg.Checked, check=arg.whole("tier", 1),
        help="passes to spend, one of the fixed tiers, instead of --budget",
    )  # fmt: skip
    arg.add_device(parser)
    arg.add_seed(parser, "seed of the probes")
    arg.add_json(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> str:
    """Take the profile and give it as text."""
    if chosen.tier is not None and chosen.budget is not None:
        raise UserError("--budget or --tier", "both", "leave one out")
    from advisor.cli.load_task import load_task
    from probes.device import resolve_device
    from probes.measures.base import TIERS
    from probes.profile import tier_for

    if chosen.tier not in (None, *TIERS):
        tiers = ", ".join(map(str, TIERS))
        raise UserError(f"a tier of {tiers} passes", str(chosen.tier), "choose one of these")
    device = resolve_device(chosen.device)
    task = load_task(chosen.task)
    budget = chosen.budget or Budget(share=0.1, seconds=None)
    if chosen.tier is not None:
        profile = _taken(task, chosen.tier, chosen.seed, device)
    elif budget.share is not None:
        tier = tier_for(budget.share * task.prepared.steps)
        profile = _taken(task, tier, chosen.seed, device)
    else:
        profile = _within_seconds(task, budget.seconds or 0.0, chosen.seed, device)
    if chosen.json:
        return json_text({"task": task.name, **profile.model_dump(mode="json", by_alias=True)})
    return _for_people(task, profile)


def _within_seconds(task: Task, seconds: float, seed: int, device: str) -> Profile:
    """The smallest tier, and then, judged by what it took, the largest that fits what is left."""
    from probes.measures.base import TIERS
    from probes.profile import tier_for

    first = _taken(task, TIERS[0], seed, device)
    per_pass = first.seconds / max(first.passes, 1.0)
    tier = tier_for((seconds - first.seconds) / max(per_pass, 1e-9))
    return _taken(task, tier, seed, device) if tier > TIERS[0] else first


def _taken(task: Task, tier: int, seed: int, device: str) -> Profile:
    from probes.profile import take_profile

    say(f"probing {task.name} with {tier} passes")
    return take_profile(task, tier=tier, seed=seed, device=device)


def _for_people(task: Task, profile: Profile) -> str:
    rows = [[name, amount(value)] for name, value in sorted(profile.values.items())]
    lines = [columns([["MEASURE", "VALUE"], *rows])]
    if profile.missing:
        lines += ["", "without a value:"]
        lines += [f"  {name}: {why}" for name, why in sorted(profile.missing.items())]
    lines += [
        "",
        f"{task.name}: tier {profile.tier}, {amount(profile.passes)} passes in "
        f"{duration(profile.seconds)}",
    ]
    return "\n".join(lines)
