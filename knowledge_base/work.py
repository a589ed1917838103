"""One piece of the builder's work, done in a worker: a run of a recipe on a task, or a profile."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge_base.limits import Limits, OutOfTimeError, limited
from knowledge_base.records import Role, RunRecord
from probes.errors import UserError, shown
from probes.recipe.schema import Recipe

if TYPE_CHECKING:  # who only hands work out, or starts a worker, need not wait for torch
    from probes.run import Run
    from probes.task import Task

POINTS = 12
"""Validations along a learning curve."""
_KEPT = 8
_TASKS: dict[str, Task] = {}


@dataclass(frozen=True)
class Item:
    """One piece of work: a run, or a profile where ``tier`` is set.

    Attributes:
        task: The benchmark task.
        recipe: As JSON.
        seed: Of the run or profile.
        role: Why the recipe is run.
        tier: The profile's tier, or 0 for a run.
        trial: The search's number for it, or -1.
        device: Where to train.
        others: Further runs on this task, which may be trained at once with this one.
    """

    task: str
    recipe: str = "{}"
    seed: int = 0
    role: Role = "reference"
    tier: int = 0
    trial: int = -1
    device: str = "cpu"
    others: tuple[Item, ...] = ()

    def singles(self) -> list[Item]:
        """This run and the others, each as an item of its own."""
        return [replace(self, others=()), *self.others]


Result = tuple[Item, str, dict[str, Any]]
"""A piece of work, the kind of record it gave, and the record."""
SEVERAL = "several"
"""Kind of the result of an item with others: its record holds ``results`` and, as items, what is
``left``."""


def attempt(item: Item, limits: Limits) -> Result:
    """Do one piece of work within limits, whatever becomes of it.

    Returns:
        What ``run_item`` does; a record of kind "failed" where the work raised or ran out of time,
        and of kind "stop" where it cannot go on before the user has done something.
    """
    if item.others:
        results, left = _attempt_together(item.singles(), limits)
        return item, SEVERAL, {"results": results, "left": left}
    try:
        with limited(limits):
            return run_item(item)
    except OutOfTimeError:
        return item, "failed", failure(item, f"not done after {limits.seconds:g} seconds")
    except UserError as error:  # it would not come through pickle
        return item, "stop", {"expected": error.expected, "got": error.got, "fix": error.fix}
    except ImportError as error:  # every other piece of work would end like this one
        fix = "install optimizer-advisor anew, in the workers' environment"
        return item, "stop", {"expected": "a whole installation", "got": str(error), "fix": fix}
    except Exception as error:  # a method's own trouble with a model is a fact to record
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        reason = f"{type(error).__name__}: {shown(str(error))} at {where}"
        return item, "failed", failure(item, reason)


def _attempt_together(items: list[Item], limits: Limits) -> tuple[list[Result], list[Item]]:
    """The first stack of runs on one task that is faster than they are alone, or the first run.

    A worker says at once what it has finished: one that dies costs the runs in flight alone.

    Returns:
        Results, and what is left: further stacks as an item each, and the runs to be done alone.
    """
    stacks = [[item] for item in items]
    results: list[Result] = []
    try:
        with limited(Limits(limits.seconds * len(items), limits.memory)):
            stacks = _stacks(items)
            if len(stacks[0]) > 1:
                results = _trained_together(stacks[0])
    except (Exception, OutOfTimeError):  # whatever it is, it will come again where it belongs
        stacks = [[item] for item in items]
    left = [replace(stack[0], others=tuple(stack[1:])) for stack in stacks[1:]]
    return results or [attempt(stacks[0][0], limits)], left


def _trained_together(items: list[Item]) -> list[Result]:
    from probes.stacked import train_many

    recipes = [Recipe.model_validate_json(item.recipe) for item in items]
    members = [(recipe, item.seed) for recipe, item in zip(recipes, items, strict=True)]
    task = built_task(items[0].task)
    runs = train_many(task, members, device=items[0].device, points=POINTS)
    # A member has no wall time of its own.
    return [
        (item, "run", _record(item, recipe.key, replace(run, seconds_per_step=float("nan"))))
        for item, recipe, run in zip(items, recipes, runs, strict=True)
    ]


def _stacks(items: list[Item]) -> list[list[Item]]:
    """The runs by what is trained at once: stacks in front, then each of the others alone."""
    import torch

    from probes.stacked import can_stack, choose, kind_of_stack
    from probes.stacked.checks import stack_size
    from probes.stacked.loop import cut

    torch.set_num_threads(1)
    task = built_task(items[0].task)
    kinds: dict[str, list[tuple[Item, tuple[Recipe, int]]]] = {}
    for item in items:
        recipe = Recipe.model_validate_json(item.recipe)
        if can_stack(task, recipe) is None:
            kinds.setdefault(kind_of_stack(task, recipe), []).append((item, (recipe, item.seed)))
    stacks = []
    for alike in kinds.values():
        recipe, _ = alike[0][1]
        for part in cut(alike, stack_size(task, recipe)):
            members = [member for _, member in part]
            if choose(task, members, device=items[0].device) != "single":
                stacks.append([item for item, _ in part])
    stacked = {item for stack in stacks for item in stack}
    return [*stacks, *([item] for item in items if item not in stacked)]


def failure(item: Item, reason: str) -> dict[str, Any]:
    """The record of a piece of work that gave no result."""
    key = "" if item.tier else Recipe.model_validate_json(item.recipe).key
    return {"task": item.task, "recipe": key, "seed": item.seed, "tier": item.tier,
            "reason": reason}  # fmt: skip


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

        profile = take_profile(task, tier=item.tier, seed=item.seed, device=item.device)
        record = {"task": item.task, "tier": item.tier, "seed": item.seed,
                  "profile": profile.model_dump(mode="json")}  # fmt: skip
        return item, "profile", record
    recipe = Recipe.model_validate_json(item.recipe)
    try:
        run = train(task, recipe, seed=item.seed, device=item.device, points=POINTS)
    except UserError as error:
        return item, "refused", {"task": item.task, "recipe": recipe.key, "reason": str(error)}
    return item, "run", _record(item, recipe.key, run)


def _record(item: Item, key: str, run: Run) -> dict[str, Any]:
    metrics = [name for name in run.initial if name != "loss"]
    test = run.test or {}
    return RunRecord(
        task=item.task, recipe=key, seed=item.seed, role=item.role,
        initial=run.initial["loss"], final=float("nan") if run.diverged else run.final["loss"],
        test=test.get("loss", float("nan")),
        metric=run.final[metrics[0]] if metrics else float("nan"),
        test_metric=test.get(metrics[0], float("nan")) if metrics else float("nan"),
        steps=run.steps, passes=run.passes, seconds_per_step=run.seconds_per_step,
        diverged=run.diverged, curve_steps=tuple(point.step for point in run.curve),
        curve_validation=tuple(round(point.validation["loss"], 6) for point in run.curve),
        curve_train=tuple(round(point.train_loss, 6) for point in run.curve),
    ).model_dump()  # fmt: skip


def built_task(name: str) -> Task:
    """The benchmark task of that name; a process keeps the last few it made."""
    from knowledge_base.tasks import make_task, task_row

    if name not in _TASKS:
        while len(_TASKS) >= _KEPT:
            _TASKS.pop(next(iter(_TASKS)))
        _TASKS[name] = make_task(task_row(name))
    return _TASKS[name]
