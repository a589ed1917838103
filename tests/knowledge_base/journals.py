"""Journals for the tests of the store: a few records, nothing is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from knowledge_base.journal import Journal
from knowledge_base.records import RunRecord
from probes.recipe.schema import Recipe

NAN = float("nan")
RECIPES = [Recipe.parse({"optimizer": {"name": "adamw", "lr": rate}}) for rate in (1e-3, 1e-2)]


def run(task: str = "wine-mlp-1", recipe: int = 0, seed: int = 0, **fields: Any) -> dict[str, Any]:
    return RunRecord(
        **{
            "task": task, "recipe": RECIPES[recipe].key, "seed": seed, "role": "reference",
            "initial": 2.0, "final": 0.5, "test": 0.75, "metric": 0.5, "test_metric": NAN,
            "steps": 10, "passes": 10.0, "seconds_per_step": 0.25, "diverged": False,
            "curve_steps": (0, 5, 10), "curve_validation": (2.0, 1.0, 0.5),
            "curve_train": (NAN, 1.5, 0.75), **fields,
        }
    ).model_dump()  # fmt: skip


def filled(folder: Path) -> Journal:
    """Two recipes, four runs (one of them twice) and two profiles."""
    journal = Journal(folder / "journal.log")
    with journal:
        for recipe in RECIPES:
            journal.append("recipe", {"key": recipe.key, "recipe": recipe.plain()})
        journal.append("run", run(recipe=1, role="searched"))
        journal.append("run", run())
        journal.append("run", run(seed=1, role="repeat", final=0.625))
        journal.append("run", run(seed=1, role="repeat", final=0.5625))
        journal.append("run", run("digits-mlp-1", final=NAN, diverged=True))
        for seed in (1, 0):
            profile = {"values": {"data.samples": 100.0 + seed}}
            journal.append(
                "profile", {"task": "wine-mlp-1", "tier": 16, "seed": seed, "profile": profile}
            )
    return journal


def rekeyed(journal: Journal, path: Path) -> Journal:
    """The same journal as a release would have written it whose keys were other ones."""
    old = Journal(path)
    with old:
        for kind, record in journal.read():
            for name in ("key", "recipe"):
                if isinstance(record.get(name), str):
                    record[name] = "old" + record[name]
            old.append(kind, record)
    return old
