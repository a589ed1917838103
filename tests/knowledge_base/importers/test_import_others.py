"""TaskSet, the optimizer track and the learned list."""

from __future__ import annotations

import gzip
import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published_files import BEST_FIRST, taskset, taskset_record, track

from knowledge_base.importers import FORMATS, ImportedMethod, ImportedRun, Report
from knowledge_base.importers.nanogpt_track import NanoGptTrack
from knowledge_base.importers.opt_list import OptList
from knowledge_base.importers.taskset import TaskSet
from probes.recipe.build import schedule_function
from probes.recipe.schema import Recipe

NAN = float("nan")


def test_taskset(tmp_path: Path) -> None:
    taskset(tmp_path, "b_task", [taskset_record(0.001), taskset_record(0.01, last=NAN)])
    taskset(tmp_path, "a_task", [taskset_record(0.001), taskset_record(0.01)])
    report = Report()
    runs = list(TaskSet().read(tmp_path, report))
    assert report.problem_count == 0
    places = [("a_task", 0), ("a_task", 1), ("b_task", 0), ("b_task", 1)]
    assert [(run.task, run.trial) for run in runs] == places
    assert [run.diverged for run in runs] == [False, False, False, True]
    assert runs[0].method is runs[2].method
    assert runs[0].method.optimizer == "adam"
    assert runs[1].method.hyperparameters["lr"] == 0.01
    assert [curve.split for curve in runs[0].curves] == ["train", "validation", "test"]
    assert runs[0].curves[1].steps == (0, 1, 2)
    assert runs[0].step_unit == "index"
    assert {"steps", "seconds", "seed"} <= set(runs[0].missing)
    assert "recipe" in runs[0].method.missing
    assert math.isnan(runs[3].curves[0].values[-1])


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (3, "expected an object, got int"),
        ({}, "under hp"),
        ({**taskset_record(), "hp": {"learning_rate": 1}}, "under hp"),
        ({**taskset_record(), "hp": {**taskset_record()["hp"], "l1": None}}, "under hp"),
        ({**taskset_record(), "valid": {"loss": [1.0, "x"]}}, "numbers at valid.loss"),
        ({**taskset_record(), "test": {"loss": []}}, "numbers at test.loss"),
        ({**taskset_record(), "train": [1.0]}, "numbers at train.loss"),
    ],
)
def test_malformed_records_of_taskset(tmp_path: Path, bad: Any, said: str) -> None:
    path = taskset(tmp_path, "task", [taskset_record(), bad, taskset_record(0.1)])
    report = Report()
    runs = list(TaskSet().read(path, report))
    assert [run.trial for run in runs] == [0, 2]
    (problem,) = report.problems
    assert (problem.file, problem.line) == (str(path), 1)
    assert problem.message.startswith("record 1: ")
    assert said in problem.message


@pytest.mark.parametrize("zipped", [True, False])
def test_optimizer_track(tmp_path: Path, zipped: bool) -> None:
    text = track(
        "7,100,val_loss,4.5,20260503_adamw", "7,0,val_loss,10.5,20260503_adamw",
        "8,0,val_loss,10.25,20260503_contra_muon", "8,0,val_loss,nan,abc-def.txt",
    )  # fmt: skip
    path = tmp_path / ("curves.csv.gz" if zipped else "curves.csv")
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    report = Report()
    runs = list(NanoGptTrack().read(path, report))
    assert report.problem_count == 0
    assert [(run.trial, run.method.optimizer, run.method.in_catalogue) for run in runs] == [
        (7, "adamw", True), (8, "contra_muon", False), (8, "abc-def.txt", False),
    ]  # fmt: skip
    (curve,) = runs[0].curves
    assert (curve.metric, curve.split) == ("loss", "validation")
    assert (curve.steps, curve.values) == ((0, 100), (10.5, 4.5))
    assert [run.diverged for run in runs] == [False, False, True]
    assert "hyperparameters" in runs[0].method.missing


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("7,1,val_loss,1.0", "expected 5 cells, got 4"),
        ("7,x,val_loss,1.0,g", "a run, group and step"),
        ("7,-1,val_loss,1.0,g", "a run, group and step"),
        ("7,1,val_loss,one,g", "a number as value, got 'one'"),
        ("7,1,accuracy,1.0,g", "expected val_loss, got 'accuracy'"),
        ("7,1,val_loss,1.0,", "a run, group and step"),
    ],
)
def test_malformed_lines_of_the_track(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "curves.csv"
    path.write_text(track("7,0,val_loss,2.0,g", line, "7,2,val_loss,1.5,g"))
    report = Report()
    (run,) = NanoGptTrack().read(path, report)
    assert run.curves[0].steps == (0, 2)
    (problem,) = report.problems
    assert problem.line == 3
    assert said in problem.message


def test_a_track_without_a_column(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    path.write_text("run_id,step,metric,value\n7,0,val_loss,1.0\n")
    report = Report()
    assert list(NanoGptTrack().read(path, report)) == []
    assert (report.problems[0].line, "column group" in report.problems[0].message) == (1, True)


def _list(path: Path, *records: Any) -> tuple[list[ImportedMethod], Report]:
    path.write_text(json.dumps(records))
    report = Report()
    return list(OptList().read(path, report)), report


@pytest.mark.parametrize("nesterov", [True, False])
def test_the_learned_list(tmp_path: Path, nesterov: bool) -> None:
    record = {**BEST_FIRST, "use_nesterov": nesterov}
    (method,), report = _list(tmp_path / "list.json", record)
    assert report.problem_count == 0
    assert method.optimizer == ("nadamw" if nesterov else "adamw")
    assert ("momentum" in method.missing) == nesterov
    assert "l2_weight_decay" not in method.missing
    assert method.recipe is not None
    optimizer = Recipe.parse(method.recipe).optimizer
    values = [optimizer[name] for name in ("lr", "beta1", "beta2", "eps", "weight_decay")]
    assert values == [0.001, 0.9, 0.99, 1e-6, 0.02]


def test_the_rate_of_the_learned_list(tmp_path: Path) -> None:
    """Rise over a tenth, held until 0.55, then half a cosine to a thousandth."""
    (method,), _ = _list(tmp_path / "list.json", BEST_FIRST)
    rate = schedule_function(Recipe.parse(method.recipe).schedule)
    total = 10_000
    for share in (0.0, 0.05, 0.1, 0.3, 0.55, 0.7, 0.9, 0.9999):
        fall = 0.5 + 0.5 * math.cos(math.pi * max(0.0, (share - 0.55) / 0.45))
        expected = min(share / 0.1, 0.001 + 0.999 * fall)
        assert rate(int(share * total), total) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(
    ("change", "name", "has_recipe"),
    [
        ({"l2_weight_decay": 0.1}, "l2_weight_decay", True),
        ({"constant_fraction": 0.9999}, "constant_fraction", True),
        ({"constant_fraction": 1.0}, "constant_fraction", True),
        ({"epsilon": 1e9}, "recipe", False),
        ({"warmup_fraction": 0.09, "constant_fraction": 0.01}, "epsilon", True),
    ],
)
def test_what_the_catalogue_cannot_say(
    tmp_path: Path, change: dict[str, float], name: str, has_recipe: bool
) -> None:
    (method,), _ = _list(tmp_path / "list.json", {**BEST_FIRST, **change})
    assert name in method.missing
    assert (method.recipe is not None) == has_recipe


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ([], "expected an object, got list"),
        ({**BEST_FIRST, "beta1": "x"}, "a number at beta1"),
        ({**BEST_FIRST, "epsilon": NAN}, "a number at epsilon"),
        ({**BEST_FIRST, "use_nesterov": 1}, "true or false at use_nesterov"),
    ],
)
def test_malformed_records_keep_their_rank(tmp_path: Path, bad: Any, said: str) -> None:
    last = {**BEST_FIRST, "beta1": 0.8}
    methods, report = _list(tmp_path / "list.json", BEST_FIRST, bad, last)
    assert [method.rank for method in methods] == [1, 3]
    (problem,) = report.problems
    assert said in problem.message


def _whole(name: str) -> tuple[str, bytes]:
    texts = {
        "taskset": ("task.json", json.dumps([taskset_record(), taskset_record(0.1, NAN)])),
        "nanogpt-track": ("c.csv", track("7,0,val_loss,2.0,g", "8,5,val_loss,1.0,20260101_muon")),
        "opt-list": ("list.json", json.dumps([BEST_FIRST, BEST_FIRST], indent=1)),
    }
    file, text = texts[name]
    return file, text.encode()


@pytest.mark.parametrize("name", ["taskset", "nanogpt-track", "opt-list"])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_corruption_never_raises(name: str, data: st.DataObject) -> None:
    file, whole = _whole(name)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.one_of(st.just(len(whole)), st.integers(start, len(whole))))
    junk = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from(
        [b"", b"x", b",", b"\n", b"null", b"1e999", b"\xff", b"[" * 5000, b"9" * 5000]
    )))  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        path.write_bytes(whole[:start] + junk + whole[end:])
        report = Report()
        found: Iterator[ImportedRun | ImportedMethod] = FORMATS[name].read(path, report)
        count = len(list(found))
        assert count > 0 or report.problem_count > 0 or start <= len(whole) // 2
        for problem in report.problems:
            assert problem.file == str(path)
