"""``advisor kb``: build a small store, be stopped, go on, pack it and count what it holds."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from user_files import CommandLine

from advisor.cli.kb_failures import failure_lines
from knowledge_base.journal import Journal
from knowledge_base.records import RunRecord
from knowledge_base.reference import reference_recipes
from knowledge_base.store import SHIPPED, pack, read_json
from knowledge_base.tasks import task_rows
from probes.recipe.schema import Recipe

NUMBERS = ("tasks", "datasets", "families", "runs", "curves", "bytes")


RAN = ("digits-mlp-1", "digits-cnn-1")


def _record(task: str, recipe: Recipe, seed: int, role: str, diverged: bool) -> RunRecord:
    nan = float("nan")
    return RunRecord(
        task=task, recipe=recipe.key, seed=seed, role=role, initial=2.0,
        final=nan if diverged else 0.5, test=0.6, metric=0.9, test_metric=0.8, steps=10,
        passes=10.0, seconds_per_step=0.001, diverged=diverged, curve_steps=(0, 10),
        curve_validation=(2.0, 0.5), curve_train=(nan, 0.4),
    )  # fmt: skip


def test_status_counts(advisor: CommandLine) -> None:
    # all three are of the reference set
    recipes = [reference_recipes()[0], Recipe.parse({"optimizer": "sgd"}), reference_recipes()[1]]
    with Journal(advisor.folder / "journal.log") as journal:
        for recipe in recipes:
            journal.append("recipe", {"key": recipe.key, "recipe": recipe.plain()})
        refusal = {"task": "digits-cnn-1", "recipe": recipes[2].key, "reason": "no"}
        journal.append("refused", refusal)
        for task, recipe, seed, role, diverged in [
            (RAN[0], recipes[0], 0, "reference", False),
            (RAN[0], recipes[0], 1, "repeat", False),
            (RAN[1], recipes[1], 0, "searched", True),
        ]:
            journal.append("run", _record(task, recipe, seed, role, diverged).model_dump())
        for seed in (0, 1):
            profile = {"task": "digits-mlp-1", "tier": 16, "seed": seed, "profile": {}}
            journal.append("profile", profile)
    folder = advisor.folder / "packed"
    pack(Journal(advisor.folder / "journal.log"), folder, "a test", {})

    answer = advisor("kb", "status", "--pack", "packed", "--json")
    found = json.loads(answer.out)
    assert (answer.status, answer.err) == (0, "")
    wanted = {
        "tasks": 2, "datasets": 1, "families": 2, "gpu_tasks": 0, "ladder_steps": 0,
        "runs": 3, "curves": 3, "recipes": 3, "profiles": 2, "seeds": 2,
        "diverged": 1, "reference": 1, "searched": 1, "repeat": 1, "counted": 2, "discounted": {},
        "counted_in_time": sum(300 <= task_rows()[name].steps <= 2000 for name in RAN),
        "reference_cells": {"run": 2, "refused": 1, "missing": 2 * len(reference_recipes()) - 3},
    }  # fmt: skip
    assert {key: found[key] for key in wanted} == wanted
    assert found["tiers"] == {"16": 2}
    assert found["diverged_share"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["bytes_per_run"] == (folder / "runs.parquet").stat().st_size / 3
    assert found["bytes"] == sum(file.stat().st_size for file in folder.iterdir())
    (folder / "notes.txt").write_text("a file beside it " * 1000)
    store = json.loads(advisor("kb", "status", "--store", "journal.log", "--json").out)
    assert {key: store[key] for key in wanted} == wanted, "a store is counted as its pack is"
    again = json.loads(advisor("kb", "status", "--pack", "packed", "--json").out)
    assert again["bytes"] == found["bytes"]
    people = advisor("kb", "status", "--pack", "packed").out
    assert {line.split()[0] for line in people.splitlines()} >= set(NUMBERS)

    (folder / "recipes.json").write_text("{}")
    changed = advisor("kb", "status", "--pack", "packed", "--json")
    assert (changed.status, changed.out) == (2, "")
    assert "recipes.json as the manifest describes it" in changed.err


def test_status_of_a_store_that_is_being_built(advisor: CommandLine) -> None:
    recipe = Recipe.parse({"optimizer": "adamw"})
    words = ("kb", "status", "--store", "journal.log", "--json")
    with Journal(advisor.folder / "journal.log") as journal:
        journal.append("recipe", {"key": recipe.key, "recipe": recipe.plain()})
        record = _record("digits-mlp-1", recipe, 0, "reference", False)
        journal.append("run", record.model_dump())
        assert json.loads(advisor(*words).out)["build"] is None
        began = time.time() - 10
        journal.append("stage", {"stage": "reference", "total": 5, "began": began})
        record = _record("wine-mlp-1", recipe, 0, "reference", True)
        journal.append("run", record.model_dump())
        place = {"task": "wine-mlp-1", "recipe": recipe.key, "seed": 1, "tier": 0}
        journal.append("failed", {**place, "reason": "it crashed"})
        found = json.loads(advisor(*words).out)
        people = advisor("kb", "status", "--store", "journal.log").out
    assert [found[name] for name in NUMBERS[:5]] == [2, 2, 1, 2, 2]
    assert (found["diverged_share"], found["failed"], found["damaged"]) == (0.5, 1, 0)
    assert found["bytes"] > 0
    stage = found["build"]
    assert (stage["stage"], stage["running"]) == ("reference", True)
    assert (stage["done"], stage["total"], stage["failed"]) == (2, 5, 1)
    assert 0.01 < stage["per_second"] <= 0.2
    assert stage["seconds_left"] == pytest.approx(3 / stage["per_second"])
    assert "reference 2/5, running, 1 failed, 0." in people
    stopped = json.loads(advisor(*words).out)["build"]
    assert (stopped["running"], stopped["seconds_left"]) == (False, None)
    assert stopped["per_second"] is None, "nobody knows when its last record came"
    assert "reference 2/5, not running, 1 failed\n" in advisor(*words[:-1]).out


def test_status_of_a_store_before_its_first_build(advisor: CommandLine) -> None:
    (advisor.folder / "empty.log").touch()
    recipe = Recipe.parse({"optimizer": "adamw"})
    with Journal(advisor.folder / "seeded.log") as journal:
        journal.append("recipe", {"key": recipe.key, "recipe": recipe.plain()})
    for store in ("empty.log", "seeded.log"):
        people = advisor("kb", "status", "--store", store)
        assert people.status == 0
        assert people.out.splitlines()[-1].split(maxsplit=1) == ["build", "nothing yet"]
        assert "None" not in people.out


@pytest.mark.parametrize(("torn", "shown", "more"), [(1, 1, ()), (12, 10, ("and 2 more",))])
def test_status_names_what_is_set_aside(
    advisor: CommandLine, torn: int, shown: int, more: tuple[str, ...]
) -> None:
    recipe = Recipe.parse({"optimizer": "adamw"})
    store = advisor.folder / "journal.log"
    with Journal(store) as journal:
        journal.append("recipe", {"key": recipe.key, "recipe": recipe.plain()})
    with store.open("a") as file:
        file.writelines("00000000\ttorn\n" for _ in range(torn))
    people = advisor("kb", "status", "--store", "journal.log").out
    named = [f"journal.log:{2 + place}: torn" for place in range(torn)]
    assert [line in people for line in named] == [place < shown for place in range(torn)]
    assert all(words in people for words in more)
    found = json.loads(advisor("kb", "status", "--store", "journal.log", "--json").out)
    assert found["damaged"] == len(found["damaged_lines"]) == torn


def test_what_is_no_store_is_neither_counted_nor_written_to(advisor: CommandLine) -> None:
    (advisor.folder / "README.md").write_text("# Read me\n")
    for words in (("status",), ("build", "--tasks", "wine-mlp-1", "--fresh")):
        answer = advisor("kb", *words, "--store", "README.md")
        assert (answer.status, answer.out) == (2, "")
        assert "expected the store of a build, got README.md, which holds no record of one; give " \
            "another --store" in answer.err  # fmt: skip
    assert (advisor.folder / "README.md").read_text() == "# Read me\n"


def test_failures_are_told_with_their_reasons(advisor: CommandLine) -> None:
    recipe = Recipe.parse({"optimizer": "adamw"})
    with Journal(advisor.folder / "journal.log") as journal:
        journal.append("recipe", {"key": recipe.key, "recipe": recipe.plain()})
        record = _record("wine-mlp-1", recipe, 0, "reference", False).model_dump()
        journal.append("run", record)
        place = {"recipe": recipe.key, "seed": 1, "tier": 0}
        for name in ("wine-mlp-1", "diabetes-mlp-1"):
            journal.append("failed", {"task": name, **place, "reason": "it\x1b[2J\ncrashed"})
        profile = {"task": "wine-mlp-1", "recipe": "", "seed": 2, "tier": 16}
        journal.append("failed", {**profile, "reason": "not done after 1 seconds"})
    told = [
        "failed: 2 times, first adamw lr 0.001, constant on wine-mlp-1, seed 1: it crashed",
        "failed: a profile of tier 16 on wine-mlp-1, seed 2: not done after 1 seconds",
        "advisor kb build --retry-failed does again what failed",
    ]
    status = ("kb", "status", "--store", "journal.log")
    build = (
        "kb", "build", "--store", "journal.log", "--tasks", "wine-mlp-1", "--stages", "searched",
        "--searched", "0",
    )  # fmt: skip
    assert advisor(*status).out.splitlines()[-3:] == told
    built = advisor(*build)
    assert (built.status, built.err.splitlines()[-3:]) == (0, told)
    for words in (status, build):
        found = json.loads(advisor(*words, "--json").out)
        assert (found["failed"], len(found["failures"])) == (3, 3)
        assert found["failures"][1:] == [
            {"task": "diabetes-mlp-1", "recipe": recipe.key, "described": recipe.describe(),
             "seed": 1, "tier": None, "reason": "it\x1b[2J\ncrashed"},
            {"task": "wine-mlp-1", "recipe": None, "described": None, "seed": 2, "tier": 16,
             "reason": "not done after 1 seconds"},
        ]  # fmt: skip


def test_many_reasons_are_a_few_lines() -> None:
    failed = [
        {"task": "wine-mlp-1", "recipe": "k", "described": None, "seed": seed, "tier": None,
         "reason": f"no {seed}"}
        for seed in range(9)
    ]  # fmt: skip
    lines = failure_lines([*failed, {**failed[8], "seed": 10}])
    assert lines[0] == "failed: 2 times, first recipe k on wine-mlp-1, seed 8: no 8"
    assert len(lines) == 7
    assert lines[5] == "failed: 4 more for 4 other reasons (see --json)"
    assert failure_lines([]) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [(("status", "--store", "no.log"), "the store of a build"),
     (("status", "--store", "."), "a folder; add a file name"),
     (("status", "--store", "no.log", "--pack", "packed"), "--store or --pack"),
     (("build", "--executor", "rai"), "did you mean ray"),
     (("build", "--time-limit", "0"), "time-limit as a whole number")],
)  # fmt: skip
def test_wrong_words(advisor: CommandLine, words: tuple[str, ...], said: str) -> None:
    answer = advisor("kb", *words)
    assert (answer.status, answer.out) == (2, "")
    assert said in answer.err


def test_a_build_packs_into_no_folder_of_somebody_else(advisor: CommandLine) -> None:
    folder = advisor.folder / "mine"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    answer = advisor("kb", "build", "--store", "j.log", "--tasks", "wine-mlp-1", "--pack", "mine")
    assert (answer.status, answer.out) == (2, "")
    assert "mine with a manifest.json that it did not write" in answer.err
    assert (folder / "manifest.json").read_text() == "{}"
    assert not (advisor.folder / "j.log").exists(), "refused before anything is trained"


def test_models_are_fitted_into_the_package_or_a_folder(
    advisor: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Path | None]] = []

    def fit_shipped(folder: Path | None, report: object) -> dict[str, object]:
        asked.append(("models", folder))
        return {"0": {"tasks": 3}}

    def fit_curves(folder: Path | None) -> None:
        asked.append(("curves", folder))

    monkeypatch.setattr("advisor.shipped.fit_shipped", fit_shipped)
    monkeypatch.setattr("advisor.curve_fit.fit_curves", fit_curves)
    answer = advisor("kb", "fit", "--out", "own/models", "--json")
    assert (answer.status, json.loads(answer.out)) == (0, {"0": {"tasks": 3}})
    assert advisor("kb", "fit").status == 0
    own = Path("own/models")
    assert asked == [("models", own), ("curves", own), ("models", None), ("curves", None)]
    (advisor.folder / "a_file").write_text("")
    refused = advisor("kb", "fit", "--out", "a_file")
    assert (refused.status, len(asked)) == (2, 4)
    assert "a_file, which is a file" in refused.err


@pytest.mark.slow
def test_a_new_store_begins_with_the_shipped_runs(advisor: CommandLine) -> None:
    words = ("kb", "build", "--tasks", "wine-mlp-1", "--stages", "searched", "--searched", "0",
             "--json")  # fmt: skip
    shipped = read_json(SHIPPED / "manifest.json")["counts"]
    for fresh, store in (((), "new.log"), (("--fresh",), "fresh.log")):
        answer = advisor(*words, "--store", store, *fresh)
        assert answer.status == 0, answer.err
        done = json.loads(answer.out)
        for name in ("runs", "recipes", "profiles"):
            assert done[name] == (0 if fresh else shipped[name])


@pytest.mark.slow
def test_build_and_go_on(advisor: CommandLine) -> None:
    words = ("kb", "build", "--store", "j.log", "--tasks", "wine-mlp-1", "--workers", "1", "--json",
             "--fresh")  # fmt: skip
    first = advisor(*words, "--stages", "searched", "--searched", "2")
    assert first.status == 0, first.err
    assert json.loads(first.out)["runs"] == 2
    assert "searched [####################] 2/2" in first.err
    again = advisor(*words, "--stages", "searched", "--searched", "3", "--pack", "packed")
    done = json.loads(again.out)
    assert done["runs"] == 3
    assert "searched [####################] 1/1" in again.err
    assert done["packed"]["runs"] == 3
    found = json.loads(advisor("kb", "status", "--pack", "packed", "--json").out)
    assert [found[name] for name in NUMBERS[:5]] == [1, 1, 1, 3, 3]
