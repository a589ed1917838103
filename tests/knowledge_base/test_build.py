"""The builder is killed again and again and loses no finished run, and does none of them twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from knowledge_base.build import Progress, build
from knowledge_base.journal import Journal
from knowledge_base.reference import reference_recipes
from knowledge_base.stages import State, tiers_for
from probes.errors import UserError
from probes.recipe.schema import Recipe

TASKS = ("wine-mlp-1",)
RECIPES = reference_recipes()[:8]
SEARCHED = 3
BUILDER = f"""
import sys, pathlib
from knowledge_base.build import build
from knowledge_base.reference import reference_recipes
build(pathlib.Path(sys.argv[1]), tasks={TASKS}, searched={SEARCHED}, workers=2,
      stages=sys.argv[2].split(","), recipes=reference_recipes()[:{len(RECIPES)}])
"""
Place = tuple[str, str, int]


def start(store: Path, stages: str) -> subprocess.Popen[bytes]:
    """A builder in a process group of its own."""
    command = [sys.executable, "-c", BUILDER, str(store), stages]
    return subprocess.Popen(command, start_new_session=True)


def complete(store: Path) -> None:
    """Build what is missing, in this process."""
    build(
        store, tasks=TASKS, searched=SEARCHED, workers=2, recipes=RECIPES,
        stages=("reference", "searched", "repeat"),
    )  # fmt: skip


def runs(store: Path) -> list[dict[str, Any]]:
    return [record for kind, record in Journal(store).read() if kind == "run"]


def place(run: dict[str, Any]) -> Place:
    return run["task"], run["recipe"], run["seed"]


def await_(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


def workers_of(builder: subprocess.Popen[bytes]) -> list[int]:
    """Process ids of a builder's workers."""
    found = []
    children = Path(f"/proc/{builder.pid}/task/{builder.pid}/children")
    for child in map(int, children.read_text().split()):
        try:
            command = Path(f"/proc/{child}/cmdline").read_bytes()
        except FileNotFoundError:
            continue
        if b"spawn_main" in command:
            found.append(child)
    return found


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.mark.slow
def test_killed_at_random_moments_it_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    store = tmp_path / "journal.log"
    moments = random.Random(time.time_ns())
    before: list[Place] = []
    for stages in ("reference", "reference,searched", "searched,repeat"):
        builder = start(store, stages)
        wanted = len(before) + moments.randint(1, 3)
        await_(lambda: len(runs(store)) >= wanted or builder.poll() is not None)  # noqa: B023
        time.sleep(moments.uniform(0.0, 0.3))
        seen = [place(run) for run in runs(store)]
        if builder.poll() is None:
            os.killpg(builder.pid, signal.SIGKILL)
        builder.wait()
        after = [place(run) for run in runs(store)]
        assert after[: len(seen)] == seen, "what was written stays"
        assert seen[: len(before)] == before
        before = after

    complete(store)
    done = [place(run) for run in runs(store)]
    assert done[: len(before)] == before
    assert max(Counter(done).values()) == 1, "no run twice"
    roles = Counter((run["task"], run["role"]) for run in runs(store))
    for task in TASKS:
        assert roles[task, "reference"] == len(RECIPES)
        assert roles[task, "searched"] == SEARCHED
        assert roles[task, "repeat"] >= 2 * len(RECIPES), "all are among the best ten, or nearly"
        assert {(task, recipe.key, 0) for recipe in RECIPES} <= set(done)
    recipes = {record["key"] for kind, record in Journal(store).read() if kind == "recipe"}
    assert {run["recipe"] for run in runs(store)} <= recipes

    size = store.stat().st_size
    complete(store)
    assert store.stat().st_size == size, "a store that is complete is left alone"


@pytest.mark.slow
def test_a_worker_that_is_killed_does_not_stop_the_build(tmp_path: Path) -> None:
    store = tmp_path / "journal.log"
    builder = start(store, "reference")
    await_(lambda: len(runs(store)) >= 1)
    os.kill(workers_of(builder)[0], signal.SIGKILL)
    assert builder.wait(timeout=200) == 0
    done = Counter(place(run) for run in runs(store))
    assert done == {(task, recipe.key, 0): 1 for task in TASKS for recipe in RECIPES}


@pytest.mark.slow
def test_workers_end_with_a_builder_that_is_killed_alone(tmp_path: Path) -> None:
    store = tmp_path / "journal.log"
    builder = start(store, "reference")
    await_(lambda: len(runs(store)) >= 1)
    workers = workers_of(builder)
    assert len(workers) == 2
    builder.kill()
    builder.wait()
    await_(lambda: not any(alive(worker) for worker in workers), 20.0)
    with Journal(store):  # and the store is free
        pass


@pytest.mark.slow
def test_refusals_are_recorded_and_not_tried_again(tmp_path: Path) -> None:
    store = tmp_path / "journal.log"
    large = Recipe.parse({"optimizer": {"name": "adamw"}, "batch_size": 4096})
    told: list[tuple[int, int, int]] = []

    def report(progress: Progress) -> None:
        told.append((progress.done, progress.total, progress.failed))

    for _ in range(2):
        state = build(
            store, tasks=TASKS[:1], workers=1, stages=["reference"], recipes=[large, RECIPES[0]],
            report=report,
        )  # fmt: skip
    assert told == [(1, 2, 1), (2, 2, 1)], "the second build has nothing to do"
    assert state.refused == {(TASKS[0], large.key)}
    (refusal,) = [record for kind, record in Journal(store).read() if kind == "refused"]
    assert (refusal["task"], refusal["recipe"]) == (TASKS[0], large.key)
    assert "batch size" in refusal["reason"]
    assert [run["recipe"] for run in runs(store)] == [RECIPES[0].key]


@pytest.mark.slow
def test_profiles_are_taken_once_unless_asked(tmp_path: Path) -> None:
    store = tmp_path / "journal.log"
    task = TASKS[0]
    wanted = [(task, tier, seed) for tier in (16, 64, 256) for seed in (0, 1, 2)]

    def profiles() -> list[tuple[str, int, int]]:
        return [(record["task"], record["tier"], record["seed"])
                for kind, record in Journal(store).read() if kind == "profile"]  # fmt: skip

    for _ in range(2):
        build(store, tasks=[task], workers=1, stages=["profiles"])
        assert sorted(profiles()) == wanted
    build(store, tasks=[task], workers=1, stages=["profiles"], retake_profiles=True)
    assert sorted(profiles()) == sorted(2 * wanted)


def record(task: str, recipe: Recipe, seed: int = 0, final: float = 0.5) -> dict[str, Any]:
    return {"task": task, "recipe": recipe.key, "seed": seed, "role": "reference", "final": final,
            "diverged": False}  # fmt: skip


def test_a_state_is_what_the_journal_holds(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.log") as journal:
        journal.append("recipe", {"key": RECIPES[0].key, "recipe": RECIPES[0].plain()})
        journal.append("run", record("a", RECIPES[0]))
        journal.append("run", record("a", RECIPES[1]))  # its recipe's line is not there
        journal.append("refused", {"task": "b", "recipe": RECIPES[0].key, "reason": "no"})
        journal.append("profile", {"task": "a", "tier": 16, "seed": 2, "profile": {}})
    state = State.of(journal)
    assert state.has("a", RECIPES[0].key, 0)
    assert not state.has("a", RECIPES[0].key, 1)
    assert not state.has("a", RECIPES[1].key, 0), "it is run again"
    assert state.has("b", RECIPES[0].key, 7)
    assert state.profiles == {("a", 16, 2)}
    assert len(state.damaged) == 1
    assert RECIPES[1].key in state.damaged[0]


def test_nothing_missing_starts_no_worker(tmp_path: Path) -> None:
    store = tmp_path / "journal.log"
    with Journal(store) as journal:
        for recipe in RECIPES[:2]:
            journal.append("recipe", {"key": recipe.key, "recipe": recipe.plain()})
            journal.append("run", record(TASKS[0], recipe))
    size = store.stat().st_size
    build(store, tasks=TASKS[:1], stages=iter(["reference"]), recipes=RECIPES[:2])
    assert store.stat().st_size == size


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"tasks": ["wine-mlp"]}, "did you mean wine-mlp-1"),
     ({"stages": ["refrence"]}, "did you mean reference")],
)  # fmt: skip
def test_wrong_names(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(tmp_path / "journal.log", **settings)
    assert not (tmp_path / "journal.log").exists()


def test_a_locked_store_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.log"), pytest.raises(UserError, match="locked"):
        build(tmp_path / "journal.log", tasks=TASKS, recipes=[], stages=["reference"])


@pytest.mark.parametrize(
    ("steps", "tiers"),
    [(1, (16, 64, 256)), (1023, (16, 64, 256)), (1024, (16, 64, 256, 1024))],
)
def test_every_task_is_profiled_up_to_256_passes(steps: int, tiers: tuple[int, ...]) -> None:
    assert tiers_for(steps) == tiers
