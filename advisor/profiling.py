"""The profile that a budget pays for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from advisor.budget import Budget
from advisor.goal import Goal
from advisor.race import least_passes
from advisor.race_run import validation_passes
from advisor.shipped import tier_within
from knowledge_base.reference import COPIED
from probes.measures.base import TIERS
from probes.profile import FACTS_ONLY, Profile, take_profile
from probes.task import Task

ENOUGH = 0.1
"""Share of one full training that is enough for a profile where races could take the rest."""


class Probed(NamedTuple):
    """What probing found and cost.

    Attributes:
        profile: The profile.
        passes: All passes spent on the way.
        next_passes: Passes that a further probe could have taken after it, where the budget is in
            seconds: as many as the measured time of one says that fit; else None.
    """

    profile: Profile
    passes: float
    next_passes: float | None = None


def profile_within(
    task: Task, limit: Budget, tiers: Sequence[int], goal: Goal, device: str, seed: int,
    begin: float, say: Callable[[str], None],
) -> Probed:  # fmt: skip
    """The profile that the budget pays for, and what it cost.

    Only tiers that the meta-model knows are taken: a longer probe than any known task had would
    cost passes and tell nothing. Seconds are spent by climbing the tiers while the next one is
    expected to fit. Who wants a target soonest is not kept waiting by probes: facts of model and
    data alone are taken whatever the budget.

    Args:
        task: What to measure.
        limit: The whole budget.
        tiers: Tiers of the fitted meta-models.
        goal: With "best", races may follow and are left what they need; with "fastest" no probe is
            run, and a target of the user's costs a step and the validations around it.
        device: Where to measure.
        seed: Of weights, batch order and noise.
        begin: Value of ``time.perf_counter()`` at which a budget in seconds began.
        say: Told what is going on.
    """
    steps = task.prepared.steps
    if goal.name == "fastest":
        say("no probes: every pass would put the target off")
        profile = take_profile(task, tier=FACTS_ONLY, seed=seed, device=device)
        if goal.target is not None:
            profile = _with_untrained_loss(task, profile, seed, device)
        return Probed(profile, profile.passes)
    if limit.share is not None:
        allowed = passes_for_profile(limit.share * steps, steps, tiers, lambda: least_passes(task))
        tier = tier_within(allowed, tiers)
        say(_saying(tier, allowed))
        profile = take_profile(task, tier=tier, seed=seed, device=device)
        return Probed(profile, profile.passes)
    assert limit.seconds is not None  # noqa: S101 - a budget is one of the two
    profile, spent = take_profile(task, tier=FACTS_ONLY, seed=seed, device=device), 0.0
    spent += profile.passes
    per_pass = _seconds_a_pass(task, device, seed)
    spent += 2.0
    for tier in tiers:
        if tier == FACTS_ONLY:
            continue
        if tier > _passes_left(limit.seconds, begin, per_pass, steps):
            break
        say(_saying(tier, tier))
        profile = take_profile(task, tier=tier, seed=seed, device=device)
        spent += profile.passes
        per_pass = profile.seconds / max(profile.passes, 1.0)
    return Probed(profile, spent, _passes_left(limit.seconds, begin, per_pass, steps))


def _passes_left(seconds: float, begin: float, per_pass: float, steps: int) -> float:
    """Passes that the next probe may take: what fits, and at most half of a training.

    Args:
        seconds: The whole budget.
        begin: When it began.
        per_pass: Measured wall time of a pass.
        steps: Passes of one full training.
    """
    left = seconds - (time.perf_counter() - begin)
    return min(left / max(per_pass, 1e-9), max(steps // 2, TIERS[0]))


def paid_tier(task: Task, limit: Budget, tiers: Sequence[int], goal: Goal, probed: Probed) -> int:
    """The largest of some tiers that ``profile_within`` would take if it were fitted.

    Args:
        task: What would be measured.
        limit: The whole budget.
        tiers: Tiers to choose from.
        goal: With "fastest" it is always 0.
        probed: What was measured: of a budget in seconds it tells what was left to go on with.
    """
    steps = task.prepared.steps
    if goal.name == "fastest":
        return FACTS_ONLY
    if limit.share is None:
        return tier_within(probed.next_passes or 0.0, tiers)
    passes = limit.share * steps
    return tier_within(passes_for_profile(passes, steps, tiers, lambda: least_passes(task)), tiers)


def _with_untrained_loss(task: Task, profile: Profile, seed: int, device: str) -> Profile:
    """The profile with the validation loss before training, which a target is compared with.

    Charged with the step that the training loop takes and the validations around it.
    """
    from probes.training import train

    run = train(task, COPIED, seed=seed, device=device, stop_after=1, points=0,
                evaluate="validation")  # fmt: skip
    values = {**profile.values, "landmark.initial_loss": run.initial["loss"]}
    spent = profile.passes + run.passes + 2 * validation_passes(task)
    return profile.model_copy(update={"values": values, "passes": spent})


def passes_for_profile(
    passes: float, steps: int, tiers: Sequence[int], races: Callable[[], float]
) -> float:
    """What of a budget in passes the profile may cost.

    All of it, unless a smallest probe and two races fit into it: then as much as by default, a
    tenth of a training, so that the rest goes into races.

    Args:
        passes: The budget.
        steps: Passes of one full training.
        tiers: Tiers of the fitted meta-models.
        races: Tells the passes that races need at least; asked only where they could fit.
    """
    smallest = min((tier for tier in tiers if tier != FACTS_ONLY), default=None)
    if smallest is None or passes < smallest + steps / 2:
        return passes
    left = passes - races()
    return passes if left < smallest else min(max(ENOUGH * steps, smallest), left)


def _saying(tier: int, passes: float) -> str:
    if tier == FACTS_ONLY:
        return (
            f"the budget pays for {passes:.0f} passes, fewer than the {TIERS[0]} of the smallest "
            "probe: going by facts of model and data alone"
        )
    return f"probing: {tier} passes at most"


def _seconds_a_pass(task: Task, device: str, seed: int) -> float:
    """Wall time of a training step, after one to warm up."""
    from probes.training import train

    run = None
    for _ in range(2):
        run = train(task, COPIED, seed=seed, device=device, stop_after=1, points=0,
                    evaluate="nothing")  # fmt: skip
    assert run is not None  # noqa: S101
    return run.seconds_per_step
