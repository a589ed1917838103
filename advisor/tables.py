"""An answer for people: what ``print`` and the command line show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.refine_objective import DIVERGED
from advisor.wording import amount, columns, duration, goal_in_words, limit_in_words, size

if TYPE_CHECKING:
    from advisor.advice import Advice, Candidate
    from advisor.tuned import Finalist, Tuned

_SHOWN = 3


def advice_table(advice: Advice) -> str:
    """The whole ranking, a line each, and what it rests on."""
    soonest = any(one.cost.to_target is not None for one in advice.ranking)
    header = ["RANK", *(["TO TARGET"] * soonest), "SCORE", "90 % INTERVAL", "A STEP", "RECIPE"]
    rows = [
        [str(rank), *([_share(one)] * soonest), f"{one.expected.score:.3f}",
         f"{one.expected.low:.3f} to {one.expected.high:.3f}", _step(one),
         one.recipe.describe()]
        for rank, one in enumerate(advice.ranking, start=1)
    ]  # fmt: skip
    basis = _basis(advice)
    if soonest:
        basis.append(
            "to target: predicted share of the budget's passes; ranked by that x the time of a "
            "step over AdamW's, from the knowledge base or the table of prices"
        )
    return "\n".join([_task(advice), "", columns([header, *rows]), "", *basis])


def advice_details(advice: Advice) -> str:
    """The first of the ranking with cost and evidence, and what it rests on."""
    lines = [_task(advice), *(f"  {note}" for note in advice.task.notes)]
    for rank, candidate in enumerate(advice.ranking[:_SHOWN], start=1):
        lines += ["", *_candidate(rank, candidate)]
    more = len(advice.ranking) - _SHOWN
    if more > 0:
        lines += ["", f"({more} more in the ranking)"]
    return "\n".join([*lines, "", *_basis(advice)])


def tuned_table(tuned: Tuned) -> str:
    """The finalists, a line each, and what the search cost."""
    soonest = tuned.goal == "fastest"
    header = ["RANK", *(["TIME", "TO TARGET PER FRESH SEED"] * soonest), "MEDIAN",
              "VALIDATION LOSS PER FRESH SEED", "FROM", "RECIPE"]  # fmt: skip
    rows = [
        [str(rank), *(_times(one) if soonest else ()), _loss(one.median),
         " ".join(map(_loss, one.validation)), one.origin, one.recipe.describe()]
        for rank, one in enumerate(tuned.ranking, start=1)
    ]  # fmt: skip
    closing = [goal_in_words(tuned.goal, tuned.target)]
    if soonest:
        closing[0] += f" ({tuned.target_origin}), where a run ends"
        closing.append(
            "time: median time to the target, in full trainings by AdamW at predicted seconds a "
            "step; to target: share of the budget's passes"
        )
    if tuned.max_memory is not None:
        closing.append(limit_in_words(tuned.max_memory))
    closing += [
        f"{tuned.trials} trials, {tuned.pruned} of them pruned; "
        f"{amount(tuned.passes)} passes in {duration(tuned.seconds)}"
    ]
    if tuned.stopped:
        closing.append(f"stopped: {tuned.stopped}")
    elif tuned.expected_gain is not None:
        gain = 100 * tuned.expected_gain
        noun = "shortest time" if soonest else "best loss"
        closing.append(f"one more trial is expected to lower the {noun} by {gain:.2g} %")
    return "\n".join([columns([header, *rows]), "", *closing])


def _times(one: Finalist) -> list[str]:
    shares = ["missed" if share is None else f"{share:.1%}" for share in one.to_target or ()]
    return ["missed" if one.time is None else amount(one.time), " ".join(shares)]


def _loss(value: float) -> str:
    return amount(value) if value < DIVERGED else "failed"


def _task(advice: Advice) -> str:
    task = advice.task
    metric = f", metric {task.metric}" if task.metric else ""
    samples = "an unknown number of" if task.train_samples is None else task.train_samples
    return (
        f"{task.name}: {samples} training samples, {task.steps} steps of "
        f"{task.batch_size} on {task.device}, loss {task.loss}{metric}"
    )


def _basis(advice: Advice) -> list[str]:
    probe = advice.probe
    limits = [] if advice.max_memory is None else [limit_in_words(advice.max_memory)]
    return [
        f"probe: {amount(probe.passes)} passes in {duration(probe.seconds)}, "
        f"{probe.share:.1%} of one full training",
        goal_in_words(advice.goal, advice.target),
        *limits,
        f"{'abstained' if advice.abstained else 'why'}: {advice.reason}",
        "score: expected regret; 0 is the best known recipe, 1 an untrained model",
    ]


def _step(candidate: Candidate) -> str:
    """Seconds of a step; where no training step was timed, how many of AdamW's it takes as long."""
    cost = candidate.cost
    if cost.seconds_per_step is not None:
        return duration(cost.seconds_per_step)
    return "-" if cost.step_ratio is None else f"{cost.step_ratio:.2f} x AdamW's"


def _share(candidate: Candidate) -> str:
    share = candidate.cost.to_target
    return "-" if share is None else f"{share:.1%}"


def _candidate(rank: int, candidate: Candidate) -> list[str]:
    expected, cost = candidate.expected, candidate.cost
    passes = "pass" if cost.passes_per_step == 1 else "passes"
    time = "" if _step(candidate) == "-" else f"{_step(candidate)} and "
    soon = "" if cost.to_target is None else f"the target after {_share(candidate)} of the budget; "
    return [
        f"{rank}. {candidate.recipe.describe()}",
        f"   {soon}expected score {expected.score:.3f} "
        f"({expected.low:.3f} to {expected.high:.3f}); "
        f"{time}{cost.passes_per_step:g} {passes} a step, "
        f"{size(cost.state_bytes)} of optimizer state",
        *(f"   - {line}" for line in candidate.evidence),
    ]
