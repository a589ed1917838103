"""Imported records on the disk: round trip, hashes, replacement, speed."""

from __future__ import annotations

import json
import tarfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from published_files import BEST_FIRST, HEADER, ROWS, taskset, taskset_record, track, trial
from stopping import stop_at_move_into

from knowledge_base.importers import (
    FORMATS,
    ImportedRun,
    Report,
    import_results,
    load_imported,
    load_methods,
)
from knowledge_base.importers.columns import with_reasons
from knowledge_base.manifest import sha256
from knowledge_base.records import RunRecord
from knowledge_base.store import check_hashes, load_profiles, load_recipes, load_runs
from probes.errors import UserError
from probes.recipe.schema import Recipe


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
            assert loaded == [with_reasons(run) for run in expected if isinstance(run, ImportedRun)]
            assert summary.runs == len(expected)
            everything += loaded
        assert summary.problem_count == 0
    assert sorted(run.origin for run in load_imported(out)) == sorted(
        run.origin for run in everything
    )
    manifest = json.loads((out / "algoperf" / "manifest.json").read_text())
    assert manifest["schema"] == 2
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
    assert names == {"runs.parquet", "recipes.json", "methods.json", "manifest.json"}


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


@pytest.mark.parametrize("stop", range(4))
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


@pytest.mark.parametrize("name", ["runs.parquet", "recipes.json", "methods.json"])
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
    "text", ['{"schema": 3}', "[]", "{", '{"schema": 2}', '{"schema": 2, "files": 3}']
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


@pytest.mark.parametrize("schema", [1, 3])
def test_another_schema_is_refused(imported: Path, schema: int) -> None:
    path = imported / "taskset" / "manifest.json"
    path.write_text(path.read_text().replace('"schema": 2', f'"schema": {schema}'))
    with pytest.raises(UserError, match=f"schema 2 .*, got schema {schema}; .* --replace"):
        load_imported(imported)


def test_an_import_of_the_first_schema_can_be_replaced(imported: Path, tmp_path: Path) -> None:
    """It had no recipes, and its runs no column of ours."""
    tier = imported / "taskset"
    (tier / "recipes.json").unlink()
    old = {"task": ["task"], "seed": [None], "method": ["0123456789ab"]}
    pq.write_table(pa.table(old), tier / "runs.parquet")
    manifest = json.loads((tier / "manifest.json").read_text())
    manifest["schema"] = 1
    manifest["files"] = {name: sha256(tier / name) for name in ("runs.parquet", "methods.json")}
    (tier / "manifest.json").write_text(json.dumps(manifest))
    for columns in (None, ["task", "final"]):
        with pytest.raises(UserError, match=r"runs with the column .* kb import --replace"):
            load_runs(tier, columns)
    summary = import_results(tmp_path / "task.json", "taskset", imported, replace=True)
    assert (summary.runs, summary.replaced) == (1, 1)
    assert len(load_runs(tier)["task"]) == len(load_imported(imported)) == 1


def test_imports_are_read_as_our_runs_are(tmp_path: Path) -> None:
    for number in (1, 2):
        trial(tmp_path / "logs", f"baseline/study_0/wmt_jax/trial_{number}", rows=ROWS[:-number])
    trial(tmp_path / "logs", "amos/study_0/wmt_pytorch/trial_3", meta={})
    import_results(tmp_path / "logs", "algoperf", tmp_path / "out")
    tier = tmp_path / "out" / "algoperf"
    runs = load_runs(tier)
    own = load_runs(columns=["role"])
    assert list(runs)[: len(RunRecord.model_fields)] == list(RunRecord.model_fields)
    assert set(runs["role"]) == {"imported"}
    assert "imported" not in set(own["role"])
    assert set(runs["tier"]) == {"imported:algoperf"}
    assert set(runs["licence"]) == {"Apache-2.0"}
    reached, stopped, unknown = (int(np.flatnonzero(runs["trial"] == at)[0]) for at in (1, 2, 3))
    assert [runs["censored"][place] for place in (reached, stopped, unknown)] == [False, True, None]
    assert [runs["final"][place] for place in (reached, stopped, unknown)] == [0.9, 1.1, 0.9]
    assert runs["curve_steps"][stopped].tolist() == [1, 150]
    assert runs["seed"][reached] == -7
    assert np.isnan(runs["seed"][unknown])
    assert {"seed", "initial", "passes"} <= set(runs["missing"][unknown])
    assert runs["recipe"][unknown] is None
    key = runs["recipe"][reached]
    assert Recipe.parse(load_recipes(tier)[key]).key == key == runs["recipe"][stopped]


def test_nothing_learns_from_imports_unasked(tmp_path: Path) -> None:
    taskset(tmp_path, "digits-mlp-1", [taskset_record(), taskset_record(0.1)])
    import_results(tmp_path / "digits-mlp-1.json", "taskset", tmp_path / "out")
    tier = tmp_path / "out" / "taskset"
    with pytest.raises(UserError, match=r"no .*profiles\.parquet"):
        load_profiles(tier)
    with pytest.raises(UserError, match="expected a knowledge base of schema 1, got schema 2"):
        check_hashes(tier)
