"""A file is there as a whole or as it was before."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from probes.errors import UserError
from probes.files import as_path, check_writable, write_text

TEXT = "one\nzwölf\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.json"
    path.write_text("as it was")
    return path


def test_what_is_written_is_read(tmp_path: Path, file: Path) -> None:
    for path in (tmp_path / "new.json", file):
        write_text(path, TEXT)
        assert path.read_bytes() == TEXT.encode(), "UTF-8 and the same line ends everywhere"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file.json", "new.json"]


def refuse(*args: Any, **settings: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace")])
def test_what_was_there_stays_when_writing_fails(
    file: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    monkeypatch.setattr(owner, name, refuse)
    with pytest.raises(UserError, match="No space left on device"):
        write_text(file, TEXT)
    assert file.read_text() == "as it was"
    assert list(file.parent.iterdir()) == [file], "nothing half written is left behind"


def test_what_was_there_stays_when_the_text_cannot_be_encoded(file: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "half of it \ud800")
    assert file.read_text() == "as it was"
    assert list(file.parent.iterdir()) == [file]


def test_a_reader_sees_the_old_text_until_the_new_one_is_whole(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    replace = Path.replace

    def watch(self: Path, target: Path) -> Path:
        seen.extend((file.read_text(), self.read_text(encoding="utf-8")))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watch)
    write_text(file, TEXT)
    assert seen == ["as it was", TEXT]


def test_a_link_stays_a_link(tmp_path: Path, file: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    write_text(link, TEXT)
    assert link.is_symlink()
    assert file.read_text(encoding="utf-8") == TEXT


def test_a_device_is_written_to_and_not_replaced() -> None:
    write_text(Path(os.devnull), TEXT)
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize(("path", "message"), [(".", "folder"), ("none/file.json", "create")])
def test_where_no_file_can_be(tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        write_text(tmp_path / path, TEXT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (".", "folder"),
        ("none/file.json", "create"),
        ("x" * 300, "File name too long"),
        ("x" * 300 + "/file.json", "folder that exists"),
        ("a\0b", "null bytes"),
        ("file.json/below", "folder that exists"),
    ],
)
@pytest.mark.parametrize("call", [check_writable, lambda path: write_text(path, TEXT)])
def test_what_cannot_be_written_is_refused(
    file: Path, path: str, message: str, call: Callable[[Path], None]
) -> None:
    with pytest.raises(UserError, match=message):
        call(file.parent / path)
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("name", ["new.json", "file.json", "x" * 255])
def test_what_can_be_written_is_not_touched_by_the_check(file: Path, name: str) -> None:
    check_writable(file.parent / name)
    assert list(file.parent.iterdir()) == [file]
    assert file.read_text() == "as it was"
    write_text(file.parent / name, TEXT)
    assert (file.parent / name).read_bytes() == TEXT.encode()


def test_a_folder_that_takes_no_file_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(UserError, match="No space left on device"):
        check_writable(file)


@pytest.mark.parametrize("value", [7, None, b"file.json", ["file.json"]])
def test_a_path_is_text_or_a_path(value: object) -> None:
    assert as_path("file.json") == as_path(Path("file.json")) == Path("file.json")
    with pytest.raises(UserError, match="a path as text"):
        as_path(value)
