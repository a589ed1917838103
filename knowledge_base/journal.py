"""The journal of a build: durable, append-only, one writer, nothing finished is lost.

One text file, a line a record: the CRC-32 of the JSON, a tab, the JSON. The writer holds a lock on
it, appends, flushes and fsyncs; a line torn by a crash is named, set aside and does not stop the
rest.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from probes.errors import UserError

Role = Literal["reference", "searched", "repeat"]


class RunRecord(BaseModel):
    """One finished run of a recipe on a benchmark task.

    Attributes:
        task: Name of the task.
        recipe: Key of the recipe (``Recipe.key``).
        seed: Seed of weights and batch order.
        role: "reference" recipes run on every task; "searched" ones were chosen adaptively, on
            this task's validation loss; "repeat" runs are further seeds of either.
        initial: Validation loss before the first step.
        final: Validation loss at the end (NaN where it diverged).
        test: Test loss at the end.
        metric: Validation metric at the end (NaN where the task has none).
        test_metric: Test metric at the end.
        steps: Optimizer steps done.
        passes: Passes spent, in batches of the task's batch size.
        seconds_per_step: Wall time of a step on one core.
        diverged: Whether it was stopped for its loss.
        curve_steps: Steps of the evaluations, the first 0.
        curve_validation: Validation losses there.
        curve_train: Mean training loss since the evaluation before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")
    task: str
    recipe: str
    seed: int
    role: Role
    initial: float
    final: float
    test: float
    metric: float
    test_metric: float
    steps: int
    passes: float
    seconds_per_step: float
    diverged: bool
    curve_steps: tuple[int, ...]
    curve_validation: tuple[float, ...]
    curve_train: tuple[float, ...]


class Journal:
    """Durable, append-only records of three kinds: "recipe", "run" and "profile".

    Args:
        path: The journal's file; made if it is not there.

    Raises:
        UserError: Another builder holds the store, or it cannot be written there.

    Use as a context manager to write; reading needs no lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a+b")
        except (OSError, ValueError) as error:  # a null byte
            raise UserError(
                "a store that can be written", f"{self.path} ({error})", "give another --store"
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise UserError(
                "a store no other builder writes to", f"{self.path}, which is locked",
                "wait for the other builder or give another --store",
            ) from None  # fmt: skip
        if self._file.seek(0, os.SEEK_END) > 0:
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":  # a torn last line must not swallow the next one
                self._file.write(b"\n")
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
        """Write one record through to the disk."""
        text = json.dumps({"kind": kind, **record}, separators=(",", ":")).encode()
        self._file.write(b"%08x\t%s\n" % (zlib.crc32(text), text))
        self._file.flush()
        os.fsync(self._file.fileno())

    def read(self, damaged: list[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """(kind, record) of every whole line; the others are named in ``damaged``."""
        if not self.path.exists():
            return
        with open(self.path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                record = _whole(line)
                if record is not None:
                    yield record.pop("kind"), record
                elif damaged is not None:
                    damaged.append(f"{self.path}:{number}: torn or foreign line, set aside")


def _whole(line: bytes) -> dict[str, Any] | None:
    """The record of a line, or None where the line is torn or not ours."""
    checksum, tab, text = line.rstrip(b"\n").partition(b"\t")
    if not tab or checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "kind" in record else None
