"""A packed knowledge base whose truth is planted: what each recipe ends with, and how soon."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knowledge_base.journal import Journal
from knowledge_base.records import RunRecord
from knowledge_base.reference import COPIED
from knowledge_base.store import pack
from knowledge_base.tasks import task_rows
from probes.recipe.schema import Recipe

UNTRAINED, BEST = 2.0, 0.1
STEPS = 1000
APART = (
    "mnist5k-cnn-1", "wine-mlp-1", "texture_patches-cnn-1", "breast_cancer-mlp-1",
    "word_language-conv1d-1", "diabetes-mlp-1", "japanese_vowels-tcn-1", "satimage-mlp-1",
    "italy_power_demand-conv1d-1", "texture-mlp-1",
)  # fmt: skip
"""Ten tasks of ten leak groups."""
TOGETHER = tuple(row.name for row in task_rows().values() if row.group == "digits")
"""Many tasks of one leak group."""


@dataclass(frozen=True)
class Run:
    """How a run went.

    Attributes:
        test: Normalized test regret.
        validation: Normalized validation regret, None for the same as test.
        soon: Share of the steps after which the final loss is reached.
        error: Test error.
        diverged: Whether it diverged.
    """

    test: float
    validation: float | None = None
    soon: float = 1.0
    error: float = 0.5
    diverged: bool = False


Truth = Callable[[str, Recipe], Run | None]
"""What a recipe does on a task; None where it did not run."""


def recipe(
    optimizer: str = "sgd", lr: float = 0.1, schedule: str = "cosine", **fields: Any
) -> Recipe:
    return Recipe.parse(
        {"optimizer": {"name": optimizer, "lr": lr}, "schedule": schedule, **fields}
    )


def write(
    folder: Path, recipes: Iterable[Recipe], truth: Truth, tasks: Iterable[str] = APART,
    parameters: float = 1000.0, unprofiled: Iterable[str] = (),
) -> Path:  # fmt: skip
    """Write the store; the recipe that is copied is the best one on every task, so that a planted
    regret is the one that is read; no profile says how large the models of some tasks are."""
    folder.mkdir(exist_ok=True)
    everyone = [COPIED, *recipes]
    tasks, unprofiled = tuple(tasks), tuple(unprofiled)
    with Journal(folder / "journal.log") as journal:
        for one in everyone:
            journal.append("recipe", {"key": one.key, "recipe": one.plain()})
        for task in tasks:
            for one in everyone:
                run = Run(0.0) if one is COPIED else truth(task, one)
                if run is not None:
                    journal.append("run", _record(task, one, run))
                    again = run if one is COPIED else Run(0.9)  # other seeds are not compared
                    journal.append("run", {**_record(task, one, again), "seed": 1})
            profile = {"values": {"model.parameters": parameters}}
            if task not in unprofiled:
                journal.append("profile", {"task": task, "tier": 16, "seed": 0, "profile": profile})
    pack(Journal(folder / "journal.log"), folder / "packed", "a test", {})
    return folder / "packed"


def _record(task: str, recipe: Recipe, run: Run) -> dict[str, Any]:
    nan = float("nan")
    final, test = (
        BEST * (UNTRAINED / BEST) ** regret
        for regret in (run.test if run.validation is None else run.validation, run.test)
    )
    marks = [0, *(round(STEPS ** (place / 24)) for place in range(25))]
    steps = sorted(set(marks))
    # the logarithm of the loss falls with that of the passes, and ends at `soon` of them
    last = math.log1p(run.soon * STEPS)
    losses = [
        UNTRAINED * (final / UNTRAINED) ** min(math.log1p(step) / last, 1.0) for step in steps
    ]
    return RunRecord(
        task=task, recipe=recipe.key, seed=0, role="reference", initial=UNTRAINED,
        final=nan if run.diverged else final, test=test,
        metric=1 - run.error, test_metric=1 - run.error, steps=STEPS, passes=float(STEPS),
        seconds_per_step=0.001, diverged=run.diverged, curve_steps=tuple(steps),
        curve_validation=tuple(losses), curve_train=(nan, *losses[1:]),
    ).model_dump()  # fmt: skip
