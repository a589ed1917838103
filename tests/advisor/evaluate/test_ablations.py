"""Ablations on a knowledge base in which only one measured quantity, the sharpness, matters."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import numpy as np
import pytest
import synthetic

from advisor.evaluate import ablations
from advisor.evaluate.ablation_report import NOT_MEASURED, Ablations
from advisor.evaluate.ablation_summary import ALL
from advisor.evaluate.ablations import ablate
from advisor.evaluate.guesses import Results
from advisor.evaluate.report import Report
from advisor.evaluate.variants import DRAWS, PROBES, SHARES
from advisor.knowledge import load_knowledge
from advisor.portfolio import greedy_portfolio
from knowledge_base.splits import Fold
from knowledge_base.store import load_profiles, write_profiles

pytestmark = pytest.mark.slow  # a whole replay, many times
TASKS = synthetic.TASKS
FOLDS = {
    "dataset": [
        Fold(test=("bikeshare-mlp-1",), train=TASKS),  # not in this knowledge base
        *(Fold(test=(name,), train=tuple(o for o in TASKS if o != name)) for name in TASKS[:4]),
    ]
}


@pytest.fixture(scope="module")
def learned_from() -> list[tuple[int, set[str]]]:
    """Hyperparameter iterations and tasks of every fit, filled by `found`."""
    return []


@pytest.fixture(scope="module")
def found(base: Path, learned_from: list[tuple[int, set[str]]]) -> Ablations:
    fit = ablations.fit_gaussian

    def watched(known, start, iterations):
        learned_from.append((iterations, {row.name for row in known.rows}))
        return fit(known, start, iterations)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablations, "_ITERATIONS", 5)
        patch.setattr(ablations, "load_folds", lambda: FOLDS)
        patch.setattr(ablations, "fit_gaussian", watched)
        ablations._conditioned.cache_clear()
        return ablate(base, 0.1)


def regret(found: Ablations, name: str, runs: int = 1) -> float:
    (row,) = [row for row in found.rows if (row.name, row.runs) == (name, runs)]
    assert row.low <= row.mean <= row.high
    assert row.difference_low <= row.difference <= row.difference_high
    return row.mean


def test_every_change_is_measured(found: Ablations) -> None:
    names = {row.name for row in found.rows}
    assert {f"without {probe}" for probe in PROBES} < names
    assert found.rows[0].name == ALL
    assert {(row.name, row.runs) for row in found.rows} == {(n, k) for n in names for k in (1, 3)}
    assert (found.tasks, found.datasets) == (4, 4)


def test_a_probe_that_no_budget_bought_has_no_numbers(found: Ablations) -> None:
    measured = {row.name: row.measured for row in found.rows}
    assert measured["without sharpness"] == measured["without facts"] == measured[ALL] == 4
    assert measured["without races"] == measured["without range test"] == 0
    rows = {row[0]: row[1:] for row in found.table()}
    assert rows["without range test"] == ["on 0 of 4 tasks", NOT_MEASURED, "-", "-", "-"]
    assert rows["without sharpness"][0] == "on 4 of 4 tasks"
    assert not any("tier" in name for name in rows), "no larger tier is known that has them"


@pytest.fixture(scope="module")
def with_larger(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The knowledge base, its sharpness in profiles of tier 64 alone, which no budget pays for."""
    folder = tmp_path_factory.mktemp("larger")
    for name in ("runs.parquet", "recipes.json"):
        (folder / name).write_bytes((base / name).read_bytes())
    records = []
    for record in load_profiles(base):
        values = dict(record["profile"]["values"])
        records.append({**record, "tier": 64, "profile": {"values": values}})
        bought = {name: value for name, value in values.items() if "sharpness" not in name}
        records.append({**record, "profile": {"values": bought}})
    write_profiles(folder, records)
    return folder


def test_dear_probes_are_taken_away_at_the_tier_that_has_them(
    with_larger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablations, "_ITERATIONS", 5)
    monkeypatch.setattr(ablations, "load_folds", lambda: FOLDS)
    found = ablate(with_larger, 0.1)
    rows = {row.name: row for row in found.rows if row.runs == 1}
    whole, without = f"{ALL}, tier 64", "without sharpness, tier 64"
    assert {name for name in rows if "tier" in name} == {whole, without}
    assert rows["without sharpness"].measured == 0
    assert rows["without sharpness"].difference == 0.0
    assert (rows[whole].measured, rows[without].measured) == (4, 4)
    assert (rows[whole].against, rows[without].against) == (ALL, whole)
    assert rows[whole].difference < -0.05, "against the advice that the budget pays for"
    assert rows[without].difference == pytest.approx(rows[without].mean - rows[whole].mean)
    assert rows[without].difference > 0.05
    assert f"compared with {whole!r}" in found.markdown()


def test_only_the_probe_that_matters_matters(found: Ablations) -> None:
    complete = regret(found, ALL)
    assert regret(found, "without sharpness") > complete + 0.05
    for probe in ("landmark course", "races", "range test", "gradient noise scale"):
        assert regret(found, f"without {probe}") < complete + 0.03
    assert regret(found, "no probes (facts alone)") > complete + 0.05


@pytest.mark.parametrize("name", ["profile of another task", "measurements of another task"])
def test_a_wrong_profile_hurts(found: Ablations, name: str) -> None:
    assert regret(found, name) > regret(found, ALL) + 0.05


def test_differences_are_to_the_unchanged_advice(found: Ablations) -> None:
    for row in found.rows:
        assert row.against == ALL
        expected = row.mean - regret(found, ALL, row.runs)
        assert row.difference == pytest.approx(expected, abs=1e-12)


def test_portfolio_only_is_that_of_the_other_tasks(found: Ablations, base: Path) -> None:
    known = load_knowledge(synthetic.TIER, base)
    names = [row.name for row in known.rows]
    for k in (1, 3):
        expected = []
        for fold in FOLDS["dataset"][1:]:
            train = [names.index(name) for name in fold.train]
            chosen = greedy_portfolio(known.learned[train], k)
            expected.append(Results(known, names.index(fold.test[0])).chosen(chosen))
        assert regret(found, "portfolio only", k) == pytest.approx(mean(expected))


def test_growth_ends_with_all(found: Ablations) -> None:
    for k in (1, 3):
        points = [point for point in found.growth if point.runs == k]
        assert [point.share for point in points] == [1 / share for share in SHARES]
        assert [point.datasets for point in points] == [2, 3, 6, 11], "one of twelve is left out"
        assert [point.draws for point in points] == [DRAWS] * 3 + [1]
        assert points[-1].mean == regret(found, ALL, k)
        assert points[0].mean > points[-1].mean


def test_no_fold_learns_from_its_own_data(
    found: Ablations, learned_from: list[tuple[int, set[str]]]
) -> None:
    conditioned = [names for iterations, names in learned_from if iterations == 0]
    whole = [names for names in conditioned if len(names) == len(TASKS) - 1]
    assert {next(iter(set(TASKS) - names)) for names in whole} == set(TASKS[:4])
    assert not any(len(names) == len(TASKS) for names in conditioned)
    assert {len(names) for names in conditioned} == {2, 3, 6, 11}, "eighths, quarters, halves, all"


def test_the_same_seed_gives_the_same_result(
    found: Ablations, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablations, "_ITERATIONS", 5)
    monkeypatch.setattr(ablations, "load_folds", lambda: FOLDS)
    assert ablate(base, 0.1) == found
    other = {(row.name, row.runs): row.mean for row in ablate(base, 0.1, seed=1).rows}
    assert other[ALL, 1] == regret(found, ALL)
    assert other["profile of another task", 1] != regret(found, "profile of another task")


def test_a_change_that_cannot_serve_the_task_counts(base: Path) -> None:
    known = load_knowledge(synthetic.TIER, base)
    regrets = known.regrets.copy()
    regrets[0, 3] = np.nan
    results = Results(known.__class__(**{**known.__dict__, "regrets": regrets}), 0)
    assert results.chosen([3]) == 1.0
    assert not results.served[3]


def test_table_and_markdown(found: Ablations) -> None:
    header, *rows = found.table()
    assert all(len(row) == len(header) == 6 for row in rows)
    assert [row[0] for row in rows] == list(dict.fromkeys(row.name for row in found.rows))
    text = found.markdown()
    assert all(" | ".join(row) in text for row in rows)
    assert "by data sets learned from" in text
    assert "Gaussian alone" in text
    report = Report(made_by="a test", date="", versions={}, edition="", seed=0, recipes=0,
                    columns=(), seed_spread=0.0, ablations=found)  # fmt: skip
    assert Report.model_validate_json(report.model_dump_json()).ablations == found


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablations, "load_folds", lambda: FOLDS)
    assert ablate(base, 0.1, workers=2) == ablate(base, 0.1, workers=1)
