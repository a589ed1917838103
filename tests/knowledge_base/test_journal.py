"""A journal is a file of records: what is none is neither read as one nor written to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from journals import filled, run

from knowledge_base.journal import Journal
from knowledge_base.state import State
from knowledge_base.store import pack
from probes.errors import UserError

NO_STORES = {
    "text": b"# Read me\n\nhello\n", "without an end": b"notes",
    "binary": b"\x7fELF\x02\x01\x00\n\xff", "JSON": b'{"kind": "run"}\n',
    "blank and text": b"\n\nnotes\n", "other checksums": b"deadbeef\tfile.txt\n",
    "one long line": b"x" * (3 << 20),
}  # fmt: skip


@pytest.mark.parametrize("data", NO_STORES.values(), ids=NO_STORES.keys())
def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path: Path, data: bytes) -> None:
    journal = Journal(tmp_path / "other")
    journal.path.write_bytes(data)
    wanted = "expected the store of a build, got .*/other, which holds no record of one; give "
    with pytest.raises(UserError, match=wanted), journal:
        pass
    with pytest.raises(UserError, match=wanted):
        State.of(journal)
    with pytest.raises(UserError, match=wanted):
        pack(journal, tmp_path / "packed", "a test", {})
    assert journal.path.read_bytes() == data
    assert not journal.held(), "the lock is given back"


@pytest.mark.parametrize("blank", [b"", b"\n", b" \n\n"])
def test_an_empty_file_is_a_store(tmp_path: Path, blank: bytes) -> None:
    journal = Journal(tmp_path / "journal.log")
    journal.path.write_bytes(blank)
    with journal:
        journal.append("run", run())
    assert [kind for kind, _ in journal.read()] == ["run"]


@pytest.mark.parametrize("left", [3, 8, 9, 10, 14, 40])
def test_a_store_whose_only_line_is_torn_is_one(tmp_path: Path, left: int) -> None:
    journal = Journal(tmp_path / "journal.log")
    with journal:
        journal.append("stage", {"stage": "reference", "total": 5, "began": 1.0})
    journal.path.write_bytes(journal.path.read_bytes()[:left])
    with journal:
        journal.append("stage", {"stage": "repeat", "total": 5, "began": 1.0})
    state = State.of(journal)
    assert state.stage is not None
    assert (state.stage.name, len(state.damaged)) == ("repeat", 1)


def test_a_store_that_cannot_be_read_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = filled(tmp_path)

    def denied(*arguments: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("knowledge_base.journal.open", denied, raising=False)
    with pytest.raises(UserError, match=r"a store that can be read, got .*Permission denied"):
        State.of(journal)


def test_what_is_no_file_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a folder; add a file name"):
        State.of(Journal(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(UserError, match="no regular file"):
            State.of(Journal(place))
        with pytest.raises(UserError, match="no regular file"), Journal(place):
            pass
    with pytest.raises(UserError, match="a store that can be read"):
        State.of(Journal(tmp_path / "a\0b"))
