"""The builder: runs recipes on benchmark tasks in parallel and loses no finished run.

Stages, each resumed from what the journal holds: the reference set on every task; recipes searched
per task; further seeds of each task's best ten and of the landmarks; profiles at every tier that
fits. Steps of ladders run a few recipes of the set and are profiled, no more. Workers are
one-thread processes without state, here or on a cluster; the parent alone writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knowledge_base.executor import Executor, make_executor, work
from knowledge_base.journal import Journal
from knowledge_base.ladders import ladder_rows, large_rows
from knowledge_base.limits import Limits
from knowledge_base.recorded_rows import note_rows
from knowledge_base.reference import landmarks, reference_recipes
from knowledge_base.seed import seed_journal
from knowledge_base.stages import STAGES, Plan, Source
from knowledge_base.state import State
from knowledge_base.tasks import TaskRow, Tier, task_row, task_rows, why_unavailable
from knowledge_base.work import Item, Result, run_item
from probes.errors import UserError, unknown_name
from probes.recipe.schema import Recipe

__all__ = ["Item", "Plan", "Progress", "State", "build", "run_item", "run_source"]

FAILURES_IN_A_ROW = 20
"""So many pieces of work that fail one after the other are a broken installation, not bad luck."""


@dataclass
class Progress:
    """What a builder has done and still has to do, told to ``report`` after each item.

    Attributes:
        total: Pieces of work of the stage.
        done: Those that came back, whatever became of them.
        refused: Those whose recipe cannot serve the task.
        failed: Those that crashed or ran out of time.
        stage: The stage's name.
        began: Seconds since 1970 at which it began.
    """

    total: int = 0
    done: int = 0
    refused: int = 0
    failed: int = 0
    stage: str = ""
    began: float = 0.0
    report: Callable[[Progress], None] = field(default=lambda progress: None, repr=False)

    def advance(self, kind: str) -> None:
        """Count one finished item."""
        self.done += 1
        self.refused += kind == "refused"
        self.failed += kind == "failed"
        self.report(self)


def build(
    store: Path,
    *,
    tasks: Iterable[str] | None = None,
    searched: int = 60,
    workers: int | None = None,
    stages: Iterable[str] = tuple(STAGES),
    retake_profiles: bool = False,
    recipes: Sequence[Recipe] | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    warn: Callable[[str], None] = lambda text: None,
    seed_from: Path | None = None,
    executor: str = "local",
    limits: Limits | None = None,
    retry_failed: bool = False,
    tier: Tier = "cpu",
    device: str = "cpu",
) -> State:
    """Run what is missing in a store and return what it then holds.

    Args:
        store: The journal's path.
        tasks: Names of benchmark tasks; None for all of the tier whose data are at hand, with the
            steps of the ladders in the CPU tier.
        searched: Recipes searched per task.
        workers: Processes; None for one a core.
        stages: Which stages to run.
        retake_profiles: Take profiles again that the store has.
        recipes: The recipes every task runs; None for the reference set, or for the landmarks in
            the GPU tier, where a run takes minutes. With None a step of a ladder runs the few of
            ``ladder_recipes`` and is neither searched nor repeated.
        report: Told of progress.
        warn: Told, before any run, which data sets have other rows than the recorded runs were
            made on.
        seed_from: A packed knowledge base whose contents a store that holds nothing begins with.
        executor: "local" or "ray".
        limits: What one piece of work may take.
        retry_failed: Do again what failed in an earlier build.
        tier: Which tasks, where none are named.
        device: Where to train; beside a GPU one worker is enough.

    Raises:
        UserError: An unknown task, stage or executor, a store that another builder holds, or a
            build in which everything fails.
    """
    names = [task_row(name).name for name in (tasks or available_tasks(tier))]
    large: tuple[str, ...] = ()
    if recipes is None:
        recipes = reference_recipes() if tier == "cpu" else landmarks()
        large = tuple(name for name in names if name in ladder_rows())
    plan = Plan(
        names=tuple(name for name in names if name not in large),
        searched=searched,
        recipes=tuple(recipes),
        device=device,
        large=large,
    )
    stages = tuple(stages)
    for stage in stages:
        if stage not in STAGES:
            raise unknown_name("a stage of the build", stage, STAGES)
    workers_of = make_executor(executor, workers, limits or Limits())
    try:
        with Journal(store) as journal:
            state = State.of(journal) if seed_from is None else seed_journal(journal, seed_from)
            changed = note_rows(journal, state, (task_row(name).dataset for name in names))
            if changed:
                warn(
                    f"recorded runs were made on other rows of {', '.join(changed)}: give another "
                    "--store and --fresh to run anew on the rows of this release"
                )
            if retake_profiles:
                state.profiles.clear()
            if retry_failed:
                state.failed.clear()
            progress = Progress(report=report)
            for stage in stages:
                source = STAGES[stage](state, plan)
                run_source(stage, source, journal, state, progress, workers_of)
    finally:
        workers_of.close()
    return state


def tasks_of(tier: Tier) -> dict[str, TaskRow]:
    """What a build of a tier runs, by name: its tasks, and in the CPU tier the larger steps."""
    return {**task_rows(tier), **(large_rows() if tier == "cpu" else {})}


def available_tasks(tier: Tier = "cpu") -> list[str]:
    """Names of what a build of the tier runs, where the data are at hand or can be fetched."""
    return [name for name, row in tasks_of(tier).items() if why_unavailable(row) is None]


def run_source(
    stage: str,
    source: Source,
    journal: Journal,
    state: State,
    progress: Progress,
    executor: Executor,
) -> None:
    """Do what a stage has to do; each result is on the disk before the next is asked for."""
    progress.stage, progress.total, progress.began = stage, len(source), time.time()
    progress.done = progress.refused = progress.failed = 0
    if not progress.total:
        return
    began = {"stage": stage, "total": progress.total, "began": progress.began}
    journal.append("stage", began)
    state.add("stage", began)
    in_a_row = 0
    for results in work(executor, source.take):
        _store(journal, state, results)
        for item, kind, record in results:
            source.told(item, kind, record)
            progress.advance(kind)
            in_a_row = in_a_row + 1 if kind == "failed" else 0
            if in_a_row == FAILURES_IN_A_ROW:
                raise UserError(
                    "runs that end", f"{in_a_row} failures in a row, the last: {record['reason']}",
                    "mend the cause and start again with --retry-failed",
                )  # fmt: skip


def _store(journal: Journal, state: State, results: Iterable[Result]) -> None:
    records: list[tuple[str, dict[str, Any]]] = []
    known = set(state.recipes)
    for item, kind, record in results:
        if not item.tier and record["recipe"] not in known:
            known.add(record["recipe"])
            plain = Recipe.model_validate_json(item.recipe).plain()
            records.append(("recipe", {"key": record["recipe"], "recipe": plain}))
        records.append((kind, record))
    journal.extend(records)
    for kind, record in records:
        state.add(kind, record)
