"""One piece of the builder's work, done in a worker: a run of a recipe on a task, or a profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from knowledge_base.journal import Role, RunRecord
from knowledge_base.tasks import make_task, task_row
from probes.errors import UserError
from probes.recipe.schema import Recipe
from probes.task import Task

POINTS = 12
"""Validations along a learning curve."""
_KEPT = 8
_TASKS: dict[str, Task] = {}


@dataclass(frozen=True)
class Item:
    """One piece of work: a run, or a profile where ``tier`` is set."""

    task: str
    recipe: str = "{}"
    seed: int = 0
    role: Role = "reference"
    tier: int = 0
    trial: int = -1


Result = tuple[Item, str, dict[str, Any]]
"""A piece of work, the kind of record it gave, and the record."""


def run_item(item: Item) -> Result:
    """Do one piece of work in this process; returns (item, kind of record, record).

    A recipe that cannot serve the task gives a record of kind "refused" with the reason.
    """
    import torch

    from probes.training import train

    torch.set_num_threads(1)
    task = built_task(item.task)
    if item.tier:
        from probes.profile import take_profile

        profile = take_profile(task, tier=item.tier, seed=item.seed, device="cpu")
        record = {"task": item.task, "tier": item.tier, "seed": item.seed,
                  "profile": profile.model_dump(mode="json")}  # fmt: skip
        return item, "profile", record
    recipe = Recipe.model_validate_json(item.recipe)
    try:
        run = train(task, recipe, seed=item.seed, device="cpu", points=POINTS)
    except UserError as error:
        return item, "refused", {"task": item.task, "recipe": recipe.key, "reason": str(error)}
    metrics = [name for name in run.initial if name != "loss"]
    test = run.test or {}
    record = RunRecord(
        task=item.task, recipe=recipe.key, seed=item.seed, role=item.role,
        initial=run.initial["loss"], final=float("nan") if run.diverged else run.final["loss"],
        test=test.get("loss", float("nan")),
        metric=run.final[metrics[0]] if metrics else float("nan"),
        test_metric=test.get(metrics[0], float("nan")) if metrics else float("nan"),
        steps=run.steps, passes=run.passes, seconds_per_step=run.seconds_per_step,
        diverged=run.diverged, curve_steps=tuple(point.step for point in run.curve),
        curve_validation=tuple(round(point.validation["loss"], 6) for point in run.curve),
        curve_train=tuple(round(point.train_loss, 6) for point in run.curve),
    ).model_dump()  # fmt: skip
    return item, "run", record


def built_task(name: str) -> Task:
    """The benchmark task of that name; a process keeps the last few it made."""
    if name not in _TASKS:
        while len(_TASKS) >= _KEPT:
            _TASKS.pop(next(iter(_TASKS)))
        _TASKS[name] = make_task(task_row(name))
    return _TASKS[name]
