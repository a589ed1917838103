"""The journal loses nothing that was written, and the packed files are what the manifest says."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import resource
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journals import RECIPES, filled, run
from pydantic import ValidationError

from knowledge_base.journal import Journal
from knowledge_base.records import RunRecord
from knowledge_base.store import (
    check_hashes,
    load_profiles,
    load_recipes,
    load_runs,
    pack,
    read_json,
)
from probes.errors import UserError
from probes.recipe.schema import Recipe

TEXTS = st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.dictionaries(TEXTS.filter(lambda name: name != "kind"), VALUES, max_size=4)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=st.lists(st.tuples(st.sampled_from(["run", "recipe", "profile"]), RECORDS)))
def test_what_is_appended_is_read(
    tmp_path: Path, records: list[tuple[str, dict[str, Any]]]
) -> None:
    path = tmp_path / "journal.log"
    path.unlink(missing_ok=True)
    for part in (records[:2], records[2:]):  # opened again it goes on
        with Journal(path) as journal:
            for kind, record in part:
                journal.append(kind, record)
    damaged: list[str] = []
    assert list(Journal(path).read(damaged)) == records
    assert damaged == []


def test_a_journal_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert list(Journal(tmp_path / "none.log").read()) == []


def test_a_line_is_the_checksum_and_the_json(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.log") as journal:
        journal.append("run", {"a": [1, 2]})
    checksum, text = (tmp_path / "journal.log").read_bytes().rstrip(b"\n").split(b"\t")
    assert json.loads(text) == {"kind": "run", "a": [1, 2]}
    assert int(checksum, 16) == zlib.crc32(text)


@pytest.mark.parametrize("cut", [1, 5, 9, 30])
def test_a_torn_last_line_costs_that_line_alone(tmp_path: Path, cut: int) -> None:
    journal = filled(tmp_path)
    whole = list(journal.read())
    data = journal.path.read_bytes()
    journal.path.write_bytes(data[:-cut])
    with journal:
        journal.append("recipe", {"key": "after"})
    damaged: list[str] = []
    found = list(journal.read(damaged))
    # without its line break alone the last record is whole
    kept = whole if cut == 1 else whole[:-1]
    assert found == [*kept, ("recipe", {"key": "after"})]
    assert damaged == (
        [] if cut == 1 else [f"{journal.path}:{len(whole)}: torn or foreign line, set aside"]
    )


@pytest.mark.parametrize("position", range(0, 60, 7))
def test_a_changed_byte_is_noticed(tmp_path: Path, position: int) -> None:
    journal = filled(tmp_path)
    whole = list(journal.read())
    lines = journal.path.read_bytes().splitlines(keepends=True)
    changed = bytearray(lines[2])
    changed[position] ^= 1
    journal.path.write_bytes(b"".join([*lines[:2], bytes(changed), *lines[3:]]))
    damaged: list[str] = []
    assert list(journal.read(damaged)) == [*whole[:2], *whole[3:]]
    assert [line.split(":")[-2] for line in damaged] == ["3"]


FOREIGN = [b"hello", b"00000000", b"00000000\t", b"\x00" * 40, b"\xff\xfe\t{}", b"{}",
           b"%08x\t[1]" % zlib.crc32(b"[1]"), b"%08x\t{}" % zlib.crc32(b"{}"),
           b"%08x\tno json" % zlib.crc32(b"no json")]  # fmt: skip


@pytest.mark.parametrize("line", FOREIGN)
def test_a_foreign_line_is_named_and_set_aside(tmp_path: Path, line: bytes) -> None:
    journal = filled(tmp_path)
    whole = list(journal.read())
    lines = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(b"".join([lines[0], line + b"\n", b"\n", *lines[1:]]))
    damaged: list[str] = []
    assert list(journal.read(damaged)) == whole
    assert damaged == [f"{journal.path}:2: torn or foreign line, set aside"]
    assert pack(journal, tmp_path / "packed", "a test", {})["counts"]["set_aside"] == 1


def test_what_is_appended_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut takes what only the system has: each append waits for the disk."""
    path = tmp_path / "journal.log"
    synced: dict[int, int] = {}
    sync = os.fsync

    def note(descriptor: int) -> None:
        sync(descriptor)
        synced[os.fstat(descriptor).st_ino] = os.fstat(descriptor).st_size

    monkeypatch.setattr(os, "fsync", note)
    with Journal(path) as journal:
        assert tmp_path.stat().st_ino in synced, "the file's own entry, too"
        for count in range(3):
            journal.append("run", {"count": count})
            assert synced[path.stat().st_ino] == path.stat().st_size
        journal.extend([("run", {"count": 3}), ("run", {"count": 4})])
        assert synced[path.stat().st_ino] == path.stat().st_size


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    with Journal(path):
        with pytest.raises(UserError, match="locked"), Journal(path):
            pass
        script = (
            "import sys, pathlib\n"
            "from knowledge_base.journal import Journal\n"
            "from probes.errors import UserError\n"
            "try:\n"
            "    with Journal(pathlib.Path(sys.argv[1])): pass\n"
            "except UserError: sys.exit(7)\n"
        )
        other = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
        assert other.returncode == 7
    with Journal(path) as journal:  # free again
        journal.append("run", {})


def test_an_error_inside_gives_the_lock_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    with Journal(path) as journal:
        journal.append("run", {"a": 1})
    with pytest.raises(TypeError), Journal(path) as journal:
        journal.append("run", {"b": object()})
    with Journal(path) as journal:
        assert list(journal.read()) == [("run", {"a": 1})]


def test_a_full_disk_is_told_and_leaves_no_half_record(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    whole = journal.path.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 100, before[1]))
        try:
            with pytest.raises(UserError, match="a disk that takes another record"):
                journal.append("run", {"text": "x" * 500})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert journal.path.read_bytes() == whole
        journal.append("run", run(seed=5))
    assert journal.path.read_bytes().startswith(whole)


def test_whether_a_builder_is_at_work_can_be_seen(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.log")
    assert not journal.held(), "there is no such file"
    with journal:
        assert Journal(journal.path).held()
    assert not journal.held()
    with journal:  # the look itself left no lock
        pass


def test_a_pack_that_fails_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = filled(tmp_path)
    pack(journal, tmp_path / "packed", "a test", {})
    with journal:
        journal.append("run", run(seed=5))

    def full(*arguments: Any) -> None:
        raise OSError("no space")

    monkeypatch.setattr("knowledge_base.store.write_profiles", full)
    with pytest.raises(UserError, match="no space"):
        pack(journal, tmp_path / "packed", "a test", {})
    check_hashes(tmp_path / "packed")
    assert len(load_runs(tmp_path / "packed")["seed"]) == 4
    assert not [path for path in (tmp_path / "packed").iterdir() if path.name.startswith(".")]


def test_an_empty_journal_packs_and_loads(tmp_path: Path) -> None:
    pack(Journal(tmp_path / "journal.log"), tmp_path / "packed", "a test", {})
    assert {len(column) for column in load_runs(tmp_path / "packed").values()} == {0}
    assert load_profiles(tmp_path / "packed") == []


def _write_for_ever(path: Path) -> None:
    with Journal(path) as journal:
        count = 0
        while True:
            journal.append("run", {"count": count, "text": "x" * 500})
            count += 1


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_it_was_told_is_written(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    for _ in range(3):
        before = len(list(Journal(path).read()))
        writer = multiprocessing.get_context("spawn").Process(target=_write_for_ever, args=(path,))
        writer.start()
        while len(list(Journal(path).read())) < before + 20:
            assert writer.is_alive()
        seen = list(Journal(path).read())
        writer.kill()
        writer.join()
        found = list(Journal(path).read())
        assert found[: len(seen)] == seen


def test_pack_and_check(tmp_path: Path) -> None:
    manifest = pack(filled(tmp_path), tmp_path / "packed", "a test", {"date": "today"})
    assert manifest == read_json(tmp_path / "packed" / "manifest.json")
    assert (manifest["made_by"], manifest["date"], manifest["schema"]) == ("a test", "today", 1)
    assert manifest["counts"] == {
        "runs": 4, "recipes": 2, "profiles": 2, "refused": 0, "set_aside": 0,
    }  # fmt: skip
    packed = {path.name for path in (tmp_path / "packed").iterdir()}
    assert packed == {*manifest["files"], "manifest.json"}
    check_hashes(tmp_path / "packed")


@pytest.mark.parametrize("name", ["runs.parquet", "recipes.json", "profiles.parquet"])
def test_tampering_is_noticed(tmp_path: Path, name: str) -> None:
    pack(filled(tmp_path), tmp_path / "packed", "a test", {})
    path = tmp_path / "packed" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=f"{name} as the manifest"):
        check_hashes(tmp_path / "packed")
    path.unlink()
    with pytest.raises(UserError, match=f"{name} as the manifest"):
        check_hashes(tmp_path / "packed")


def test_manifests_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="advisor kb build"):
        check_hashes(tmp_path)
    (tmp_path / "manifest.json").write_text('{"schema": 1, "fil')
    with pytest.raises(UserError, match="complete JSON"):
        check_hashes(tmp_path)
    (tmp_path / "manifest.json").write_text('{"schema": 2, "files": {}}')
    with pytest.raises(UserError, match="schema 2"):
        check_hashes(tmp_path)
    with pytest.raises(UserError, match="packed knowledge base"):
        load_runs(tmp_path)


def test_what_is_packed_is_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    pack(filled(tmp_path), folder, "a test", {})
    runs = load_runs(folder)
    assert list(runs["final"][:3]) == [0.5, 0.5, 0.5625], "the order in which they finished"
    assert runs["seed"].tolist() == [0, 0, 1, 0]
    assert runs["role"].tolist() == ["searched", "reference", "repeat", "reference"]
    assert runs["task"].tolist() == ["wine-mlp-1"] * 3 + ["digits-mlp-1"]
    assert runs["diverged"].tolist() == [False, False, False, True]
    assert math.isnan(runs["final"][3])
    assert math.isnan(runs["test_metric"][0])
    record = run()
    for name, column in runs.items():
        np.testing.assert_array_equal(column[1], np.asarray(record[name]), err_msg=name)
    assert set(runs) == set(RunRecord.model_fields)
    assert list(load_runs(folder, ["seed", "task"])) == ["seed", "task"]
    with pytest.raises(UserError, match="runs with the column censored, got none in"):
        load_runs(folder, ["seed", "censored"])
    recipes = load_recipes(folder)
    assert {key: Recipe.parse(plain) for key, plain in recipes.items()} == {
        recipe.key: recipe for recipe in RECIPES
    }
    assert [(p["seed"], p["profile"]["values"]["data.samples"]) for p in load_profiles(folder)] == [
        (0, 100.0), (1, 101.0),
    ]  # fmt: skip


def test_packing_twice_gives_the_same_hashes(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    first = pack(journal, tmp_path / "packed", "a test", {})
    assert pack(journal, tmp_path / "packed", "a test", {}) == first
    assert pack(journal, tmp_path / "again", "a test", {}) == first


def test_a_run_whose_recipe_was_damaged_is_left_out(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    lines = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(b"".join([lines[0], b"x" + lines[1], *lines[2:]]))
    counts = pack(journal, tmp_path / "packed", "a test", {})["counts"]
    assert counts == {
        "runs": 3, "recipes": 1, "profiles": 2, "refused": 0, "set_aside": 2,
    }  # fmt: skip
    assert set(load_runs(tmp_path / "packed")["recipe"]) == {RECIPES[0].key}


def test_a_record_says_what_it_may_hold() -> None:
    with pytest.raises(ValidationError):
        run(role="lucky")
    with pytest.raises(ValidationError):
        run(comment="no such field")


HASHES = dict.fromkeys(("runs.parquet", "recipes.json", "profiles.parquet"), "0")
MANIFESTS = {
    "a list": (b"[1, 2]", "a manifest with the hashes"),
    "binary": (b"\x93NUMPY\x01\xff", "complete JSON"),
    "deep": (b"[" * 100_000, "complete JSON"),
    "torn": (b'{"schema": 1, "fi', "complete JSON"),
    "of another schema": (b'{"schema": 99}', "schema 99"),
    "without files": (b'{"schema": 1}', "a manifest with the hashes"),
    "with a list of files": (b'{"schema": 1, "files": ["runs.parquet"]}', "with the hashes"),
    "with a file too few": (b'{"schema": 1, "files": {"runs.parquet": "0"}}', "with the hashes"),
    "with wrong hashes": (
        json.dumps({"schema": 1, "files": HASHES}).encode(), "a missing or changed file",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), MANIFESTS.values(), ids=MANIFESTS.keys())
def test_a_foreign_manifest_is_refused(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text)
    (tmp_path / "runs.parquet").mkdir()
    with pytest.raises(UserError, match=said):
        check_hashes(tmp_path)


@pytest.mark.parametrize("place", ["file/journal.log", "x" * 300, "a\0b", "."])
def test_a_place_that_takes_no_store_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="a store that can be written"), Journal(tmp_path / place):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("place", ["file", "file/packed", "x" * 300])
def test_a_place_that_takes_no_pack_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="a folder that can be made"):
        pack(Journal(tmp_path / "journal.log"), tmp_path / place, "a test", {})
