"""The builder: runs recipes on benchmark tasks in parallel and loses no finished run.

Stages, each resumed from what the journal holds: the reference set on every task; recipes searched
per task; further seeds of each task's best ten and of the landmarks; profiles at every tier that
fits. Workers are one-thread processes without state; the parent alone writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knowledge_base.journal import Journal
from knowledge_base.pool import Pool
from knowledge_base.reference import reference_recipes
from knowledge_base.stages import STAGES, Plan, State
from knowledge_base.tasks import task_row, task_rows
from knowledge_base.work import Item, run_item
from probes.errors import unknown_name
from probes.recipe.schema import Recipe

__all__ = ["Item", "Plan", "Progress", "State", "build", "run_item"]


@dataclass
class Progress:
    """What a builder has done and still has to do, told to ``report`` after each item."""

    total: int = 0
    done: int = 0
    failed: int = 0
    stage: str = ""
    report: Callable[[Progress], None] = field(default=lambda progress: None, repr=False)

    def advance(self, kind: str) -> None:
        """Count one finished item."""
        self.done += 1
        self.failed += kind == "refused"
        self.report(self)


def build(
    store: Path,
    *,
    tasks: Iterable[str] | None = None,
    searched: int = 30,
    workers: int | None = None,
    stages: Iterable[str] = tuple(STAGES),
    retake_profiles: bool = False,
    recipes: Sequence[Recipe] | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> State:
    """Run what is missing in a store and return what it then holds.

    Args:
        store: The journal's path.
        tasks: Names of benchmark tasks; None for all.
        searched: Recipes searched per task.
        workers: Processes; None for one a core.
        stages: Which stages to run.
        retake_profiles: Take profiles again that the store has.
        recipes: The recipes every task runs; None for the reference set.
        report: Told of progress.

    Raises:
        UserError: An unknown task or stage, or a store that another builder holds.
    """
    plan = Plan(
        names=tuple(task_row(name).name for name in (tasks or task_rows())),
        searched=searched,
        recipes=tuple(reference_recipes() if recipes is None else recipes),
    )
    stages = tuple(stages)
    for stage in stages:
        if stage not in STAGES:
            raise unknown_name("a stage of the build", stage, STAGES)
    with Journal(store) as journal:
        state = State.of(journal)
        if retake_profiles:
            state.profiles.clear()
        progress = Progress(report=report)
        pool = Pool(workers or os.cpu_count() or 1)
        try:
            for stage in stages:
                source = STAGES[stage](state, plan)
                progress.stage, progress.total, progress.done = stage, len(source), 0
                for item, kind, record in pool.work(source.take):
                    _store(journal, state, item, kind, record)
                    source.told(item, kind, record)
                    progress.advance(kind)
        finally:
            pool.close()
    return state


def _store(journal: Journal, state: State, item: Item, kind: str, record: dict[str, Any]) -> None:
    if kind == "run" and record["recipe"] not in state.recipes:
        recipe = {"key": record["recipe"],
                  "recipe": Recipe.model_validate_json(item.recipe).plain()}  # fmt: skip
        journal.append("recipe", recipe)
        state.add("recipe", recipe)
    journal.append(kind, record)
    state.add(kind, record)
