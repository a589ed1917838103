"""How soon recipes reach a loss: the meta-model's Gaussian on times in place of regrets.

The time of a recipe is the share of a task's passes until its validation loss is first at or below
a target, the whole budget where it never is. A target is as hard on every known task as it is on
the new one: what AdamW 1e-3 with a cosine reaches there, or the same normalized regret. Logarithms
of the times are predicted from tasks and recipes as regrets are, with hyperparameters of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advisor.array_file import Arrays, check_identity, read_arrays, write_arrays
from advisor.feature_table import TASK_UNITS
from advisor.features import Matrix, recipe_matrix
from advisor.knowledge import Knowledge
from advisor.meta_model import MetaModel, gaussian_of
from knowledge_base.reference import COPIED
from knowledge_base.stages import REPEAT_SEEDS
from knowledge_base.store import load_runs
from knowledge_base.target_time import time_to_target
from probes.recipe.schema import Recipe

FILE = "times.npz"
_SCHEMA = 1
LEVELS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Normalized regrets to which times are known; between two of them they are interpolated."""
_SOONEST = 1e-4
"""The least share of a budget that is told apart: logarithms must stay finite."""
_BUILT = (0, *REPEAT_SEEDS)
"""Seeds of the builder; runs of others may be merged in later, and a target stays what it was."""
_CURVE = ("curve_steps", "curve_validation")
_COLUMNS = ("task", "recipe", "seed", "final", "diverged", "steps", "passes", *_CURVE)


@dataclass(frozen=True)
class Times:
    """Times of the reference recipes on the known tasks.

    Attributes:
        logs: (1 + L, T, R) natural logs of the shares: until the loss that AdamW 1e-3 cosine ends
            at, then until each of `LEVELS`.
        parameters: Hyperparameters of the Gaussian.
    """

    logs: Matrix
    parameters: Matrix

    def until(self, level: float | None) -> Matrix:
        """(T, R) natural logs of the shares until a target.

        Args:
            level: Normalized regret of the target, cut off to the range of `LEVELS`; None for what
                AdamW 1e-3 cosine reaches.
        """
        if level is None:
            default: Matrix = self.logs[0]
            return default
        place = float(np.interp(level, LEVELS, np.arange(len(LEVELS))))
        below = min(int(place), len(LEVELS) - 2)
        share = place - below
        found: Matrix = (1 - share) * self.logs[1 + below] + share * self.logs[2 + below]
        return found

    def predict(
        self, model: MetaModel, task: Mapping[str, float] | None, recipes: Sequence[Recipe],
        level: float | None,
    ) -> Matrix:  # fmt: skip
        """(n,) shares of the budget, in (0, 1], until a new task's target.

        Args:
            model: The meta-model of the same tasks and recipes.
            task: Features of the new task; None where it is unlike the known ones, which then
                count alike.
            recipes: Any recipes; of an unlike task those of the model alone.
            level: As for ``until``.
        """
        logs = self.until(level)
        if task is None:
            means = dict(zip((recipe.key for recipe in model.recipes), logs.mean(0), strict=True))
            alike: Matrix = np.exp(np.asarray([means[recipe.key] for recipe in recipes]))
            return alike
        gaussian = model.gaussian.on(logs, self.parameters)
        vector = np.asarray([task[name] for name in TASK_UNITS])
        found: Matrix = np.exp(np.minimum(gaussian.predict(vector, recipe_matrix(recipes)), 0.0))
        return found


def times_of(knowledge: Knowledge, source: Path, iterations: int = 40) -> Times:
    """Read the times off the learning curves of a knowledge base, and fit the hyperparameters.

    Args:
        knowledge: Its tasks and recipes, or some of them.
        source: Folder of the packed knowledge base.
        iterations: Of the hyperparameter search.
    """
    columns = load_runs(source, _COLUMNS)
    task_of = {row.name: place for place, row in enumerate(knowledge.rows)}
    recipe_of = {recipe.key: place for place, recipe in enumerate(knowledge.recipes)}
    copied: dict[int, list[float]] = {}
    runs: list[tuple[int, int, dict[str, Any]]] = []
    for index, (name, key) in enumerate(zip(columns["task"], columns["recipe"], strict=True)):
        if name not in task_of or key not in recipe_of:
            continue
        run = {column: columns[column][index] for column in _COLUMNS}
        run |= {column: list(map(float, run[column])) for column in _CURVE}
        if key == COPIED.key and run["seed"] in _BUILT and not run["diverged"]:
            copied.setdefault(task_of[name], []).append(float(run["final"]))
        if run["seed"] == 0:
            runs.append((task_of[name], recipe_of[key], run))
    logs = np.full((1 + len(LEVELS), len(task_of), len(recipe_of)), np.nan)
    for task, recipe, run in runs:
        scale = knowledge.scales[task][0]
        finals = copied.get(task)
        targets = [scale.untrained if finals is None else median(finals)]
        targets += [scale.loss(level) for level in LEVELS]
        steps = knowledge.rows[task].steps
        for place, target in enumerate(targets):
            share = 1.0 if run["diverged"] else time_to_target(run, target, steps)
            logs[place, task, recipe] = np.log(max(share, _SOONEST))
    means = np.nanmean(logs, axis=1, keepdims=True)
    logs = np.where(np.isnan(logs), means, logs)
    return Times(logs, gaussian_of(knowledge, logs[0], None, iterations).parameters)


def fit_times(knowledge: Knowledge, source: Path, folder: Path) -> None:
    """Write the times of a knowledge base beside its meta-models.

    Args:
        knowledge: The tasks and recipes of the meta-model of facts alone.
        source: Folder of the packed knowledge base.
        folder: Of the meta-models.
    """
    found = times_of(knowledge, source)
    arrays: dict[str, Any] = {
        "logs": found.logs.astype(np.float16), "parameters": found.parameters,
        **_identity(
            [row.name for row in knowledge.rows], [recipe.key for recipe in knowledge.recipes]
        ),
    }  # fmt: skip
    write_arrays(folder / FILE, arrays)
    _read.cache_clear()


def load_times(folder: Path, model: MetaModel) -> Times:
    """Read what ``fit_times`` wrote.

    Args:
        folder: Of the meta-models.
        model: The one that the times are to go with.

    Raises:
        UserError: It is not there, cannot be read, or is of other tasks or recipes.
    """
    times, identity = _read(folder)
    wanted = _identity(model.names, [recipe.key for recipe in model.recipes])
    check_identity(folder / FILE, "times of the meta-model's tasks and recipes", identity, wanted)
    return times


def _identity(tasks: Sequence[str], recipes: Sequence[str]) -> dict[str, NDArray[Any]]:
    """What tells whose times they are."""
    return {
        "schema": np.asarray(_SCHEMA), "tasks": np.asarray(tasks, dtype=np.str_),
        "recipes": np.asarray(recipes, dtype=np.str_), "levels": np.asarray(LEVELS),
    }  # fmt: skip


@lru_cache(maxsize=8)
def _read(folder: Path) -> tuple[Times, Arrays]:
    return read_arrays(folder / FILE, "times of known runs", _times_of)


def _times_of(arrays: Arrays) -> Times:
    return Times(arrays["logs"].astype(np.float64), arrays["parameters"])
