"""What is published twice counts once; what contradicts itself is named by file and line."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest
from published_files import BEST_FIRST, ROWS, taskset, taskset_record, track, trial

from knowledge_base.importers import FORMATS, ImportedRun, Report

NAN = float("nan")


def read(name: str, path: Path) -> tuple[list[ImportedRun], list[str]]:
    report = Report()
    runs = [run for run in FORMATS[name].read(path, report) if isinstance(run, ImportedRun)]
    return runs, [str(problem).removeprefix(f"{path}") for problem in report.problems]


def test_rows_of_a_log_that_are_there_twice(tmp_path: Path) -> None:
    folder = trial(tmp_path, rows=(*ROWS, *ROWS))
    runs, problems = read("algoperf", folder)
    assert problems == ["/measurements.csv: left out 6 exact repetitions of a row"]
    assert runs == read("algoperf", trial(tmp_path))[0]


def test_rows_of_a_log_that_contradict(tmp_path: Path) -> None:
    rows = ("100,1.5,nan,,,,,,,,,,,,,", "100,1.5,2.0,,,,,,,,,,,,,", "100,,,0.5,,,,,,,,,,,,")
    folder = trial(tmp_path, rows=(ROWS[0], *rows))
    (run,), problems = read("algoperf", folder)
    assert problems == [
        "/measurements.csv:4: loss 2 at step 100, nan in line 3; the first is kept"
    ]  # fmt: skip
    curves = {(curve.split, curve.metric): curve for curve in run.curves}
    assert repr(curves["train", "batch_loss"].values) == "(2.5, nan)"
    assert curves["train", "accuracy"].values == (0.5,), "a step may be told in several rows"


def test_many_contradictions_are_summed_up(tmp_path: Path) -> None:
    folder = trial(tmp_path, header="global_step,loss", rows=tuple(f"0,{i}" for i in range(31)))
    _, problems = read("algoperf", folder)
    assert len(problems) == 21
    assert problems[-1] == "/measurements.csv: 10 more contradictions"


@pytest.mark.parametrize("changed", [False, True])
def test_a_trial_that_is_there_twice(tmp_path: Path, changed: bool) -> None:
    folder = trial(tmp_path / "logs" / "a")
    shutil.copytree(tmp_path / "logs" / "a", tmp_path / "logs" / "b")
    if changed:
        trial(tmp_path / "logs" / "b", rows=ROWS[:3])
    (run,), problems = read("algoperf", tmp_path / "logs")
    assert run == read("algoperf", folder)[0][0]
    shown = "/b/baseline/study_0/imagenet_vit_jax/trial_1: "
    assert problems == [
        f"{shown}trial is told otherwise than trial of {folder}; the first is kept" if changed
        else f"{shown}left out 1 exact repetition of a trial"
    ]  # fmt: skip


MALFORMED = {
    "measurements.csv": "step,loss\n1,2\n", "hparams.json": "[1]", "meta_data_0.json": "",
}  # fmt: skip


@pytest.mark.parametrize("file", MALFORMED)
@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("bad", ["a", "b"])
def test_a_copy_that_cannot_be_used_stands_in_no_other_ones_way(
    tmp_path: Path, file: str, gone: bool, bad: str
) -> None:
    for name in "ab":
        folder = trial(tmp_path / name)
        if name != bad:
            continue
        if gone:
            (folder / file).unlink()
            expected = f"/{folder.relative_to(tmp_path)}: expected a trial with {file}"
        else:
            (folder / file).write_text(MALFORMED[file])
            expected = f"/{folder.relative_to(tmp_path)}/{file}:1: expected "
    runs, problems = read("algoperf", tmp_path)
    assert [run.origin for run in runs] == ["baseline/study_0/imagenet_vit_jax/trial_1"]
    (problem,) = problems
    assert problem.startswith(expected)


@pytest.mark.parametrize("above", ["", "logs/"])
def test_rulesets_are_told_apart(tmp_path: Path, above: str) -> None:
    places = [f"{rules}/baseline/study_0/wmt_jax/trial_1" for rules in ("external", "self")]
    places = [place.replace("/", "_tuning/", 1) for place in places]
    for count, place in enumerate((*places, places[0].partition("/")[2]), start=3):
        trial(tmp_path, f"{above}{place}", rows=ROWS[:count])
    runs, problems = read("algoperf", tmp_path)
    assert problems == []
    assert {run.origin for run in runs} == {*places, "baseline/study_0/wmt_jax/trial_1"}
    assert read("algoperf", tmp_path / f"{above}self_tuning" / "baseline")[0] == [
        run for run in runs if run.origin == places[1]
    ]


def test_members_that_an_archive_has_twice(tmp_path: Path) -> None:
    folder = trial(tmp_path)
    with tarfile.open(tmp_path / "logs.tar", "w") as archive:
        for path in sorted(folder.iterdir()) * 2:
            archive.add(path, path.relative_to(tmp_path))
    runs, problems = read("algoperf", tmp_path / "logs.tar")
    assert (len(runs), len(problems)) == (1, 3)


def test_a_malformed_member_that_an_archive_has_again_whole(tmp_path: Path) -> None:
    folder = trial(tmp_path)
    with tarfile.open(tmp_path / "logs.tar", "w") as archive:
        for text in (MALFORMED["measurements.csv"], (folder / "measurements.csv").read_text()):
            (folder / "measurements.csv").write_text(text)
            for path in sorted(folder.iterdir()):
                archive.add(path, path.relative_to(tmp_path))
    runs, problems = read("algoperf", tmp_path / "logs.tar")
    assert len(runs) == 1
    assert [problem.partition("jax/trial_1/")[2][:30] for problem in problems] == [
        "measurements.csv:1: expected a", "hparams.json: left out 1 exact",
        "meta_data_0.json: left out 1 e",
    ]  # fmt: skip


def test_records_that_are_there_twice(tmp_path: Path) -> None:
    diverged = taskset_record(last=NAN)
    records = [diverged, taskset_record(0.1), diverged, taskset_record(0.1, last=0.25)]
    path = taskset(tmp_path, "task", records)
    runs, problems = read("taskset", path)
    assert [run.trial for run in runs] == [0, 1]
    assert problems == [
        f":1: record 3 is told otherwise than record 1 of {path}; the first is kept",
        ": left out 1 exact repetition of a record",
    ]
    assert runs[1].curves[0].values[-1] == 0.5


def test_configurations_that_are_there_twice_keep_their_rank(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps([BEST_FIRST, BEST_FIRST, {**BEST_FIRST, "beta1": 0.8}]))
    report = Report()
    methods = list(FORMATS["opt-list"].read(path, report))
    assert [getattr(method, "rank", None) for method in methods] == [1, 3]
    assert [str(problem) for problem in report.problems] == [
        f"{path}: left out 1 exact repetition of a record"
    ]


TRACKS = {
    "a row twice": (("0,2.0", "1,1.0", "1,1.00"), [(2.0, 1.0)], [": left out 1 exact"]),
    "the first row twice": (("0,2.0", "0,2.0", "1,1.0"), [(2.0, 1.0)], [": left out 1 exact"]),
    "NaN twice": (("0,2.0", "1,nan", "1,nan"), [(2.0, NAN)], [": left out 1 exact"]),
    "a contradiction": (
        ("0,2.0", "7,1e308", "7,-1e308"), [(2.0, 1e308)],
        [":4: val_loss -1e+308 at step 7, 1e+308 in line 3; the first is kept"],
    ),
    "another start alone": (
        ("0,2.0", "1,1.0", "0,3.0"), [(2.0, 1.0)],
        [":4: val_loss 3 at step 0, 2 in line 2; the first is kept"],
    ),
    "runs one after the other": (
        ("0,2.0", "1,1.0", "0,2.0", "1,1.5", "0,2.0", "1,0.5"),
        [(2.0, 1.0), (2.0, 1.5), (2.0, 0.5)], [],
    ),
    "a run twice": (
        ("0,2.0", "1,1.0", "2,0.5", "0,2.0", "1,1.0"), [(2.0, 1.0, 0.5)], [": left out 2 exact"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "curves", "said"), TRACKS.values(), ids=TRACKS.keys())
def test_the_track(
    tmp_path: Path, rows: tuple[str, ...], curves: list[tuple[float, ...]], said: list[str]
) -> None:
    path = tmp_path / "curves.csv"
    lines = [f"9,{step},val_loss,{value},g" for step, value in (row.split(",") for row in rows)]
    path.write_text(track(*lines))
    runs, problems = read("nanogpt-track", path)
    assert repr([run.curves[0].values for run in runs]) == repr(curves)
    assert [problem.startswith(start) for problem, start in zip(problems, said, strict=True)] == [
        True for _ in said
    ]
    counted = [run.numbers.get("repetition") for run in runs]
    assert counted == ([None] if len(runs) == 1 else list(range(1, len(runs) + 1)))
    assert len({run.origin for run in runs}) == len(runs)
    assert {run.trial for run in runs} == {9}


def test_a_track_that_is_there_twice(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(track("9,0,val_loss,2.0,g", "8,0,val_loss,2.0,g"))
    runs, problems = read("nanogpt-track", tmp_path)
    assert [run.origin for run in runs] == ["g#9", "g#8"]
    assert problems == ["/b.csv: left out 2 exact repetitions of a run"]
