"""The journal of a build: durable, append-only, one writer, nothing finished is lost.

One text file, a line a record: the CRC-32 of the JSON, a tab, the JSON. The writer holds a lock on
it that the system drops with the process, appends and fsyncs; a line torn by a crash is named, set
aside and does not stop the rest.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from knowledge_base.fetch import cache_directory
from probes.errors import UserError

_LOCK_TRIES, _LOCK_PAUSE = 5, 0.05
"""A look at whether the store is locked (``held``) takes the lock for a moment."""
_CHECKSUM = re.compile(rb"[0-9a-f]{8}\t|[0-9a-f]{1,8}\Z")
"""Of a whole line, or what a crash left of it."""
_BEGINNING = b'{"kind":'
_GLANCE = 1 << 20
"""Bytes of a line that are looked at at once: what is no store may be one line of any length."""


def default_store() -> Path:
    """Where a build writes unless it is told otherwise."""
    return cache_directory() / "journal.log"


class Journal:
    """Durable, append-only records, each of a kind.

    The kinds of a build and what they hold are in ``knowledge_base.records``.

    Args:
        path: The journal's file; made if it is not there.

    Raises:
        UserError: Another builder holds the store, it cannot be read or written there, or the file
            is something else, which is left as it is.

    Use as a context manager to write; reading needs no lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a+b", buffering=0)
        except (OSError, ValueError) as error:  # a null byte
            raise UserError(
                "a store that can be written", f"{self.path} ({error})", "give another --store"
            ) from None
        if not self._lock():
            self._file.close()
            raise UserError(
                "a store no other builder writes to", f"{self.path}, which is locked",
                "wait for the other builder or give another --store",
            ) from None  # fmt: skip
        try:
            self.refuse_foreign()
        except UserError:
            self._file.close()
            raise
        _sync_folder(self.path.parent)  # the file itself must outlive a power cut
        if self._file.seek(0, os.SEEK_END) > 0:
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":  # a torn last line must not swallow the next one
                self._write(b"\n")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._file = None

    def append(self, kind: str, record: dict[str, Any]) -> None:
        """Write one record through to the disk.

        Raises:
            UserError: The disk is full or fails; what was written of the record is taken back.
        """
        self._write(_line(kind, record))

    def extend(self, records: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Write many records through to the disk at once, faster than one by one.

        Raises:
            UserError: As for ``append``.
        """
        self._write(b"".join(_line(kind, record) for kind, record in records))

    def clear(self) -> None:
        """Forget everything."""
        self._file.truncate(0)
        os.fsync(self._file.fileno())

    def held(self) -> bool:
        """Whether a builder writes to the store now."""
        try:
            with open(self.path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def read(self, damaged: list[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """(kind, record) of every whole line; the others are named in ``damaged``."""
        for _, kind, record in self.numbered(damaged):
            yield kind, record

    def numbered(
        self, damaged: list[str] | None = None
    ) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """(number of the line, kind, record) of every whole line.

        Raises:
            UserError: The file cannot be read.
        """
        for number, line in enumerate(self._lines(), start=1):
            if not line.strip():
                continue
            record = _whole(line)
            if record is not None:
                yield number, record.pop("kind"), record
            elif damaged is not None:
                damaged.append(f"{self.path}:{number}: torn or foreign line, set aside")

    def refuse_foreign(self) -> None:
        """Pass a file that is empty or holds a record, torn or damaged though it may be.

        Raises:
            UserError: It is something else, or cannot be read.
        """
        blank = True
        for line in self._lines(_GLANCE):
            if _begins_as_a_record(line):
                return
            blank = blank and not line.strip()
        if not blank:
            raise UserError(
                "the store of a build", f"{self.path}, which holds no record of one",
                "give another --store",
            )  # fmt: skip

    def _lines(self, most: int = -1) -> Iterator[bytes]:
        """The file's lines, in parts of at most so many bytes; none where there is no file."""
        try:
            mode = self.path.stat().st_mode
            if not stat.S_ISREG(mode):
                what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
                raise UserError("the file of a store", f"{self.path}, {what}", "add a file name")
            with open(self.path, "rb") as file:
                yield from iter(lambda: file.readline(most), b"")
        except UserError:
            raise
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, ValueError) as error:  # a null byte
            raise UserError(
                "a store that can be read", f"{self.path} ({error})",
                "change its permissions or give another --store",
            ) from None  # fmt: skip

    def _lock(self) -> bool:
        for attempt in range(_LOCK_TRIES):
            if attempt:
                time.sleep(_LOCK_PAUSE)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            return True
        return False

    def _write(self, data: bytes) -> None:
        before = self._file.seek(0, os.SEEK_END)
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(before)
            raise UserError(
                "a disk that takes another record", f"{self.path} ({error.strerror})",
                "make room and start the builder again: it goes on where it stopped",
            ) from error  # fmt: skip


def _line(kind: str, record: dict[str, Any]) -> bytes:
    text = json.dumps({"kind": kind, **record}, separators=(",", ":")).encode()
    return b"%08x\t%s\n" % (zlib.crc32(text), text)


def _begins_as_a_record(line: bytes) -> bool:
    """Whether a line is a record or what is left of one that a crash cut short."""
    if not _CHECKSUM.match(line):
        return False
    text = line.rstrip(b"\n")[9:]
    return text.startswith(_BEGINNING) or _BEGINNING.startswith(text)


def _whole(line: bytes) -> dict[str, Any] | None:
    """The record of a line, or None where the line is torn or not ours."""
    checksum, tab, text = line.rstrip(b"\n").partition(b"\t")
    if not tab or checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    kind = record.get("kind") if isinstance(record, dict) else None
    return record if isinstance(kind, str) else None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
