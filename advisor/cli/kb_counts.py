"""What a packed knowledge base, or a store that is being built, holds, in numbers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knowledge_base.distinct import Discounted
    from knowledge_base.state import Stage


def counts(folder: Path) -> dict[str, Any]:
    """Numbers of a packed knowledge base, whose hashes are checked first.

    Returns:
        ``tasks``, ``datasets``, ``families``, ``gpu_tasks`` of the tasks, ``ladder_steps`` beside
        them, ``runs``, ``curves`` (runs with a learning curve),
        ``recipes``, ``profiles``, ``seeds`` (different ones), ``counted``: how many tasks are not
        among the ``discounted``, which add nothing of their own, each with the reason, and
        ``counted_in_time``, those of the CPU tier among them whose full run took 0.3 to 2 seconds,
        ``reference_cells``: what became of the reference recipes on these tasks (``run``,
        ``refused``, ``missing``), ``diverged`` runs and their
        ``diverged_share``, ``refused`` pairs of task and recipe, runs by role (``reference``,
        ``searched``, ``repeat``), ``bytes`` of its files, ``bytes_per_run`` of the file of runs,
        and ``tiers``: profiles by tier.

    Raises:
        UserError: There is no packed knowledge base, or its files were changed.
    """
    from knowledge_base.distinct import discounted_in
    from knowledge_base.store import (
        check_hashes,
        load_profiles,
        load_recipes,
        load_refused,
        load_runs,
    )

    files = check_hashes(folder)
    columns = [
        "task", "recipe", "seed", "role", "diverged", "curve_steps", "seconds_per_step"
    ]  # fmt: skip
    runs = load_runs(folder, columns)
    profiles = load_profiles(folder)
    number = len(runs["task"])
    places, refused, recipes = _places(runs["task"]), load_refused(folder), load_recipes(folder)
    paces = zip(runs["task"], runs["recipe"], runs["seconds_per_step"], strict=True)
    return {
        **places,
        "runs": number,
        "curves": sum(len(curve) > 0 for curve in runs["curve_steps"]),
        "recipes": len(recipes),
        "profiles": len(profiles),
        "seeds": len({int(seed) for seed in runs["seed"]}),
        **_counted(runs["task"], discounted_in(folder), paces, recipes),
        **_cells(zip(runs["task"], runs["recipe"], runs["seed"], strict=True), refused),
        **_ends(number, int(runs["diverged"].sum()), len(refused)),
        **_roles(runs["role"]),
        "bytes": sum(file.stat().st_size for file in files),
        "bytes_per_run": (folder / "runs.parquet").stat().st_size / max(number, 1),
        "tiers": _tiers(profile["tier"] for profile in profiles),
    }


def store_counts(store: Path) -> dict[str, Any]:
    """Numbers of a store (the journal of a build), whether or not a builder is at work on it.

    Returns:
        What ``counts`` gives, ``bytes_per_run`` apart, ``failed`` pieces of work,
        ``failures`` (each with its reason), ``damaged``, the number of
        lines set aside, ``damaged_lines`` (each in words), and ``build``: the stage that
        began last, None before the first. That has ``stage``, ``running``, ``done`` and ``total``
        pieces of work, ``failed`` of them, ``per_second`` and ``seconds_left`` (None where no
        builder is at work or nothing is done yet).

    Raises:
        UserError: There is no such store, it cannot be read, or it is something else.
    """
    from advisor.cli.kb_failures import failures
    from knowledge_base.distinct import discounted_of
    from knowledge_base.journal import Journal
    from knowledge_base.state import State
    from probes.errors import UserError

    journal = Journal(store)
    state = State.of(journal)
    if not store.exists():
        raise UserError("the store of a build", f"no {store}", "run advisor kb build")
    runs = list(state.runs.values())
    places = _places(run["task"] for run in runs)
    return {
        **places,
        "runs": len(runs),
        "curves": sum(len(run["curve_steps"]) > 0 for run in runs),
        "recipes": len(state.recipes),
        "profiles": len(state.profiles),
        "seeds": len({run["seed"] for run in runs}),
        **_counted(
            (run["task"] for run in runs),
            discounted_of(runs),
            ((run["task"], run["recipe"], run["seconds_per_step"]) for run in runs),
            state.recipes,
        ),
        **_cells(state.runs, state.refused),
        **_ends(len(runs), sum(run["diverged"] for run in runs), len(state.refused)),
        "failed": len(state.failed),
        "failures": failures(state),
        "damaged": len(state.damaged),
        "damaged_lines": list(state.damaged),
        **_roles(run["role"] for run in runs),
        "bytes": store.stat().st_size,
        "tiers": _tiers(tier for _, tier, _ in state.profiles),
        "build": _build(state.stage, journal.held()),
    }


def _build(stage: Stage | None, running: bool) -> dict[str, Any] | None:
    """How far the last stage is; records have no time, so only a builder at work has a rate."""
    if stage is None:
        return None
    seconds = time.time() - stage.began
    rate = stage.done / seconds if running and stage.done and seconds > 0 else None
    left = max(stage.total - stage.done, 0)
    return {
        "stage": stage.name,
        "running": running,
        "done": stage.done,
        "total": stage.total,
        "failed": stage.failed,
        "per_second": rate,
        "seconds_left": left / rate if rate else None,
    }


def _places(names: Iterable[Any]) -> dict[str, int]:
    """Tasks, data sets and families; a task that this release does not have counts as a task.

    A step of a ladder is a task at another size: it is counted apart, and so are, once more, the
    tasks of the GPU tier.
    """
    from knowledge_base.ladders import ladder_rows
    from knowledge_base.tasks import task_rows

    gpu, ladders = task_rows("gpu"), ladder_rows()
    known = {**task_rows(), **gpu}
    found = {str(name) for name in names}
    rows = [known[name] for name in found if name in known]
    return {
        "tasks": len(found - ladders.keys()),
        "datasets": len({row.dataset for row in rows}),
        "families": len({row.family for row in rows}),
        "gpu_tasks": len(found & gpu.keys()),
        "ladder_steps": len(found & ladders.keys()),
    }


def _counted(
    names: Iterable[Any], left_out: Collection[Discounted],
    paces: Iterable[tuple[str, str, float]], recipes: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """Which tasks add something of their own, and how many of those run in the time they should.

    Args:
        names: Task of each run.
        left_out: The tasks that add nothing.
        paces: Task, recipe and seconds a step of each run.
        recipes: Plain recipes by key.
    """
    from knowledge_base.ladders import ladder_rows
    from knowledge_base.run_seconds import LONG, SHORT, full_run_seconds
    from knowledge_base.tasks import task_rows

    reasons = {item.task: item.reason for item in left_out}
    counted = {str(name) for name in names} - ladder_rows().keys() - reasons.keys()
    own_batches = {key for key, plain in recipes.items() if plain.get("batch_size")}
    seconds = full_run_seconds(paces, own_batches)
    return {
        "counted": len(counted),
        "counted_in_time": sum(
            SHORT <= seconds.get(name, 0.0) <= LONG for name in counted & task_rows().keys()
        ),
        "discounted": reasons,
    }


def _cells(
    runs: Iterable[tuple[str, str, int]], refused: Container[tuple[str, str]]
) -> dict[str, dict[str, int]]:
    """How many reference cells of the tasks that have runs were run, refused or are missing.

    Args:
        runs: Task, key of the recipe, seed.
        refused: Task and key.
    """
    from knowledge_base.cells import reference_cells

    ran = {(str(task), str(key)) for task, key, seed in runs if seed == 0}
    found = Counter(reference_cells({task for task, _ in ran}, ran, refused).values())
    return {"reference_cells": {end: found[end] for end in ("run", "refused", "missing")}}


def _ends(runs: int, diverged: int, refused: int) -> dict[str, float]:
    return {
        "diverged": diverged,
        "diverged_share": round(diverged / max(runs, 1), 4),
        "refused": refused,
    }


def _roles(roles: Iterable[Any]) -> dict[str, int]:
    found = Counter(str(role) for role in roles)
    return {role: found[role] for role in ("reference", "searched", "repeat")}


def _tiers(tiers: Iterable[Any]) -> dict[str, int]:
    found = Counter(int(tier) for tier in tiers)
    return {str(tier): found[tier] for tier in sorted(found)}
