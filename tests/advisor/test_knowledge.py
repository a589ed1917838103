"""The knowledge base as arrays, against the truth it was made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import synthetic

from advisor.feature_table import TASK_UNITS
from advisor.knowledge import Knowledge, load_knowledge
from advisor.shipped import fit_shipped
from knowledge_base.store import load_profiles, write_profiles
from knowledge_base.tasks import task_rows
from probes.errors import UserError


def test_regrets_are_the_truth_up_to_the_noise(knowledge: Knowledge) -> None:
    assert {row.name for row in knowledge.rows} == set(synthetic.TASKS)
    assert set(knowledge.recipes) == set(synthetic.recipes())
    for row, regrets in zip(knowledge.rows, knowledge.regrets, strict=True):
        kind = synthetic.cluster(row.name)
        true = np.array([synthetic.regret(recipe, kind) for recipe in knowledge.recipes])
        wanted = (true - true.min()) / (1.0 - true.min())
        np.testing.assert_allclose(regrets, np.clip(wanted, 0, 1), atol=0.04)


def test_scale_is_that_of_the_repeated_recipe(knowledge: Knowledge) -> None:
    for row, (validation, test) in zip(knowledge.rows, knowledge.scales, strict=True):
        kind = synthetic.cluster(row.name)
        best = min(synthetic.recipes(), key=lambda recipe: synthetic.regret(recipe, kind))
        assert validation.best_recipe == test.best_recipe == best.key
        assert validation.untrained == pytest.approx(synthetic.UNTRAINED)


def test_features_of_each_seed(knowledge: Knowledge) -> None:
    assert knowledge.features.shape == (3, len(synthetic.TASKS), len(TASK_UNITS))
    column = list(TASK_UNITS).index("sharpness")
    for i, row in enumerate(knowledge.rows):
        for seed in range(3):
            named = synthetic.features(row, synthetic.cluster(row.name), seed)
            assert knowledge.features[seed, i, column] == pytest.approx(named["sharpness"])
    np.testing.assert_allclose(
        knowledge.mean_features[:, column], knowledge.features[:, :, column].mean(0)
    )


def test_searched_runs_keep_their_order(knowledge: Knowledge, base: Path) -> None:
    runs = pq.read_table(base / "runs.parquet").to_pylist()
    for row, searched, scale in zip(
        knowledge.rows, knowledge.searched, knowledge.scales, strict=True
    ):
        mine = [run for run in runs if run["task"] == row.name and run["role"] == "searched"]
        assert searched.shape == (synthetic.SEARCHED, 2)
        np.testing.assert_allclose(
            searched[:, 0], [scale[0].regret(run["final"]) for run in mine], atol=1e-6
        )


def test_facts_alone_know_no_training(base: Path) -> None:
    knowledge = load_knowledge(0, base)
    names = list(TASK_UNITS)
    for name in ("sharpness", "landmark_drop", "loss_over_chance", "race_muon"):
        assert np.isnan(knowledge.features[:, :, names.index(name)]).all()
    assert np.isfinite(knowledge.features[:, :, names.index("log_parameters")]).all()


def test_a_part_has_those_tasks_alone(knowledge: Knowledge) -> None:
    part = knowledge.part([4, 1])
    assert [row.name for row in part.rows] == [knowledge.rows[4].name, knowledge.rows[1].name]
    np.testing.assert_array_equal(part.regrets, knowledge.regrets[[4, 1]])
    np.testing.assert_array_equal(part.learned, knowledge.learned[[4, 1]])
    np.testing.assert_array_equal(part.features, knowledge.features[:, [4, 1]])


def edited(base: Path, folder: Path, change) -> Path:
    """A copy of the base whose rows of runs.parquet were changed."""
    table = pq.read_table(base / "runs.parquet")
    rows = change(table.to_pylist())
    pq.write_table(type(table).from_pylist(rows, table.schema), folder / "runs.parquet")
    for name in ("recipes.json", "profiles.parquet"):
        (folder / name).write_bytes((base / name).read_bytes())
    return folder


def test_a_missing_run_counts_as_the_recipes_mean(base: Path, tmp_path: Path) -> None:
    key = synthetic.recipes()[0].key
    gone = (synthetic.TASKS[3], key, "reference")
    folder = edited(
        base, tmp_path,
        lambda runs: [r for r in runs if (r["task"], r["recipe"], r["role"]) != gone],
    )  # fmt: skip
    known = load_knowledge(synthetic.TIER, folder)
    task = [row.name for row in known.rows].index(gone[0])
    column = [recipe.key for recipe in known.recipes].index(key)
    others = np.delete(known.regrets[:, column], task)
    assert np.isnan(known.regrets[task, column])
    assert known.filled().regrets[task, column] == pytest.approx(others.mean())
    assert np.isnan(known.learned[task, column])
    others = np.delete(known.learned[:, column], task)
    assert known.filled().learned[task, column] == pytest.approx(others.mean())
    rest = [i for i in range(len(known.rows)) if i != task]
    assert not np.isnan(known.part(rest).regrets).any()


def test_what_is_learned_is_the_mean_over_seeds_validation_and_test(
    base: Path, tmp_path: Path
) -> None:
    """Two more runs of one cell, one of them diverged, in whatever role, count like the first."""
    key, task = synthetic.recipes()[1].key, synthetic.TASKS[3]

    def more(runs: list[dict]) -> list[dict]:
        mine = next(r for r in runs if (r["task"], r["recipe"], r["seed"]) == (task, key, 0))
        worse = {**mine, "seed": 8, "role": "repeat", "final": mine["final"] * 1.2}
        return [*runs, worse, {**mine, "seed": 9, "role": "searched", "diverged": True}]

    known = load_knowledge(synthetic.TIER, edited(base, tmp_path, more))
    place = [row.name for row in known.rows].index(task)
    column = [recipe.key for recipe in known.recipes].index(key)
    runs = pq.read_table(tmp_path / "runs.parquet").to_pylist()
    validation, test = known.scales[place]
    wanted = []
    for run in runs:
        if (run["task"], run["recipe"]) == (task, key):
            wanted += [1.0, 1.0] if run["diverged"] else [
                validation.regret(run["final"]), test.regret(run["test"])
            ]  # fmt: skip
    assert len(wanted) >= 6
    assert known.learned[place, column] == pytest.approx(np.mean(wanted))
    assert known.learned.shape == known.regrets.shape
    assert (np.isnan(known.learned) == np.isnan(known.regrets)).all()


def test_a_diverged_run_has_the_worst_regret(base: Path, tmp_path: Path) -> None:
    key = synthetic.recipes()[0].key

    def diverge(runs: list[dict]) -> list[dict]:
        for run in runs:
            if run["task"] == synthetic.TASKS[3] and run["recipe"] == key:
                run["diverged"] = True
        return runs

    known = load_knowledge(synthetic.TIER, edited(base, tmp_path, diverge))
    task = [row.name for row in known.rows].index(synthetic.TASKS[3])
    assert known.regrets[task, [recipe.key for recipe in known.recipes].index(key)] == 1.0


def test_half_built_tasks_are_left_out(base: Path, tmp_path: Path) -> None:
    few = {recipe.key for recipe in synthetic.recipes()[:10]}
    folder = edited(
        base, tmp_path,
        lambda runs: [r for r in runs if r["task"] != synthetic.TASKS[0] or r["recipe"] in few],
    )  # fmt: skip
    known = load_knowledge(synthetic.TIER, folder)
    assert {row.name for row in known.rows} == set(synthetic.TASKS[1:])


def test_tasks_without_a_profile_are_left_out_and_named(base: Path, tmp_path: Path) -> None:
    gone, few = synthetic.TASKS[2], {recipe.key for recipe in synthetic.recipes()[:10]}
    half_built = synthetic.TASKS[5]
    folder = edited(
        base, tmp_path,
        lambda runs: [r for r in runs if r["task"] != half_built or r["recipe"] in few],
    )  # fmt: skip
    records = load_profiles(base)
    write_profiles(folder, [r for r in records if r["task"] not in (gone, half_built)])
    known = load_knowledge(synthetic.TIER, folder)
    assert known.unprofiled == (gone,), "a profile is not all that the half-built one lacks"
    assert {row.name for row in known.rows} == set(synthetic.TASKS) - {gone, half_built}
    assert load_knowledge(synthetic.TIER, base).unprofiled == ()
    told: list[str] = []
    with pytest.raises(UserError, match="a group of data sets"):
        fit_shipped(folder, tmp_path / "models", report=told.append, tiers=(0,), without=("wina",))
    assert told == [f"left out for want of a profile: {gone}"]


def test_no_run_and_no_profile_are_the_users_errors(base: Path, tmp_path: Path) -> None:
    folder = edited(base, tmp_path, lambda runs: [])
    with pytest.raises(UserError, match="advisor kb build"):
        load_knowledge(synthetic.TIER, folder)
    folder = edited(base, tmp_path, lambda runs: runs)
    write_profiles(folder, [])
    with pytest.raises(UserError, match="a task with a profile"):
        load_knowledge(synthetic.TIER, folder)
    with pytest.raises(UserError, match="packed knowledge base"):
        load_knowledge(synthetic.TIER, tmp_path / "nowhere")


def test_synthetic_tasks_are_what_they_say() -> None:
    rows = [task_rows()[name] for name in synthetic.TASKS]
    assert len({row.group for row in rows}) == 12
    assert all(16 <= 0.1 * row.steps < 64 for row in rows)
    for kind in ("flat", "sharp"):
        families = [row.family for row in rows if synthetic.cluster(row.name) == kind]
        assert 2 <= families.count("mlp") <= 4
