"""What is not ours is never written over, and what lies beside it is not counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from journals import RECIPES, filled
from stopping import stop_at_move_into

from knowledge_base.journal import Journal
from knowledge_base.manifest import check_place
from knowledge_base.store import SHIPPED, check_hashes, check_pack_place, pack
from probes.errors import UserError

ALWAYS = ("runs.parquet", "recipes.json", "profiles.parquet")
HASHES = dict.fromkeys(ALWAYS, "0")
FOREIGN = {
    "of a web page": {"manifest.json": '{"name": "app", "icons": []}'},
    "of an extension": {"manifest.json": '{"schema": "3", "files": {}}'},
    "with a list of files": {"manifest.json": '{"schema": 1, "files": ["runs.parquet"]}'},
    "with other files": {"manifest.json": '{"schema": 1, "files": {"a": "0"}}'},
    "a list": {"manifest.json": "[]"},
    "torn": {"manifest.json": "{"},
    "recipes alone": {"recipes.json": '["bread"]'},
    "a file beside a pack": {
        "manifest.json": json.dumps({"schema": 1, "files": HASHES}), "refused.json": "[]",
    },
}  # fmt: skip


@pytest.mark.parametrize("files", FOREIGN.values(), ids=FOREIGN.keys())
def test_files_of_somebody_else_stay_as_they_are(tmp_path: Path, files: dict[str, str]) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(UserError, match="give another folder"):
        pack(Journal(tmp_path / "journal.log"), folder, "a test", {})
    assert {path.name: path.read_text() for path in folder.iterdir()} == files


@pytest.mark.parametrize("before", ["nothing", "a pack", "a pack without refused.json"])
def test_a_pack_that_is_stopped_is_no_pack_and_in_no_ones_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """Stopped before it puts a file in its place, at each of them, and then packed again."""
    with (journal := filled(tmp_path)):
        reason = {"task": "wine-mlp-1", "recipe": RECIPES[0].key, "reason": "no"}
        journal.append("refused", reason)
    other = Journal(tmp_path / "empty.log")
    for stop in range(len(ALWAYS) + 2):
        folder = tmp_path / str(stop)
        if before != "nothing":
            pack(other, folder, "a test", {})
        if before == "a pack without refused.json":
            (folder / "refused.json").unlink()
            manifest = json.loads((folder / "manifest.json").read_text())
            del manifest["files"]["refused.json"]
            (folder / "manifest.json").write_text(json.dumps(manifest))
        stop_at_move_into(folder, stop, monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            pack(journal, folder, "a test", {})
        monkeypatch.undo()
        if stop == 0 and before != "nothing":
            check_hashes(folder)
        else:
            with pytest.raises(UserError):
                check_hashes(folder)
        pack(journal, folder, "a test", {})
        names = {path.name for path in check_hashes(folder)}
        assert names == {path.name for path in folder.iterdir()}


def test_other_names_are_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "notes.txt").write_text("mine")
    for _ in range(2):
        pack(filled(tmp_path), tmp_path / "packed", "a test", {})
    names = {path.name for path in check_hashes(tmp_path / "packed")}
    assert names == {*ALWAYS, "refused.json", "manifest.json"}


@pytest.mark.parametrize("schema", [0, 1, 99])
def test_a_pack_of_another_release_is_ours(tmp_path: Path, schema: int) -> None:
    assert not check_place(tmp_path, ALWAYS, ALWAYS)
    assert not check_place(tmp_path / "not" / "there", ALWAYS, ALWAYS)
    (tmp_path / "manifest.json").write_text(json.dumps({"schema": schema, "files": HASHES}))
    (tmp_path / "recipes.json").write_text("{}")
    assert check_place(tmp_path, ALWAYS, ALWAYS)


def test_the_shipped_pack_may_be_packed_anew() -> None:
    check_pack_place(SHIPPED)
