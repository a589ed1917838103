"""What a refinement is to lower: by the goal of its advice, with a target that is measured once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from advisor.advice import Advice
from advisor.attempt import try_training
from advisor.candidates import Applicable
from advisor.goal import Goal, parse_goal
from advisor.refine_objective import DIVERGED, EndResult, Objective, TimeToTarget
from advisor.shipped import load_shipped
from advisor.step_time import seconds_a_pass
from knowledge_base.reference import COPIED
from probes.errors import UserError
from probes.profile import FACTS_ONLY, Profile
from probes.recipe.schema import Recipe
from probes.run import Run
from probes.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from optuna import Study

ASKED = "as asked"
_KEY = "target"


def goal_of(advice: Advice) -> Goal:
    """The goal that an advice was asked with.

    Raises:
        UserError: Its file names none, or a target that makes no sense.
    """
    return parse_goal(advice.goal, advice.target)


def objective_of(
    advice: Advice, task: Task, study: Study, test: Applicable, *, seed: int, device: str,
    models: Path, say: Callable[[str], None],
) -> tuple[Objective, str, float]:  # fmt: skip
    """How the runs of a study are valued.

    With goal "fastest" and no target of the user's, it is the loss that AdamW 1e-3 with a cosine
    ends at: one training tells, and the study keeps it, as all its values rest on it.

    Args:
        advice: What is refined.
        task: The task.
        study: Where the target is kept.
        test: Tells whether that training keeps to the limit of memory.
        seed: Of the training.
        device: "cpu", "cuda", ...
        models: Folder of the meta-models, which know what a step takes.
        say: Told of the target.

    Returns:
        The objective, where its target comes from in words (empty without one), and the passes
        spent.

    Raises:
        UserError: AdamW 1e-3 cosine cannot train the task or exceeds the limit of memory, or the
            advice lacks its profile.
    """
    goal = goal_of(advice)
    if goal.name == "best":
        return EndResult(), "", 0.0
    passes = 0.0
    if goal.target is not None:
        target, origin = goal.target, ASKED
    else:
        if _KEY not in study.user_attrs:
            if large := test.too_large(COPIED):
                raise UserError(
                    "max_memory for AdamW 1e-3 cosine, whose result is the target",
                    f"one below: it {large}", "ask recommend with a target of your own",
                )  # fmt: skip
            say("one training by AdamW 1e-3 cosine sets the target")
            loss, passes = _copied_loss(task, seed, device)
            origin = f"what AdamW 1e-3 cosine ended at with seed {seed}"
            study.set_user_attr(_KEY, {"loss": loss, "origin": origin})
        target, origin = study.user_attrs[_KEY]["loss"], study.user_attrs[_KEY]["origin"]
    say(f"target: a validation loss of {target:.4g}, {origin}")
    try:
        profile = Profile.model_validate({**advice.profile, "device": device})
    except ValidationError:
        raise UserError(
            "advice with the profile of its task", "one without it", "run recommend again"
        ) from None
    prepared, loaded = task.prepared, load_shipped(FACTS_ONLY, models)

    @cache
    def a_pass(recipe: Recipe) -> float:
        return seconds_a_pass(recipe, loaded, prepared, profile)

    objective = TimeToTarget(target, prepared.steps, prepared.batch_size, a_pass)
    return objective, origin, passes


def _copied_loss(task: Task, seed: int, device: str) -> tuple[float, float]:
    """The final validation loss of AdamW 1e-3 cosine, and the passes it cost."""
    run = try_training(task, COPIED, seed=seed, device=device, watcher=lambda point: False)
    judged = EndResult().judge(run, COPIED) if isinstance(run, Run) else None
    if not isinstance(run, Run) or judged is None or judged.loss >= DIVERGED:
        why = "it diverged" if isinstance(run, Run) else str(run)
        raise UserError(
            "a task that AdamW 1e-3 cosine can train, whose result is the target", why,
            "ask recommend with a target of your own",
        )  # fmt: skip
    return judged.loss, run.passes
