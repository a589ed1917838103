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
    from probes.measures.base import TIERS
    from probes.profile import take_profile
    from probes.task import resolve_device

    if chosen.tier not in (None, *TIERS):
        tiers = ", ".join(map(str, TIERS))
        raise UserError(f"a tier of {tiers} passes", str(chosen.tier), "choose one of these")
    device = resolve_device(chosen.device)
    task = load_task(chosen.task)
    tier = chosen.tier
    if tier is None:
        tier = _tier(task, chosen.budget or Budget(share=0.1, seconds=None), chosen.seed, device)
    say(f"probing {task.name} at tier {tier}")
    profile = take_profile(task, tier=tier, seed=chosen.seed, device=device)
    if chosen.json:
        return json_text({"task": task.name, **profile.model_dump(mode="json")})
    return _for_people(task, profile)


def _tier(task: Task, budget: Budget, seed: int, device: str) -> int:
    """The tier a budget pays for; for seconds, by what the smallest tier was seen to take."""
    from probes.measures.base import TIERS
    from probes.profile import take_profile, tier_for

    if budget.share is not None:
        return tier_for(budget.share * task.prepared.steps)
    first = take_profile(task, tier=TIERS[0], seed=seed, device=device)
    left = (budget.seconds or 0.0) - first.seconds
    return tier_for(left * first.passes / max(first.seconds, 1e-9))


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
