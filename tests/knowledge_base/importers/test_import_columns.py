"""Published runs in the columns of our own: values, units, and a reason for what is empty."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from published_files import META, ROWS, taskset, taskset_record, track, trial

from knowledge_base.importers import FORMATS, Curve, Ending, ImportedMethod, ImportedRun, Report
from knowledge_base.importers.columns import run_columns, with_reasons
from knowledge_base.records import RunRecord

NAN = float("nan")
METHOD = ImportedMethod(name="a", optimizer="a", in_catalogue=False, hyperparameters={})


def read(name: str, path: Path) -> dict[str, Any]:
    """The columns of the one run at a path."""
    (run,) = FORMATS[name].read(path, Report())
    assert isinstance(run, ImportedRun)
    return run_columns(run)


def test_a_trial_of_algoperf(tmp_path: Path) -> None:
    trial(tmp_path)
    found = read("algoperf", tmp_path)
    assert set(found) == set(RunRecord.model_fields) - {"recipe"}
    told = {name: found[name] for name in ("final", "test", "metric", "test_metric", "steps")}
    assert told == {"final": 0.9, "test": 1.0, "metric": 0.75, "test_metric": 0.7, "steps": 300}
    assert found["seconds_per_step"] == 80.0 / 300
    assert found["curve_steps"] == (1, 150, 300)
    assert found["curve_validation"] == (2.5, 1.1, 0.9)
    assert found["curve_train"] == [2.4, 1.0, 0.5]
    assert (found["initial"], found["passes"]) == (None, None), "its first evaluation is at step 1"


@pytest.mark.parametrize(
    ("rows", "meta", "expected"),
    [
        (("0,,,,2.5,0.5,3.0,500,,,,5.0,9.0,5.0,4.0,0.0",), {}, {"initial": 3.0, "test": None}),
        (ROWS[:1], {}, {"final": None, "curve_steps": None, "metric": None}),
        (ROWS, {"workload.target_metric_name": "loss"}, {"metric": None, "final": 0.9}),
        ((*ROWS, "400,1.0,nan,,,,,,,,,,,,,"), {}, {"diverged": True, "final": NAN, "steps": 400}),
    ],
    ids=["from step 0", "no evaluation", "the loss is the metric", "diverged"],
)
def test_what_a_trial_does_not_tell(
    tmp_path: Path, rows: tuple[str, ...], meta: dict[str, object], expected: dict[str, object]
) -> None:
    trial(tmp_path, rows=rows, meta={**META, **meta})
    found = read("algoperf", tmp_path)
    assert repr({name: found[name] for name in expected}) == repr(expected)


def test_a_record_of_taskset(tmp_path: Path) -> None:
    found = read("taskset", taskset(tmp_path, "task", [taskset_record(last=0.25)]))
    assert (found["final"], found["test"], found["curve_steps"]) == (0.25, 0.25, (0, 1, 2))
    of_steps = ("initial", "steps", "passes", "seconds_per_step")
    assert [found[name] for name in of_steps] == [None] * 4, "only evaluations are counted"


def test_a_run_of_the_track(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(track("1,0,val_loss,10.5,g", "1,125,val_loss,4.0,g"))
    found = read("nanogpt-track", path)
    assert (found["initial"], found["final"], found["steps"]) == (10.5, 4.0, 125)
    assert (found["curve_train"], found["test"]) == (None, None)


def test_training_losses_stand_at_the_steps_of_the_validation_loss() -> None:
    curves = (
        Curve(metric="batch_loss", split="train", steps=(0, 9), values=(7.0, 7.0)),
        Curve(metric="ctc_loss", split="train", steps=(5,), values=(2.0,)),
        Curve(metric="ctc_loss", split="validation", steps=(0, 5), values=(4.0, 3.0)),
    )
    found = run_columns(ImportedRun(
        source="s", licence="l", origin="o", task="t", method=METHOD, curves=curves
    ))  # fmt: skip
    assert math.isnan(found["curve_train"][0])
    assert found["curve_train"][1:] == [2.0]
    assert (found["initial"], found["final"], found["steps"]) == (4.0, 3.0, 9)


METRICS = ("batch_loss", "loss", "accuracy", "learning_rate")
CURVES = st.builds(
    lambda metric, split, values, timed: Curve(
        metric=metric, split=split, steps=tuple(range(len(values))), values=tuple(values),
        seconds=tuple(map(float, range(len(values)))) if timed else (),
    ),
    st.sampled_from(METRICS), st.sampled_from(("train", "validation", "test")),
    st.lists(st.floats(), min_size=1, max_size=3), st.booleans(),
)  # fmt: skip
ENDING = Ending(
    metric="accuracy", target=0.5, higher_is_better=True, reached=False, censored=True, step=1,
    seconds=1.0, cause="unknown", limit_seconds=NAN,
)  # fmt: skip


@given(
    curves=st.lists(CURVES, max_size=5), unit=st.sampled_from(("step", "index")),
    diverged=st.booleans(), ending=st.sampled_from((None, ENDING)),
    missing=st.dictionaries(st.sampled_from(("final", "seed", "target")), st.just("said before")),
)  # fmt: skip
def test_whatever_is_empty_has_a_reason(
    curves: list[Curve], unit: Any, diverged: bool, ending: Ending | None, missing: dict[str, str]
) -> None:
    run = ImportedRun(
        source="s", licence="l", origin="o", task="t", method=METHOD, step_unit=unit,
        curves=tuple(curves), diverged=diverged, ending=ending, missing=missing,
    )  # fmt: skip
    told, columns = with_reasons(run), run_columns(run)
    empty = {name for name, value in columns.items() if value is None}
    assert empty <= set(told.missing) == empty | set(missing)
    assert told.missing.items() >= missing.items()
    assert repr(run_columns(told)) == repr(columns)
    curve = {name for name in columns if name.startswith("curve_")} - empty
    assert len({len(columns[name]) for name in curve}) <= 1
