"""A packed knowledge base of a known structure, made in a second.

Twelve tasks in two clusters that only one measured quantity, the sharpness, tells apart: flat tasks
want high learning rates, sharp ones low. Twenty recipes of the reference set; the regret of each
is known in closed form, so that what the advisor says can be checked against the truth.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from advisor.feature_table import TASK_UNITS
from advisor.features import task_features
from knowledge_base.journal import Journal
from knowledge_base.records import RunRecord
from knowledge_base.reference import landmarks, reference_recipes
from knowledge_base.store import pack
from knowledge_base.tasks import TaskRow, task_rows
from probes.recipe.schema import Recipe

TASKS = (
    "digits-mlp-1", "mnist5k-cnn-1", "wine-mlp-1", "texture_patches-cnn-1", "breast_cancer-mlp-1",
    "word_language-conv1d-1", "diabetes-mlp-1", "japanese_vowels-tcn-1", "satimage-mlp-1",
    "italy_power_demand-conv1d-1", "texture-mlp-1", "antimicrobial_peptides-conv1d-1",
)  # fmt: skip
"""Twelve tasks of twelve leak groups; both clusters hold every kind of model family."""
TIER = 16
SEARCHED = 10
UNTRAINED, BEST = 2.0, 0.1
_BEST_RATE = {"flat": -2.0, "sharp": -3.4}
_SHARPNESS = {"flat": -1.0, "sharp": 2.0}


def cluster(task: str) -> str:
    return "flat" if TASKS.index(task) // 2 % 2 == 0 else "sharp"


def recipes() -> tuple[Recipe, ...]:
    """Twenty reference recipes; what people copy is among them.

    The reference set grows at its end, which changes nothing here.
    """
    plain = [
        recipe
        for recipe in reference_recipes()[:200]
        if recipe.batch_size is None
        and recipe.normalization.name == "keep"
        and recipe.horizon == 1.0
        and recipe.optimizer.name in ("adamw", "nadam", "nadamw", "momentum", "muon")
    ]
    wanted = [recipe for recipe in landmarks() if recipe in plain]
    others = [recipe for recipe in plain if recipe not in wanted]
    return (*wanted, *others[:: len(others) // (20 - len(wanted))])[:20]


def regret(recipe: Recipe, kind: str) -> float:
    """The truth: a parabola in the log rate around the cluster's optimum."""
    shift = 1.3 if recipe.optimizer.name == "momentum" else 0.0
    miss = math.log10(recipe.optimizer.number("lr")) - shift - _BEST_RATE[kind]
    own = 0.02 * (int(recipe.key[:2], 16) / 255)
    return min(0.05 + own + 0.35 * miss**2, 1.0)


def profile_values(row: TaskRow, kind: str, seed: int = 0) -> dict[str, float]:
    """A profile's values; the sharpness tells the clusters apart, the rest is the same or noise."""
    random = np.random.default_rng(sum(map(ord, row.name)))
    again = np.random.default_rng(seed)
    return {
        "data.samples": 1000.0, "data.classes": 4.0, "data.target_classification": 1.0,
        "data.target_regression": 0.0, "data.target_tokens": 0.0, "data.chance_loss": 1.4,
        "model.parameters": float(random.integers(2000, 4000)), "model.depth": 3.0,
        "model.width": 32.0, "landmark.initial_loss": UNTRAINED,
        "landmark.drop": 0.5 + 0.05 * random.standard_normal() + 0.01 * again.standard_normal(),
        "landmark.late_slope": 0.05,
        "sharpness.initial": _SHARPNESS[kind] + 0.05 * again.standard_normal(),
    }  # fmt: skip


def features(row: TaskRow, kind: str, seed: int = 0) -> dict[str, float]:
    """The task features of a profile."""
    found = task_features(profile_values(row, kind, seed), row.steps, row.batch_size)
    assert list(found) == list(TASK_UNITS)
    return found


def write(folder: Path, tasks: tuple[str, ...] = TASKS) -> Path:
    """Write the knowledge base and return its folder."""
    chosen = recipes()
    random = np.random.default_rng(0)
    with Journal(folder / "journal.log") as journal:
        for recipe in chosen:
            journal.append("recipe", {"key": recipe.key, "recipe": recipe.plain()})
        for task in tasks:
            _write_task(journal, task, chosen, random)
    pack(Journal(folder / "journal.log"), folder / "packed", "a test", {})
    return folder / "packed"


def _write_task(
    journal: Journal, task: str, chosen: tuple[Recipe, ...], random: np.random.Generator
) -> None:
    row, kind = task_rows()[task], cluster(task)
    best = min(chosen, key=lambda recipe: regret(recipe, kind))
    runs: list[tuple[Recipe, int, str]] = [(recipe, 0, "reference") for recipe in chosen]
    runs += [(best, seed, "repeat") for seed in (1, 2)]
    for recipe, seed, role in runs:
        journal.append("run", _run(task, recipe, seed, role, regret(recipe, kind), random))
    for _ in range(SEARCHED):
        rate = 10 ** random.uniform(-4, -1)
        recipe = Recipe.parse({"optimizer": {"name": "adamw", "lr": rate}, "schedule": "linear"})
        journal.append("recipe", {"key": recipe.key, "recipe": recipe.plain()})
        journal.append(
            "run", _run(task, recipe, 0, "searched", 0.05 + regret(recipe, kind), random)
        )
    for seed in (0, 1, 2):
        profile = {"values": profile_values(row, kind, seed)}
        record = {"task": task, "tier": TIER, "seed": seed, "profile": profile}
        journal.append("profile", record)


def _run(
    task: str, recipe: Recipe, seed: int, role: str, true: float, random: np.random.Generator
) -> dict[str, Any]:
    def loss() -> float:
        noisy = true + 0.005 * random.standard_normal()
        return BEST * (UNTRAINED / BEST) ** min(max(noisy, 0.0), 1.0)

    final, test = loss(), loss()
    return RunRecord(
        task=task, recipe=recipe.key, seed=seed, role=role, initial=UNTRAINED, final=final,
        test=test, metric=float("nan"), test_metric=float("nan"), steps=10, passes=10.0,
        seconds_per_step=2e-3 if recipe.optimizer.name == "muon" else 1e-3, diverged=False,
        curve_steps=(0, 10), curve_validation=(UNTRAINED, final), curve_train=(2.0, 0.5),
    ).model_dump()  # fmt: skip
