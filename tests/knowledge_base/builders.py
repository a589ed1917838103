"""Builders for the tests that kill them: real processes, journal and stages, runs of moments.

A nursery has imported everything and forks a builder when asked to. The builder starts its workers
as always; in place of training they do ``quick_work``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
from quick_work import quick

from knowledge_base import pool, stages
from knowledge_base.build import build
from knowledge_base.limits import Limits
from knowledge_base.reference import reference_recipes
from knowledge_base.work import Item, Result, attempt

TASKS = ("wine-mlp-1", "breast_cancer-mlp-1", "diabetes-mlp-1")
RECIPES = reference_recipes()[:12]
SEARCHED = 4


class AnyTask:
    """All that a search asks of a task."""

    class prepared:
        class objective:
            cross_entropy = True


class Here:
    """An executor without processes: items are done when somebody waits for them."""

    def __init__(
        self, name: str, workers: int | None, limits: Limits,
        work: Callable[[Item, Limits], Result] = attempt,
    ) -> None:  # fmt: skip
        self._limits = limits
        self._work = work
        self._out: list[Item] = []

    def slots(self) -> int:
        return 1

    def submit(self, item: Item) -> None:
        self._out.append(item)

    def completed(self) -> list[Result]:
        return [self._work(self._out.pop(), self._limits)]

    def close(self) -> None:
        self._out = []


def told_of(store: Path) -> Path:
    """Where a builder tells each piece of work that it has done: a byte each."""
    return store.with_suffix(".told")


def build_quickly(store: Path, replaced: pytest.MonkeyPatch) -> None:
    """Build what is missing, with two workers that only make runs up."""
    replaced.setattr(pool, "attempt", quick)
    replaced.setattr(stages, "built_task", lambda name: AnyTask)
    with told_of(store).open("ab", buffering=0) as told:
        build(
            store, tasks=TASKS, searched=SEARCHED, workers=2, recipes=RECIPES,
            stages=("reference", "searched", "repeat"), report=lambda progress: _tell(told),
        )  # fmt: skip


def _tell(told: FileIO) -> None:
    told.write(b".")


def nursery() -> None:
    """Fork a builder for every line read, the path of its store; tell its process id."""
    for line in sys.stdin:
        if child := os.fork():
            print(child, flush=True)
            continue
        os.setsid()
        build_quickly(Path(line.strip()), pytest.MonkeyPatch())
        os._exit(0)


_NURSERY = "import sys; sys.path[:0] = sys.argv[1:]; import builders; builders.nursery()"


@contextmanager
def builders() -> Iterator[Callable[[Path], int]]:
    """A function that starts a builder on a store, in a process group of its own."""
    command = [sys.executable, "-c", _NURSERY, str(Path(__file__).parent)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    started: list[int] = []

    def start(store: Path) -> int:
        assert process.stdin is not None
        assert process.stdout is not None
        print(store, file=process.stdin, flush=True)
        started.append(int(process.stdout.readline()))
        return started[-1]

    try:
        yield start
    finally:
        for builder in started:  # where something failed, its workers are left
            with suppress(ProcessLookupError):
                os.killpg(builder, signal.SIGKILL)
        process.kill()
        process.communicate()


def workers_of(builder: int) -> list[int]:
    """Process ids of a builder's workers."""
    found = []
    for child in Path(f"/proc/{builder}/task/{builder}/children").read_text().split():
        try:
            command = Path(f"/proc/{child}/cmdline").read_bytes()
        except FileNotFoundError:
            continue
        if b"spawn_main" in command:
            found.append(int(child))
    return found


def alive(process: int) -> bool:
    """Whether a process runs: not where it has ended and nobody has asked yet."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def await_(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.005)
