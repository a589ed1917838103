"""Imported records on the disk: round trip, hashes, replacement, speed."""

from __future__ import annotations

import json
import tarfile
import time
from pathlib import Path

import pytest
from published_files import BEST_FIRST, HEADER, ROWS, taskset, taskset_record, track, trial
from stopping import stop_at_move_into

from knowledge_base.importers import FORMATS, Report, import_results, load_imported, load_methods
from probes.errors import UserError


def test_round_trip_of_all_formats(tmp_path: Path) -> None:
    published, out = tmp_path / "published", tmp_path / "out"
    for name in FORMATS:
        (published / name).mkdir(parents=True)
    for number in (1, 2):
        trial(published / "algoperf", f"amos/study_0/wmt_jax/trial_{number}", rows=ROWS[:-number])
    trial(published / "algoperf", meta={})
    taskset(published / "taskset", "task", [taskset_record(), taskset_record(0.1)])
    (published / "nanogpt-track" / "c.csv").write_text(track("1,0,val_loss,2.0,g"))
    (published / "opt-list" / "l.json").write_text(json.dumps([BEST_FIRST]))
    everything = []
    for name, importer in FORMATS.items():
        summary = import_results(published / name, name, out)
        expected = list(importer.read(published / name, Report()))
        if name == "opt-list":
            assert load_methods(out, [name]) == expected
        else:
            loaded = load_imported(out, [name])
            assert loaded == expected
            assert summary.runs == len(expected)
            everything += loaded
        assert summary.problem_count == 0
    assert sorted(run.origin for run in load_imported(out)) == sorted(
        run.origin for run in everything
    )
    manifest = json.loads((out / "algoperf" / "manifest.json").read_text())
    assert manifest["schema"] == 1
    assert manifest["licence"] == "Apache-2.0"
    assert manifest["counts"]["by_task"] == {"imagenet_vit": 1, "wmt": 2}
    assert manifest["counts"]["censored"] == 1


def test_an_archive_is_the_same_as_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    for number in range(3):
        trial(folder, f"baseline/study_0/wmt_jax/trial_{number}")
    with tarfile.open(tmp_path / "logs.tar.xz", "w:xz") as archive:
        # all files of one name first: a trial's files need not lie together
        for path in sorted(folder.rglob("*.*"), key=lambda path: path.name):
            archive.add(path, path.relative_to(tmp_path))
    import_results(folder, "algoperf", tmp_path / "a")
    import_results(tmp_path / "logs.tar.xz", "algoperf", tmp_path / "b")
    first, second = (load_imported(tmp_path / name) for name in "ab")
    assert sorted(map(repr, first)) == sorted(map(repr, second))
    assert len(first) == 3


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    taskset(tmp_path, "task", [taskset_record()])
    import_results(tmp_path / "task.json", "taskset", tmp_path / "out")
    return tmp_path / "out"


def test_a_later_import_replaces_the_earlier_if_asked_to(imported: Path, tmp_path: Path) -> None:
    taskset(tmp_path, "other", [taskset_record(), taskset_record(0.1)])
    with pytest.raises(UserError, match=r"got 1 record in .*taskset; add --replace"):
        import_results(tmp_path / "other.json", "taskset", imported)
    assert {run.task for run in load_imported(imported)} == {"task"}
    summary = import_results(tmp_path / "other.json", "taskset", imported, replace=True)
    assert (summary.runs, summary.replaced) == (2, 1)
    assert {run.task for run in load_imported(imported)} == {"other"}
    names = {path.name for path in (imported / "taskset").iterdir()}
    assert names == {"runs.parquet", "methods.json", "manifest.json"}


@pytest.mark.parametrize("content", ["nothing", "malformed"])
def test_a_failed_import_leaves_the_earlier(imported: Path, tmp_path: Path, content: str) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    if content == "malformed":
        (bad / "task.json").write_text("[3]")
    before = load_imported(imported)
    with pytest.raises(UserError) as error:
        import_results(bad, "taskset", imported, replace=True)
    assert "expected TaskSet files" in str(error.value)
    assert ("record 0" in str(error.value)) == (content == "malformed")
    assert load_imported(imported) == before


@pytest.mark.parametrize("stop", range(3))
def test_an_import_that_is_stopped_is_not_read_and_may_be_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    path = taskset(tmp_path, "task", [taskset_record()])
    stop_at_move_into(tmp_path / "out" / "taskset", stop, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        import_results(path, "taskset", tmp_path / "out")
    monkeypatch.undo()
    with pytest.raises(UserError):
        load_imported(tmp_path / "out")
    import_results(path, "taskset", tmp_path / "out", replace=True)
    assert len(load_imported(tmp_path / "out")) == 1


def test_nothing_is_left_where_nothing_was(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="expected AlgoPerf logs"):
        import_results(tmp_path / "empty", "algoperf", tmp_path / "out")
    with pytest.raises(UserError, match="expected imported results"):
        load_imported(tmp_path / "out")
    assert not (tmp_path / "out" / "algoperf").exists()


@pytest.mark.parametrize("name", ["runs.parquet", "methods.json"])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_changed_files_are_refused(imported: Path, name: str, damage: str) -> None:
    path = imported / "taskset" / name
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(UserError, match=f"{name} as its manifest describes it"):
        load_imported(imported)


@pytest.mark.parametrize(
    "text", ['{"schema": 2}', "[]", "{", '{"schema": 1}', '{"schema": 1, "files": 3}']
)
def test_other_manifests_are_refused(imported: Path, text: str) -> None:
    (imported / "taskset" / "manifest.json").write_text(text)
    with pytest.raises(UserError):
        load_imported(imported)


@pytest.mark.parametrize("name", ["manifest.json", "methods.json"])
@pytest.mark.parametrize("replace", [False, True])
def test_files_of_somebody_else_stay_as_they_are(tmp_path: Path, name: str, replace: bool) -> None:
    path = taskset(tmp_path, "task", [taskset_record()])
    mine = tmp_path / "out" / "taskset" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("{}")
    with pytest.raises(UserError, match=f"{name} that .*give another folder"):
        import_results(path, "taskset", tmp_path / "out", replace=replace)
    assert (mine.read_text(), [*mine.parent.iterdir()]) == ("{}", [mine])


@pytest.mark.parametrize("counts", [None, [], {"by_source": 3}, {"by_source": {"a": "b"}}])
def test_counts_that_are_none_stand_in_nobodys_way(
    imported: Path, tmp_path: Path, counts: object
) -> None:
    path = imported / "taskset" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "counts": counts}))
    summary = import_results(tmp_path / "task.json", "taskset", imported, replace=True)
    assert (summary.runs, summary.replaced) == (1, 0)


def test_unknown_names(imported: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean taskset"):
        import_results(tmp_path, "task-set", imported)
    with pytest.raises(UserError, match="imported results of algoperf"):
        load_imported(imported, ["algoperf"])


def test_a_place_that_is_a_file(tmp_path: Path) -> None:
    path = taskset(tmp_path, "task", [taskset_record()])
    with pytest.raises(UserError, match="a folder that can be written"):
        import_results(path, "taskset", path)


@pytest.mark.slow
def test_two_thousand_trials_take_less_than_a_minute(tmp_path: Path) -> None:
    evaluation = "0.1234567890123456,1.2345678901234567"
    rows = tuple(
        f"{step},1.23456789,2.3456789,,,,,,,,,,,,," if step % 500 else
        f"{step},,,{evaluation},{evaluation},50000,{evaluation},10000,{step},{step},{step},{step},0"
        for step in range(0, 50_000, 100)
    )  # fmt: skip
    assert {row.count(",") for row in rows} == {HEADER.count(",")}
    for number in range(2000):
        place = f"baseline/study_{number // 500}/wmt_jax/trial_{number % 500}"
        trial(tmp_path / "logs", place, rows=rows, hparams={"learning_rate": 1 / (number + 1)})
    began = time.monotonic()
    summary = import_results(tmp_path / "logs", "algoperf", tmp_path / "out")
    assert time.monotonic() - began < 60
    assert (summary.runs, summary.problem_count) == (2000, 0)
    print(f"2000 trials, {summary.points} points: {summary.seconds:.1f} s")


def test_a_newer_schema_is_refused(imported: Path) -> None:
    path = imported / "taskset" / "manifest.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(UserError, match="schema 1, got schema 2"):
        load_imported(imported)
