"""What the shipped pack must hold: every reference cell, every ladder step, every profile."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from knowledge_base.cells import reference_cells
from knowledge_base.ladders import large_rows
from knowledge_base.reference import ladder_recipes
from knowledge_base.stages import tiers_for
from knowledge_base.store import load_profiles, load_refused, load_runs
from knowledge_base.tasks import known_tasks, task_rows


@pytest.fixture(scope="module")
def runs() -> list[tuple[str, str, int, str]]:
    """Task, key of the recipe, seed and role of every shipped run."""
    columns: dict[str, Any] = load_runs(columns=("task", "recipe", "seed", "role"))
    names = ("task", "recipe", "seed", "role")
    return list(zip(*(columns[name].tolist() for name in names), strict=True))


def test_every_reference_cell_is_a_run_or_a_refusal(runs: list[tuple[str, str, int, str]]) -> None:
    ran = {(task, key) for task, key, seed, _ in runs if seed == 0}
    cells = reference_cells({task for task, *_ in runs}, ran, load_refused())
    assert {task for task, _ in cells} == set(task_rows())
    assert [place for place, cell in cells.items() if cell == "missing"] == []


def test_the_ladders_ran_their_recipes_and_nothing_else(
    runs: list[tuple[str, str, int, str]],
) -> None:
    found = sorted(run for run in runs if "@" in run[0])
    keys = [recipe.key for recipe in ladder_recipes()]
    assert found == sorted((task, key, 0, "reference") for task in large_rows() for key in keys)


def test_every_task_has_three_profiles_of_every_tier_that_fits(
    runs: list[tuple[str, str, int, str]],
) -> None:
    seeds: dict[tuple[str, int], set[int]] = defaultdict(set)
    for profile in load_profiles():
        seeds[profile["task"], profile["tier"]].add(profile["seed"])
    known = known_tasks()
    lacking = [
        (task, tier)
        for task in sorted({task for task, *_ in runs})
        for tier in tiers_for(known[task].steps)
        if seeds[task, tier] != {0, 1, 2}
    ]
    assert lacking == []
