"""How far behind a run may lie: the reading of curves, and the fit on the knowledge base."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
import synthetic

from advisor import curve_fit
from advisor.curve_fit import (
    PastRun,
    fit_allowance,
    fit_curves,
    past_runs,
    quantile_regression,
    studies,
)
from advisor.curves import (
    FILE,
    FINISHED,
    SHARES,
    Allowance,
    Curve,
    area_left,
    farthest_fall,
    load_allowance,
    scale_of,
)
from knowledge_base.store import SHIPPED
from knowledge_base.tasks import task_rows
from probes.errors import UserError
from probes.recipe.schema import Recipe

RECIPE = Recipe.parse({"optimizer": {"name": "adamw", "lr": 0.01}, "schedule": "cosine"})


@pytest.mark.parametrize(
    ("schedule", "share", "left"),
    [("constant", 0.3, 0.7), ("linear", 0.5, 0.25), ("cosine", 0.5, 0.5 - 1 / np.pi),
     ("constant", 0.0, 1.0), ("cosine", 1.0, 0.0)],
)  # fmt: skip
def test_the_area_still_to_come(schedule: str, share: float, left: float) -> None:
    assert area_left(RECIPE.with_(schedule=schedule).schedule, share) == pytest.approx(
        left, abs=0.01
    )


def test_a_curve_is_read_in_between_on_the_log_scale() -> None:
    curve = Curve(1.0, (0.25, 0.5), (0.1, 0.01), 0.01)
    scale = scale_of([curve])
    assert (scale.best, scale.untrained) == (0.01, 1.0)
    assert curve.regret_at(0.25, scale) == pytest.approx(0.5)
    assert curve.regret_at(0.375, scale) == pytest.approx(0.25)
    assert curve.regret_at(0.1, scale) is None
    assert Curve(1.0, (), (), 0.01).regret_at(0.5, scale) is None


def test_the_farthest_fall_is_of_the_run_that_fell_most() -> None:
    slow, fast = Curve(1.0, (0.3,), (0.1,), 0.01), Curve(1.0, (0.3,), (0.02,), 0.02)
    scale = scale_of([slow, fast])
    assert farthest_fall([fast], 0.3, scale) == 0.0
    assert farthest_fall([fast, slow], 0.3, scale) == pytest.approx(0.5)
    assert farthest_fall([], 0.3, scale) is None


@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_quantile_regression_finds_the_quantile(quantile: float) -> None:
    random = np.random.default_rng(0)
    x = random.uniform(size=800)
    values = 1.0 + 2.0 * x + random.uniform(size=800)
    found = quantile_regression(np.column_stack([np.ones(800), x]), values, quantile)
    assert found == pytest.approx([1.0 + quantile, 2.0], abs=0.1)


def test_coefficients_may_be_kept_from_falling() -> None:
    x = np.linspace(0.0, 1.0, 50)
    found = quantile_regression(np.column_stack([np.ones(50), x]), 1.0 - x, 0.5, rising=True)
    assert found == pytest.approx([0.5, 0.0], abs=0.02)


def falling(final: float, at: float) -> PastRun:
    return PastRun(RECIPE, Curve(1.0, (0.3, 0.6), (at, at), final))


def test_a_study_begins_with_good_runs_and_tries_others() -> None:
    runs = [falling(0.01 * (1 + i), 0.5) for i in range(60)]
    found = list(studies(runs, 3, 15, seed=0))
    assert len(found) == 3
    for first, others in found:
        assert len(first) == FINISHED
        assert all(run in runs[:12] for run in first)
        assert len(others) == 15
        assert not set(first) & set(others)
    assert not list(studies(runs[:20], 3, 15, seed=0))


def test_the_allowance_grows_with_how_late_winners_fall() -> None:
    def task(late: float) -> list[PastRun]:
        finals = [0.01 * 1.02**i for i in range(80)]
        return [falling(final, final * late ** (i % 5 / 4)) for i, final in enumerate(finals)]

    early = fit_allowance([task(1.1)] * 12)
    later = fit_allowance([task(10.0)] * 12)
    # the runs of the one fall by some 0.02 of the range from there on, those of the other by 0.5
    assert early(0.5, 0.02) < 0.05
    assert later(0.5, 0.5) > 0.15
    with pytest.raises(UserError, match="curves"):
        fit_allowance([task(1.1)[:20]])


def test_data_sets_are_left_out_of_the_fit(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = list(synthetic.TASKS)
    group = task_rows()[names[2]].group
    assert set(past_runs(base)) == set(names)
    assert set(past_runs(base, without=(group,))) == {*names} - {names[2]}
    with pytest.raises(UserError, match="group of data sets"):
        past_runs(base, without=("no such",))

    def counted(tasks: Iterable[Sequence[PastRun]]) -> Allowance:
        return Allowance(float(len(list(tasks))), 0.0, 0.0)

    monkeypatch.setattr(curve_fit, "fit_allowance", counted)
    assert fit_curves(base, tmp_path, without=(group,)).constant == len(names) - 1
    assert load_allowance(tmp_path).constant == len(names) - 1
    assert load_allowance() != load_allowance(tmp_path), "the shipped file stays as it was"


@pytest.mark.slow
def test_the_shipped_allowance_is_that_of_the_shipped_knowledge_base(tmp_path: Path) -> None:
    made = fit_curves(SHIPPED, tmp_path / "new")
    assert made == load_allowance()
    assert 0.0 < made(0.2, 0.0) < made(0.8, 0.5)
    runs = past_runs()
    some = next(iter(runs.values()))
    assert all(SHARES[0] <= share <= SHARES[1] for run in some for share in run.curve.shares)
    finals = [run.curve.final for run in some]
    assert finals == sorted(finals)


@pytest.mark.parametrize("data", [{"schema": 99}, [1]])
def test_a_file_of_another_release_is_refused(tmp_path: Path, data: object) -> None:
    (tmp_path / FILE).write_text(json.dumps(data))
    with pytest.raises(UserError, match="advisor kb fit"):
        load_allowance(tmp_path)
