"""``advisor kb``: build a small store, be stopped, go on, pack it and count what it holds."""

from __future__ import annotations

import json

import pytest
from user_files import CommandLine

from knowledge_base.journal import Journal, RunRecord
from knowledge_base.store import pack
from probes.recipe.schema import Recipe

NUMBERS = ("tasks", "datasets", "families", "runs", "curves", "bytes")


def _record(task: str, recipe: Recipe, seed: int, role: str, diverged: bool) -> RunRecord:
    nan = float("nan")
    return RunRecord(
        task=task, recipe=recipe.key, seed=seed, role=role, initial=2.0,
        final=nan if diverged else 0.5, test=0.6, metric=0.9, test_metric=0.8, steps=10,
        passes=10.0, seconds_per_step=0.001, diverged=diverged, curve_steps=(0, 10),
        curve_validation=(2.0, 0.5), curve_train=(nan, 0.4),
    )  # fmt: skip


def test_status_counts(advisor: CommandLine) -> None:
    recipes = [Recipe.parse({"optimizer": name}) for name in ("adamw", "sgd")]
    with Journal(advisor.folder / "journal.log") as journal:
        for recipe in recipes:
            journal.append("recipe", {"key": recipe.key, "recipe": recipe.plain()})
        for task, recipe, seed, role, diverged in [
            ("digits-mlp-1", recipes[0], 0, "reference", False),
            ("digits-mlp-1", recipes[0], 1, "repeat", False),
            ("digits-cnn-1", recipes[1], 0, "searched", True),
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
        "tasks": 2, "datasets": 1, "families": 2, "runs": 3, "curves": 3, "recipes": 2,
        "profiles": 2, "seeds": 2, "diverged": 1, "reference": 1, "searched": 1, "repeat": 1,
    }  # fmt: skip
    assert {key: found[key] for key in wanted} == wanted
    assert found["tiers"] == {"16": 2}
    assert found["bytes"] == sum(file.stat().st_size for file in folder.iterdir())
    people = advisor("kb", "status", "--pack", "packed").out
    assert {line.split()[0] for line in people.splitlines()} >= set(NUMBERS)

    (folder / "recipes.json").write_text("{}")
    changed = advisor("kb", "status", "--pack", "packed", "--json")
    assert (changed.status, changed.out) == (2, "")
    assert "recipes.json as the manifest describes it" in changed.err


@pytest.mark.slow
def test_build_and_go_on(advisor: CommandLine) -> None:
    words = ("kb", "build", "--store", "j.log", "--tasks", "wine-mlp-1", "--workers", "1", "--json")
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
