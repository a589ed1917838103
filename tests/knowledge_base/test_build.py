"""The builder is killed again and again and loses no finished run, and does none of them twice."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import journals
import pytest
from builders import (
    RECIPES,
    SEARCHED,
    TASKS,
    Here,
    alive,
    await_,
    build_quickly,
    builders,
    told_of,
    workers_of,
)
from quick_work import MOMENT

from knowledge_base.build import Progress, build
from knowledge_base.journal import Journal
from knowledge_base.limits import Limits
from knowledge_base.reference import landmarks
from knowledge_base.stages import BEST, tiers_for
from knowledge_base.state import State
from knowledge_base.tasks import task_row, task_rows
from knowledge_base.work import SEVERAL, Item, Result, failure
from probes.errors import UserError
from probes.recipe.schema import Recipe

Place = tuple[str, str, int]


def runs(store: Path) -> list[dict[str, Any]]:
    return [record for kind, record in Journal(store).read() if kind == "run"]


def places(store: Path) -> list[Place]:
    return [(run["task"], run["recipe"], run["seed"]) for run in runs(store)]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_killed_at_random_moments_it_loses_nothing_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "journal.log"
    moments = random.Random(time.time_ns())
    before: list[Place] = []
    with builders() as start:
        for victim in ("builder", "group", "builder", "group"):
            builder = start(store)
            first, second = (moments.randint(1, 12) for _ in range(2))
            await_(lambda: len(places(store)) >= len(before) + first)  # noqa: B023
            with pytest.raises(UserError, match="locked"):
                build(store, tasks=TASKS, recipes=[], stages=["reference"])
            os.kill(moments.choice(workers_of(builder)), signal.SIGKILL)  # and the rest goes on
            await_(lambda: len(places(store)) >= len(before) + first + second)  # noqa: B023
            time.sleep(moments.uniform(0.0, 2 * MOMENT))
            workers, seen = workers_of(builder), places(store)
            (os.killpg if victim == "group" else os.kill)(builder, signal.SIGKILL)
            await_(lambda: not any(map(alive, [builder, *workers])))  # noqa: B023
            after = places(store)
            assert after[: len(seen)] == seen, "what was written stays"
            assert len(after) - len(seen) <= 3, "what was on its way: of two workers, and one more"
            assert seen[: len(before)] == before
            assert told_of(store).stat().st_size <= len(after), "what it said is done is there"
            before = after
        # as if the machine had gone down in the middle of the last record
        store.write_bytes(store.read_bytes()[:-20])
        torn = len(store.read_bytes().splitlines())
        before = places(store)
        assert len(before) in (len(after), len(after) - 1)

    build_quickly(store, monkeypatch)
    done = places(store)
    assert done[: len(before)] == before
    assert max(Counter(done).values()) == 1, "no run twice"
    roles = Counter((run["task"], run["role"]) for run in runs(store))
    for task in TASKS:
        assert roles[task, "reference"] == len(RECIPES)
        assert roles[task, "searched"] == SEARCHED
        assert roles[task, "repeat"] >= 2 * BEST
        assert {(task, recipe.key, 0) for recipe in RECIPES} <= set(done)
    state = State.of(Journal(store))
    assert {key for _, key, _ in state.runs} <= set(state.recipes)
    assert state.failed == {}
    assert state.damaged == [f"{store}:{torn}: torn or foreign line, set aside"]
    following = [kind for number, kind, _ in Journal(store).numbered() if number > torn]
    assert following[0] == "stage", "what is torn swallows nothing"

    size = store.stat().st_size
    build_quickly(store, monkeypatch)
    assert store.stat().st_size == size, "a store that is complete is left alone"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds do their work in this process."""
    monkeypatch.setattr("knowledge_base.build.make_executor", Here)


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_what_takes_too_long_fails_and_the_rest_goes_on(tmp_path: Path) -> None:
    store = tmp_path / "journal.log"
    settings: dict[str, Any] = {"tasks": TASKS[:1], "workers": 1, "stages": ["reference"]}
    told: list[int] = []
    state = build(
        store, recipes=RECIPES[:2], limits=Limits(seconds=0.001), **settings,
        report=lambda progress: told.append(progress.failed),
    )  # fmt: skip
    assert state.runs == {}
    assert set(state.failed.values()) == {"not done after 0.001 seconds"}
    assert told == [1, 2]
    assert build(store, recipes=RECIPES[:3], **settings).stage.total == 1, "they are left alone"
    state = build(store, recipes=RECIPES[:3], **settings, retry_failed=True)
    assert {key for _, key, _ in state.runs} == {recipe.key for recipe in RECIPES[:3]}
    assert State.of(Journal(store)).failed == {}


@pytest.mark.usefixtures("here")
def test_refusals_are_recorded_and_not_tried_again(tmp_path: Path) -> None:
    store = tmp_path / "journal.log"
    large = Recipe.parse({"optimizer": {"name": "adamw"}, "batch_size": 4096})
    told: list[tuple[int, ...]] = []

    def report(progress: Progress) -> None:
        told.append((progress.done, progress.total, progress.refused, progress.failed))

    for _ in range(2):
        state = build(
            store, tasks=TASKS[:1], workers=1, stages=["reference"], recipes=[large, RECIPES[0]],
            report=report,
        )  # fmt: skip
    assert len(told) == 2, "the second build has nothing to do"
    assert told[-1] == (2, 2, 1, 0)
    assert set(state.refused) == {(TASKS[0], large.key)}
    (refusal,) = [record for kind, record in Journal(store).read() if kind == "refused"]
    assert (refusal["task"], refusal["recipe"]) == (TASKS[0], large.key)
    assert "batch size" in refusal["reason"]
    assert [run["recipe"] for run in runs(store)] == [RECIPES[0].key]


@pytest.mark.slow
@pytest.mark.usefixtures("here")
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


@pytest.mark.usefixtures("here")
def test_the_tier_for_accelerators_runs_the_landmarks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = task_row("wine-mlp-1").model_copy(update={"name": "wine-mlp-9", "steps": 8})
    monkeypatch.setattr("knowledge_base.build.available_tasks", lambda tier: [row.name])
    monkeypatch.setitem(task_rows("gpu"), row.name, row.model_copy(update={"tier": "gpu"}))
    state = build(tmp_path / "journal.log", tier="gpu", device="cpu", stages=["reference"])
    assert set(state.runs) == {(row.name, recipe.key, 0) for recipe in landmarks()}
    assert {run["steps"] for run in state.runs.values()} == {8}


def record(task: str, recipe: Recipe, seed: int = 0) -> dict[str, Any]:
    return {**journals.run(task, seed=seed), "recipe": recipe.key}


def test_a_state_is_what_the_journal_holds(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.log") as journal:
        journal.append("recipe", {"key": RECIPES[0].key, "recipe": RECIPES[0].plain()})
        journal.append("run", record(TASKS[0], RECIPES[0]))
        journal.append("run", record(TASKS[0], RECIPES[1]))  # its recipe's line is not there
        journal.append("refused", {"task": TASKS[1], "recipe": RECIPES[0].key, "reason": "no"})
        journal.append("profile", {"task": TASKS[0], "tier": 16, "seed": 2, "profile": {}})
    state = State.of(journal)
    assert state.has(TASKS[0], RECIPES[0].key, 0)
    assert not state.has(TASKS[0], RECIPES[0].key, 1)
    assert not state.has(TASKS[0], RECIPES[1].key, 0), "it is run again"
    assert state.has(TASKS[1], RECIPES[0].key, 7)
    assert set(state.profiles) == {(TASKS[0], 16, 2)}
    assert len(state.damaged) == 1
    assert RECIPES[1].key in state.damaged[0]


def test_nothing_missing_starts_no_worker(tmp_path: Path) -> None:
    store = tmp_path / "journal.log"
    with Journal(store) as journal:
        for recipe in RECIPES[:2]:
            journal.append("recipe", {"key": recipe.key, "recipe": recipe.plain()})
            journal.append("run", record(TASKS[0], recipe))
    before = list(Journal(store).read())
    build(store, tasks=TASKS[:1], stages=iter(["reference"]), recipes=RECIPES[:2])
    *kept, (kind, _) = Journal(store).read()
    assert repr(kept) == repr(before)
    assert kind == "rows", "which rows the runs were made on is noted once"
    size = store.stat().st_size
    build(store, tasks=TASKS[:1], stages=iter(["reference"]), recipes=RECIPES[:2])
    assert store.stat().st_size == size


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"tasks": ["wine-mlp"]}, "did you mean wine-mlp-1"),
     ({"stages": ["refrence"]}, "did you mean reference"),
     ({"executor": "rays"}, "did you mean ray")],
)  # fmt: skip
def test_wrong_names(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(tmp_path / "journal.log", **settings)
    assert not (tmp_path / "journal.log").exists()


def test_a_build_in_which_everything_fails_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        """An executor whose items all fail."""

        def __init__(self, *arguments: Any) -> None:
            self.out: list[Item] = []

        def slots(self) -> int:
            return 8

        def submit(self, item: Item) -> None:
            self.out.append(item)

        def completed(self) -> list[Result]:
            item = self.out.pop()
            ends = [(one, "failed", failure(one, "no such method")) for one in item.singles()]
            return [(item, SEVERAL, {"results": ends, "left": []})]

        def close(self) -> None:
            self.out = []

    monkeypatch.setattr("knowledge_base.build.make_executor", Broken)
    with pytest.raises(UserError, match="20 failures in a row, the last: no such method"):
        build(tmp_path / "journal.log", tasks=TASKS[:1], stages=["reference"])
    assert len(State.of(Journal(tmp_path / "journal.log")).failed) >= 20


def test_a_locked_store_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.log"), pytest.raises(UserError, match="locked"):
        build(tmp_path / "journal.log", tasks=TASKS, recipes=[], stages=["reference"])


@pytest.mark.parametrize(
    ("steps", "tiers"),
    [(1, (16, 64, 256)), (1023, (16, 64, 256)), (1024, (16, 64, 256, 1024))],
)
def test_every_task_is_profiled_up_to_256_passes(steps: int, tiers: tuple[int, ...]) -> None:
    assert tiers_for(steps) == tiers
