"""What the meta-model learns from: tasks by recipes of the reference set, and the profiles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from advisor.feature_table import MEASURED, TASK_UNITS
from advisor.features import Matrix, feature_rows, recipe_matrix, task_features
from knowledge_base.regret import Scale, scales
from knowledge_base.store import SHIPPED, load_profiles, load_recipes, load_runs
from knowledge_base.tasks import TaskRow, task_rows
from probes.errors import UserError
from probes.recipe.schema import Recipe

_NEEDED = ("task", "recipe", "seed", "role", "initial", "final", "test", "diverged",
           "seconds_per_step")  # fmt: skip
_SERVED = 0.75
"""Share of the tasks that must have run a recipe of the reference set for it to be learned from: a
change of normalization cannot serve models without layers to normalize."""


@dataclass(frozen=True)
class Knowledge:
    """The knowledge base as arrays, T tasks by R reference recipes.

    Attributes:
        rows: The tasks.
        recipes: The recipes that nearly every task ran.
        regrets: (T, R) normalized validation regret, seed 0; NaN where a recipe cannot serve a
            task (there is nothing to normalize).
        test_regrets: (T, R) normalized test regret of the same runs.
        learned: (T, R) what is learned: the mean of a recipe's regrets on held-out data, validation
            and test, over all its seeds. The two are samples of one quantity, and their mean has
            less noise than one validation of one run.
        features: (S, T, p) task features by seed of the profile.
        scales: (validation, test) scale of each task.
        searched: Per task, the (validation, test) regrets of its searched runs in their order.
        tier: Tier of the profiles.
        unprofiled: Names of tasks that ran the reference set and are left out for want of a
            profile.
        known_rows: What ``pair_rows`` gave, shared by all parts of one knowledge base: folds ask
            for the same rows again and again.
    """

    rows: tuple[TaskRow, ...]
    recipes: tuple[Recipe, ...]
    regrets: Matrix
    test_regrets: Matrix
    learned: Matrix
    features: Matrix
    scales: tuple[tuple[Scale, Scale], ...]
    searched: tuple[Matrix, ...]
    tier: int
    unprofiled: tuple[str, ...] = ()
    known_rows: dict[tuple[str, bytes], Matrix] = field(default_factory=dict, compare=False)

    def part(self, keep: Sequence[int]) -> Knowledge:
        """The knowledge base with these tasks alone."""
        index = list(keep)
        return replace(
            self,
            rows=tuple(self.rows[i] for i in index),
            regrets=self.regrets[index],
            test_regrets=self.test_regrets[index],
            learned=self.learned[index],
            features=self.features[:, index],
            scales=tuple(self.scales[i] for i in index),
            searched=tuple(self.searched[i] for i in index),
        )

    def filled(self) -> Knowledge:
        """The knowledge base with missing regrets at the mean of their recipe over these tasks."""
        return replace(self, regrets=_filled(self.regrets), learned=_filled(self.learned))

    @property
    def mean_features(self) -> Matrix:
        """(T, p) task features, the mean over the profiles' seeds."""
        known = np.isfinite(self.features)
        total = np.where(known, self.features, 0.0).sum(0)
        count = known.sum(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean: Matrix = np.where(count > 0, total / count, np.nan)
        return mean

    @cached_property
    def recipe_matrix(self) -> Matrix:
        """(R, q) recipe features and names; see ``features.recipe_matrix``."""
        return recipe_matrix(self.recipes)

    def pair_rows(self, task: int, features: Matrix) -> Matrix:
        """(R, p) features of every reference recipe on a task, with these task features."""
        row = self.rows[task]
        key = row.name, features.tobytes()
        if key not in self.known_rows:
            named = dict(zip(TASK_UNITS, features.tolist(), strict=True))
            self.known_rows[key] = feature_rows(named, self.recipes, row.steps, row.batch_size)
        return self.known_rows[key]


def load_knowledge(tier: int, folder: Path = SHIPPED) -> Knowledge:
    """Read the packed knowledge base.

    Args:
        tier: Which profiles to take; a task without that tier has its largest smaller one.
        folder: Where the packed files are.

    Raises:
        UserError: Files are missing, or no task has the complete reference set.
    """
    columns = load_runs(folder, _NEEDED)
    plain = load_recipes(folder)
    profiles = load_profiles(folder)
    known_rows = task_rows()
    runs = [
        {name: columns[name][i] for name in _NEEDED}
        for i in range(len(columns["task"]))
        if columns["task"][i] in known_rows
    ]
    found_scales = scales(runs)
    first = {(run["task"], run["recipe"]): run for run in runs if run["seed"] == 0}
    profiled = {record["task"] for record in profiles}
    reference = _reference_keys(runs)
    whole = [
        name
        for name in known_rows
        if name in found_scales
        and sum((name, key) in first for key in reference) >= 0.9 * len(reference)
    ]
    # A build under way has tasks without profiles: they teach nothing yet.
    complete = [name for name in whole if name in profiled]
    if not complete:
        raise UserError(
            "a task with a profile that ran the whole reference set", f"none in {folder}",
            "run advisor kb build to the end",
        )  # fmt: skip
    recipes = tuple(Recipe.parse(plain[key]) for key in reference)

    def matrix(column: str, which: int) -> Matrix:
        values = np.full((len(complete), len(reference)), np.nan)
        for i, name in enumerate(complete):
            scale = found_scales[name][which]
            for j, key in enumerate(reference):
                if (name, key) in first:
                    run = first[name, key]
                    loss = np.inf if run["diverged"] else float(run[column])
                    values[i, j] = scale.regret(loss)
        return values

    searched: dict[str, list[tuple[float, float]]] = {name: [] for name in complete}
    for run in runs:
        if run["role"] == "searched" and run["task"] in searched:
            validation, test = found_scales[run["task"]]
            losses = (
                (np.inf, np.inf) if run["diverged"] else (float(run["final"]), float(run["test"]))
            )
            searched[run["task"]].append((validation.regret(losses[0]), test.regret(losses[1])))
    return Knowledge(
        rows=tuple(known_rows[name] for name in complete),
        recipes=recipes,
        regrets=matrix("final", 0),
        test_regrets=matrix("test", 1),
        learned=learned_regrets(runs, complete, reference, found_scales),
        features=profiled_features(complete, known_rows, profiles, tier),
        scales=tuple(found_scales[name] for name in complete),
        searched=tuple(np.asarray(searched[name]).reshape(-1, 2) for name in complete),
        tier=tier,
        unprofiled=tuple(name for name in whole if name not in profiled),
    )


def learned_regrets(
    runs: Iterable[Mapping[str, Any]],
    names: Sequence[str],
    keys: Sequence[str],
    found: Mapping[str, tuple[Scale, Scale]],
) -> Matrix:
    """(T, R) ``Knowledge.learned`` of these tasks and recipes, NaN where nothing ran.

    Args:
        runs: Records with task, recipe, final, test and diverged, of any seed and role.
        names: The tasks.
        keys: The recipes.
        found: (validation, test) scales of each task.
    """
    row = {name: i for i, name in enumerate(names)}
    column = {key: j for j, key in enumerate(keys)}
    total, count = np.zeros((2, len(names), len(keys)))
    for run in runs:
        place = row.get(run["task"]), column.get(run["recipe"])
        if None not in place:
            for kind, scale in zip(("final", "test"), found[run["task"]], strict=True):
                total[place] += scale.regret(np.inf if run["diverged"] else float(run[kind]))
                count[place] += 1.0
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)


def _filled(regrets: Matrix) -> Matrix:
    filled: Matrix = np.where(np.isnan(regrets), np.nanmean(regrets, axis=0), regrets)
    return filled


def _reference_keys(runs: Sequence[dict[str, Any]]) -> list[str]:
    keys: dict[str, int] = {}
    for run in runs:
        if run["role"] == "reference":
            keys[run["recipe"]] = keys.get(run["recipe"], 0) + 1
    most = max(keys.values(), default=0)
    return [key for key, count in keys.items() if count >= _SERVED * most]


def profiled_features(
    names: Sequence[str], rows: dict[str, TaskRow], profiles: Sequence[dict[str, Any]], tier: int
) -> Matrix:
    """(S, T, p) features; a seed that a task lacks repeats its first."""
    by_task: dict[str, dict[int, dict[int, dict[str, Any]]]] = {}
    for record in profiles:
        by_task.setdefault(record["task"], {}).setdefault(record["tier"], {})[record["seed"]] = (
            record["profile"]
        )
    seeds = max((len(s) for tiers in by_task.values() for s in tiers.values()), default=1)
    table = np.full((seeds, len(names), len(TASK_UNITS)), np.nan)
    for i, name in enumerate(names):
        tiers = by_task[name]
        fitting = [known for known in tiers if known <= tier] or list(tiers)
        taken = [tiers[max(fitting)][seed] for seed in sorted(tiers[max(fitting)])]
        for seed in range(seeds):
            profile = taken[seed % len(taken)]
            values = task_features(profile["values"], rows[name].steps, rows[name].batch_size)
            table[seed, i] = list(values.values())
    if tier == 0:  # facts alone: what only a training step tells is not known
        names_of = list(TASK_UNITS)
        table[:, :, [names_of.index(name) for name in MEASURED]] = np.nan
    return table
