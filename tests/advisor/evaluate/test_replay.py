"""The evaluation's numbers against a simple computation of their own, straight from the runs."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import math
from pathlib import Path
from statistics import mean, median

import numpy as np
import pyarrow.parquet as pq
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from advisor import boosting
from advisor.evaluate import replay as run_replay
from advisor.evaluate.guesses import add_guesses, expected_of_random
from advisor.evaluate.report import BEGIN, END, Report
from advisor.evaluate.tally import ORACLE_REGRET, Tally
from advisor.evaluate.versions import edition
from advisor.knowledge import load_knowledge
from advisor.meta_model import WEIGHTS
from knowledge_base.splits import Fold
from probes.errors import UserError
from probes.recipe.schema import Recipe

COPIED_KEY = Recipe.parse({"optimizer": {"name": "adamw", "lr": 1e-3}, "schedule": "cosine"}).key
SEARCHED = "search in the full space, one study"
FOLDS = {
    "dataset": [
        Fold(test=("bikeshare-mlp-1",), train=synthetic.TASKS),  # not in this knowledge base
        Fold(test=synthetic.TASKS[1:3], train=(*synthetic.TASKS[:1], *synthetic.TASKS[3:])),
    ],
    "dataset_and_family": [Fold(test=synthetic.TASKS[1:3], train=synthetic.TASKS[3:])],
}


@pytest.fixture(scope="module")
def report(base: Path) -> Report:
    module = importlib.import_module("advisor.evaluate.replay")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boosting, "ROUNDS", 20)
        patch.setattr(module, "load_folds", lambda: FOLDS)
        return run_replay(base)


class Simple:
    """Regrets by task and recipe, computed from the packed runs with nothing of the advisor."""

    def __init__(self, base: Path) -> None:
        runs = pq.read_table(base / "runs.parquet").to_pylist()
        self.regret: dict[str, dict[str, dict[str, float]]] = {}
        for task in synthetic.TASKS:
            mine = [run for run in runs if run["task"] == task]
            seeds: dict[str, list[dict]] = {}
            for run in mine:
                seeds.setdefault(run["recipe"], []).append(run)
            repeated = [key for key, found in seeds.items() if len(found) == 3]
            best = min(repeated, key=lambda key: median(r["final"] for r in seeds[key]))
            self.regret[task] = {}
            for column in ("final", "test"):
                zero = median(run[column] for run in seeds[best])
                one = median(run["initial"] for run in mine)
                self.regret[task][column] = {
                    run["recipe"]: min(
                        max(math.log(run[column] / zero) / math.log(one / zero), 0.0), 1.0
                    )
                    for run in mine
                    if run["role"] == "reference"
                }


def method(report: Report, column: int, name: str, runs: int) -> float:
    (found,) = [m for m in report.columns[column].methods if (m.name, m.runs) == (name, runs)]
    assert found.low <= found.mean <= found.high
    return found.mean


@pytest.mark.parametrize("column", [0, 1])
def test_what_is_copied(report: Report, base: Path, column: int) -> None:
    simple = Simple(base).regret
    tested = FOLDS["dataset"][1].test
    expected = mean(simple[task]["test"][COPIED_KEY] for task in tested)
    assert method(report, column, "AdamW 1e-3 cosine", 1) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("column", [0, 1])
def test_single_best_is_chosen_on_the_other_tasks(report: Report, base: Path, column: int) -> None:
    simple = Simple(base).regret
    fold = (FOLDS["dataset"][1], FOLDS["dataset_and_family"][0])[column]
    keys = list(simple[fold.train[0]]["final"])
    single = min(keys, key=lambda key: mean(simple[task]["final"][key] for task in fold.train))
    expected = mean(simple[task]["test"][single] for task in fold.test)
    assert method(report, column, "single best recipe", 1) == pytest.approx(expected, abs=1e-5)


def test_best_known_is_chosen_on_validation_and_reported_on_test(
    report: Report, base: Path
) -> None:
    simple = Simple(base).regret
    found = []
    for task in FOLDS["dataset"][1].test:
        best = min(simple[task]["final"], key=simple[task]["final"].__getitem__)
        found.append(simple[task]["test"][best])
    assert method(report, 0, "best known of the set", 20) == pytest.approx(mean(found), abs=1e-5)


def test_random_search_on_the_runs(report: Report, base: Path) -> None:
    simple = Simple(base).regret
    expected = []
    random = np.random.default_rng(0)
    for task in FOLDS["dataset"][1].test:
        final, test = simple[task]["final"], simple[task]["test"]
        draws = [random.choice(list(final), 5, replace=False) for _ in range(4000)]
        expected.append(mean(test[min(draw, key=final.__getitem__)] for draw in draws))
    assert method(report, 0, "random search", 5) == pytest.approx(mean(expected), abs=0.01)
    drawn = {m.runs for m in report.columns[0].methods if m.name == "random search"}
    assert drawn == {5, 10}, "no more can be drawn of 20 recipes"


def test_search_is_replayed_in_its_order(report: Report, base: Path) -> None:
    runs = pq.read_table(base / "runs.parquet").to_pylist()
    names = {(m.name, m.runs) for m in report.columns[0].methods}
    assert (SEARCHED, synthetic.SEARCHED) in names
    assert (SEARCHED, 25) not in names, "no task has so many searched runs"
    found = []
    for task in FOLDS["dataset"][1].test:
        scale = [run for run in runs if run["task"] == task and run["role"] == "repeat"]
        best = [run for run in runs if run["task"] == task and run["recipe"] == scale[0]["recipe"]]
        zero = median(run["test"] for run in best)
        searched = [run for run in runs if run["task"] == task and run["role"] == "searched"][:5]
        chosen = min(searched, key=lambda run: run["final"])
        loss = math.log(chosen["test"] / zero) / math.log(synthetic.UNTRAINED / zero)
        found.append(min(max(loss, 0.0), 1.0))
    assert method(report, 0, SEARCHED, 5) == pytest.approx(mean(found), abs=1e-5)


@pytest.mark.parametrize("column", [0, 1])
def test_the_share_of_lightgbm_is_told(report: Report, column: int) -> None:
    share = report.columns[column].boosted
    assert 0.0 <= share <= max(WEIGHTS)
    assert f"LightGBM's share {share:.2f}" in report.facts()[column]


def test_a_recipe_that_cannot_serve_a_task_leaves_it_untrained(base: Path) -> None:
    knowledge = load_knowledge(synthetic.TIER, base)
    regrets, test = knowledge.regrets.copy(), knowledge.test_regrets.copy()
    best = int(regrets[0].argmin())
    regrets[0, best] = test[0, best] = np.nan
    tally = Tally()
    other = (best + 1) % regrets.shape[1]
    add_guesses(
        dataclasses.replace(knowledge, regrets=regrets, test_regrets=test), 0,
        [other, best], [best, other], tally,
    )  # fmt: skip
    assert tally.regrets["single best recipe", 1] == [1.0]
    assert tally.regrets["portfolio", 3] == tally.regrets["advice", 1] == [test[0, other]]
    served = np.delete(test[0], best)
    assert tally.regrets["random search", 5] == [
        expected_of_random(np.delete(regrets[0], best), served, 5)
    ]
    assert all(np.isfinite(values).all() for values in tally.regrets.values())


def test_the_advice_lies_between_the_single_best_and_the_best(report: Report) -> None:
    column = report.columns[0]
    advice = method(report, 0, "advice", 1)
    single, best = (
        method(report, 0, "single best recipe", 1),
        method(report, 0, "best known of the set", 20),
    )
    assert advice < single
    gap, low, high = column.gap_closed
    assert gap == pytest.approx((single - advice) / single)
    assert low <= gap <= high
    assert column.gap_closed_in_set[0] == pytest.approx((single - advice) / (single - best))
    assert method(report, 0, "advice", 5) <= advice + 0.01
    assert (column.tasks, column.datasets) == (2, 2)
    rows = [synthetic.TIER / steps for steps in (250, 200)]
    assert column.probe_share == pytest.approx(mean(rows))


RESULTS = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.4, 0.5, 1.0]), st.floats(0, 1)),
                   min_size=1, max_size=6)  # fmt: skip


@given(RESULTS, st.integers(1, 8))
def test_random_search_formula_against_every_draw(
    results: list[tuple[float, float]], n: int
) -> None:
    validation, test = (np.array(values) for values in zip(*results, strict=True))
    drawn = list(itertools.combinations(range(len(results)), min(n, len(results))))

    def outcome(draw: tuple[int, ...]) -> float:
        lowest = min(validation[i] for i in draw)
        return mean(float(test[i]) for i in range(len(test)) if validation[i] == lowest)

    expected = mean(outcome(draw) for draw in drawn)
    assert expected_of_random(validation, test, n) == pytest.approx(expected, abs=1e-9)


def test_rows_of_the_table_are_matched_by_name(report: Report) -> None:
    """A method that the second column lacks shows as dashes, and shifts no other row."""
    first, second = report.columns
    lacking = second.model_copy(
        update={"methods": [m for m in second.methods if (m.name, m.runs) != (SEARCHED, 5)][::-1]}
    )
    assert lacking.method(SEARCHED, 5) is None
    whole = report.table()
    changed = report.model_copy(update={"columns": [first, lacking]}).table()
    for before, after in zip(whole, changed, strict=True):
        if before[:2] == [SEARCHED, "5"]:
            assert after == [*before[:5], "-", "-", "-"]
        else:
            assert after == before


def test_the_oracle_has_no_regret_on_test(base: Path) -> None:
    knowledge = load_knowledge(synthetic.TIER, base)
    for _, test in knowledge.scales:
        assert test.regret(test.best) == ORACLE_REGRET


def test_table_and_readme(report: Report, base: Path, tmp_path: Path) -> None:
    header, *rows = report.table()
    assert all(len(row) == len(header) for row in rows)
    assert [row[0] for row in rows] == [m.name for m in report.columns[0].methods]
    assert Report.model_validate_json(report.model_dump_json()) == report
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    report.write_readme(readme)
    once = readme.read_text()
    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "old" not in once
    assert f"knowledge base of {edition(base)};" in once
    assert all(" | ".join(row) in once for row in rows)
    report.write_readme(readme)
    assert readme.read_text() == once
    readme.write_text("no marks")
    with pytest.raises(UserError, match="quality:begin"):
        report.write_readme(readme)


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("advisor.evaluate.replay")
    monkeypatch.setattr(module, "load_folds", lambda: FOLDS)
    assert run_replay(base, workers=2) == run_replay(base, workers=1)
