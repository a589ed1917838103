"""What a replay asks about: the ordinary tasks, and the large ones, which are never learned from.

The large ones are the steps of the ladders (``knowledge_base.ladders``): known tasks at larger
widths and longer budgets. Only a part of the reference set ran on them, and the regret of each is
on a scale made from the runs that it has.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from advisor.features import Matrix
from advisor.knowledge import Knowledge, learned_regrets, load_knowledge, profiled_features
from knowledge_base.ladders import large_rows
from knowledge_base.regret import scales
from knowledge_base.store import load_profiles, load_runs

ASKED_SEED = 1
"""Seed of the profile that advice is asked with: the outcomes are those of seed 0, and a probe of
the same weights and batches would share their noise."""
_NEEDED = ("task", "recipe", "seed", "initial", "final", "test", "diverged")
_COMMON = 0.8
"""Share of the large tasks that must have run a recipe for it to be chosen among there."""
_COMPLETE = 0.9
"""Share of those recipes that a large task must have run to be asked about."""


@lru_cache(maxsize=8)
def ordinary(tier: int, source: Path) -> Knowledge:
    """The ordinary tasks with profiles of a tier; read once a process."""
    return load_knowledge(tier, source)


@lru_cache(maxsize=8)
def large(tier: int, source: Path) -> Knowledge:
    """The large tasks and the reference recipes that ran on them; no task where none ran.

    Args:
        tier: Which profiles to take; a task without that tier has its largest smaller one.
        source: Folder of the packed knowledge base.
    """
    rows = large_rows()
    columns = load_runs(source, _NEEDED)
    runs = [
        {name: columns[name][i] for name in _NEEDED}
        for i in range(len(columns["task"]))
        if columns["task"][i] in rows
    ]
    recipes = {recipe.key: recipe for recipe in ordinary(0, source).recipes}
    first = {
        (str(run["task"]), str(run["recipe"])): run
        for run in runs
        if run["seed"] == 0 and run["recipe"] in recipes
    }
    profiles = load_profiles(source)
    profiled = {record["task"] for record in profiles}
    started = {name for name, _ in first} & profiled
    keys = [
        key
        for key in recipes
        if sum((name, key) in first for name in started) >= max(_COMMON * len(started), 1)
    ]
    names = [
        name
        for name in rows
        if name in started and sum((name, key) in first for key in keys) >= _COMPLETE * len(keys)
    ]
    found = scales(runs)

    def matrix(column: str, which: int) -> Matrix:
        values = np.full((len(names), len(keys)), np.nan)
        for i, name in enumerate(names):
            for j, key in enumerate(keys):
                if (name, key) in first:
                    run = first[name, key]
                    loss = np.inf if run["diverged"] else float(run[column])
                    values[i, j] = found[name][which].regret(loss)
        return values

    return Knowledge(
        rows=tuple(rows[name] for name in names),
        recipes=tuple(recipes[key] for key in keys),
        regrets=matrix("final", 0),
        test_regrets=matrix("test", 1),
        learned=learned_regrets(runs, names, keys, found),
        features=profiled_features(names, rows, profiles, tier),
        scales=tuple(found[name] for name in names),
        searched=tuple(np.zeros((0, 2)) for _ in names),
        tier=tier,
    )


def profile_of(known: Knowledge, task: int) -> Matrix:
    """(p,) the features of one profile of a task, as a user has it."""
    features: Matrix = known.features[min(ASKED_SEED, len(known.features) - 1), task]
    return features
