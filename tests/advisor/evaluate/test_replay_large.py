"""Larger forms of a task: asked of models that know neither them nor their data set."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import synthetic

from advisor import boosting, meta_model
from advisor.evaluate import known
from advisor.evaluate import replay as run_replay
from advisor.evaluate.report import LARGE, Report
from advisor.knowledge import Knowledge, load_knowledge
from advisor.portfolio import greedy_portfolio
from knowledge_base.splits import Fold
from knowledge_base.store import load_profiles, write_profiles

pytestmark = pytest.mark.slow

LIKE = {
    "satimage-mlp-1@width2": "satimage-mlp-1",
    "satimage-mlp-1@steps4": "satimage-mlp-1",
    "digits-cnn-1@width8": "digits-mlp-1",  # another task of the same data set
    "letter-mlp-1@width4": "texture-mlp-1",  # of a data set that no fold asks about
}
"""Large tasks and the synthetic task that each one's runs are copied from."""
RAN = [recipe.key for recipe in synthetic.recipes()[::2]]
FOLDS = {
    "dataset": [
        Fold(test=(name,), train=tuple(other for other in synthetic.TASKS if other != name))
        for name in ("satimage-mlp-1", "digits-mlp-1", "wine-mlp-1")
    ],
    "dataset_and_family": [Fold(test=("satimage-mlp-1",), train=synthetic.TASKS[:8])],
}


@pytest.fixture(scope="module")
def with_large(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic knowledge base with large tasks that ran half of the reference set."""
    folder = tmp_path_factory.mktemp("large")
    table = pq.read_table(base / "runs.parquet")
    runs = table.to_pylist()
    more = [
        {**run, "task": name}
        for name, like in LIKE.items()
        for run in runs
        if run["task"] == like and run["role"] != "searched" and run["recipe"] in RAN
    ]
    half_built = "bikeshare-mlp-1@width2"
    more += [{**run, "task": half_built} for run in more[:3]]
    whole = type(table).from_pylist(runs + more, table.schema)
    pq.write_table(whole, folder / "runs.parquet")
    for name in ("recipes.json", "manifest.json"):
        (folder / name).write_bytes((base / name).read_bytes())
    records = load_profiles(base)
    profiled = [*LIKE.items(), (half_built, "wine-mlp-1")]
    records += [
        {**record, "task": name}
        for name, like in profiled
        for record in records
        if record["task"] == like
    ]
    write_profiles(folder, records)
    return folder


@pytest.fixture(scope="module")
def fitted_on() -> list[set[str]]:
    """The tasks of every fit, filled by `report`."""
    return []


@pytest.fixture(scope="module")
def report(with_large: Path, fitted_on: list[set[str]]) -> Report:
    module = importlib.import_module("advisor.evaluate.replay")
    fit = meta_model.fit

    def watched(part: Knowledge, *rest: Any, **named: Any) -> meta_model.MetaModel:
        fitted_on.append({row.name for row in part.rows})
        return fit(part, *rest, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boosting, "ROUNDS", 5)
        patch.setattr(module, "load_folds", lambda: FOLDS)
        patch.setattr(meta_model, "fit", watched)
        return run_replay(with_large)


def test_ordinary_knowledge_is_undisturbed(with_large: Path, base: Path) -> None:
    ours, before = (load_knowledge(synthetic.TIER, folder) for folder in (with_large, base))
    assert ours.rows == before.rows
    assert ours.recipes == before.recipes
    for name in ("regrets", "test_regrets", "features"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(before, name))


def test_large_knowledge_is_that_of_its_runs(with_large: Path) -> None:
    found = known.large(synthetic.TIER, with_large)
    assert {row.name for row in found.rows} == set(LIKE), "half built ones are left out"
    assert {recipe.key for recipe in found.recipes} == set(RAN)
    assert np.isfinite(found.regrets).all()
    for i, row in enumerate(found.rows):
        best = found.scales[i][0].best_recipe
        assert best in RAN
        kind = synthetic.cluster(LIKE[row.name])
        true = np.array([synthetic.regret(recipe, kind) for recipe in found.recipes])
        assert found.regrets[i].argmin() == true.argmin()
    assert known.large(synthetic.TIER, with_large).features.shape[1] == len(LIKE)
    facts = known.large(0, with_large)
    assert np.isnan(facts.features).any(axis=(0, 2)).all()
    np.testing.assert_array_equal(facts.regrets, found.regrets)


def test_no_large_run_no_column(base: Path) -> None:
    found = known.large(0, base)
    assert found.rows == ()
    assert found.regrets.shape == (0, 0)


def test_large_ones_are_a_column_of_their_own(report: Report) -> None:
    titles = [column.left_out for column in report.columns]
    assert titles == ["data set", "data set and family", LARGE]
    assert report.columns[0].tasks == 3, "large ones are not among the ordinary"
    column = report.columns[2]
    assert (column.tasks, column.datasets) == (3, 2)
    assert not any("not measured" in fact for fact in report.facts())


def test_the_models_have_seen_no_large_one_and_no_data_of_theirs(
    report: Report, fitted_on: list[set[str]]
) -> None:
    assert len(fitted_on) == 4 * 2, "the fold's own: of facts alone, then of the profiles"
    assert not any("@" in name for names in fitted_on for name in names)
    held = ("satimage-mlp-1", "digits-mlp-1", "wine-mlp-1")
    for place, name in enumerate(held):
        assert all(name not in names for names in fitted_on[2 * place : 2 * place + 2])


def test_all_choose_among_the_recipes_that_ran(report: Report, with_large: Path) -> None:
    column, ordinary = report.columns[2], load_knowledge(0, with_large)
    large = known.large(0, with_large)
    names = [row.name for row in ordinary.rows]
    expected = []
    for i, row in enumerate(large.rows):
        held = {"satimage": "satimage-mlp-1", "digits": "digits-mlp-1"}.get(row.name.split("-")[0])
        if held is None:
            continue
        ran = [ordinary.recipes.index(recipe) for recipe in large.recipes]
        train = [j for j in range(len(names)) if names[j] != held]
        first = greedy_portfolio(ordinary.learned[np.ix_(train, ran)], 1)[0]
        expected.append(large.test_regrets[i, first])
    assert column.method("single best recipe", 1).mean == pytest.approx(np.mean(expected))
    best = column.method("best known of the set", len(RAN))
    assert best.mean <= column.method("advice", 1).mean < 0.3
    rows = {(row[0], row[1]): row for row in report.table()}
    assert rows["best known of the set", "20"][-3:] == ["-", "-", "-"]
    assert rows["best known of the set", str(len(RAN))][2:5] == ["-", "-", "-"]
