"""Rows that are others than those of the recorded runs are told by their data set's name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from journals import RECIPES, filled

from knowledge_base import recorded_rows
from knowledge_base.build import build
from knowledge_base.datasets import load
from knowledge_base.graph import Graph
from knowledge_base.journal import Journal
from knowledge_base.readers import Arrays
from knowledge_base.recorded_rows import hash_of_rows, note_rows, packed_rows
from knowledge_base.seed import seed_journal
from knowledge_base.state import State
from knowledge_base.store import check_hashes, pack, read_json
from probes.errors import UserError

WINE = load("wine")


def other_rows(name: str) -> Arrays:
    """What a mended reader would give: of wine one row less, of others the same."""
    arrays = load(name)
    if name != "wine":
        return arrays
    return replace(arrays, inputs=arrays.inputs[:-1], targets=arrays.targets[:-1])


def noted(journal: Journal, *datasets: str) -> tuple[str, ...]:
    with journal:
        return note_rows(journal, State.of(journal), datasets)


def nudged(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    changed = values.copy()
    changed[3] += 1
    return changed


OTHERS = {
    "an input": replace(WINE, inputs=nudged(WINE.inputs)),
    "a target": replace(WINE, targets=(WINE.targets + (np.arange(178) == 3)) % 3),
    "a row less": replace(WINE, inputs=WINE.inputs[:-1], targets=WINE.targets[:-1]),
    "another order": replace(WINE, inputs=WINE.inputs[::-1], targets=WINE.targets[::-1]),
    "another scale": replace(WINE, scale="overall"),
    "another type": replace(WINE, inputs=WINE.inputs.astype(np.float64)),  # type: ignore[arg-type]
    "a graph": replace(WINE, graph=Graph(WINE.inputs.astype(np.float32), np.asarray([[0, 1]]))),
}


def test_a_hash_is_of_the_rows_and_of_how_they_are_used() -> None:
    assert hash_of_rows(WINE) == hash_of_rows(load("wine"))
    assert hash_of_rows(WINE) == hash_of_rows(replace(WINE, inputs=WINE.inputs.copy()))
    hashes = {name: hash_of_rows(arrays) for name, arrays in OTHERS.items()}
    assert len({hash_of_rows(WINE), *hashes.values()}) == len(OTHERS) + 1, hashes


def test_a_pack_keeps_the_hashes_and_a_store_that_goes_on_from_it_has_them(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    assert noted(journal, "wine", "digits", "wine") == ()
    size = journal.path.stat().st_size
    assert noted(journal, "wine", "digits") == ()
    assert journal.path.stat().st_size == size, "each is noted once"
    manifest = pack(journal, tmp_path / "packed", "a test", {})
    expected = {name: hash_of_rows(load(name)) for name in ("digits", "wine")}
    assert manifest["rows"] == packed_rows(tmp_path / "packed") == expected
    with Journal(tmp_path / "new.log") as new:
        assert seed_journal(new, tmp_path / "packed").rows == expected
    assert State.of(new).damaged == []


@pytest.mark.parametrize("goes_on", ["from a pack", "in its store"])
def test_a_build_names_data_sets_whose_rows_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goes_on: str
) -> None:
    journal, packed = filled(tmp_path), tmp_path / "packed"
    noted(journal, "wine", "digits")
    pack(journal, packed, "a test", {})
    told: list[str] = []
    tasks = ["digits-mlp-1", "wine-mlp-1"]
    settings: dict[str, Any] = {
        "tasks": tasks, "stages": ["reference"], "recipes": RECIPES[:1], "warn": told.append,
    }  # fmt: skip
    if goes_on == "from a pack":
        settings["seed_from"] = packed
    store = journal.path if goes_on == "in its store" else tmp_path / "new.log"
    build(store, **settings)
    assert told == []
    monkeypatch.setattr(recorded_rows, "load", other_rows)
    for _ in range(2):
        build(store, **settings)
    assert len(told) == 2, "the runs on the old rows are still there"
    assert "other rows of wine:" in told[0]
    build(store, **{**settings, "tasks": ["digits-mlp-1"]})
    assert len(told) == 2, "what is not built is not looked at"
    assert pack(Journal(store), packed, "a test", {})["rows"]["wine"] == hash_of_rows(WINE)


@pytest.mark.parametrize("rows", [None, [], 3, {"wine": 5}])
def test_a_manifest_without_hashes_is_read(tmp_path: Path, rows: object) -> None:
    pack(filled(tmp_path), tmp_path / "packed", "a test", {})
    path = tmp_path / "packed" / "manifest.json"
    manifest = read_json(path)
    del manifest["rows"]
    path.write_text(json.dumps(manifest if rows is None else {**manifest, "rows": rows}))
    check_hashes(tmp_path / "packed")
    with Journal(tmp_path / "new.log") as journal:
        state = seed_journal(journal, tmp_path / "packed")
    assert (len(state.runs), state.rows) == (4, {})
    assert noted(journal, "wine") == ()
    assert State.of(journal).rows == {"wine": hash_of_rows(WINE)}


def test_what_is_not_at_hand_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADVISOR_CACHE", str(tmp_path / "empty"))
    monkeypatch.delenv("ADVISOR_DATA", raising=False)
    journal = filled(tmp_path)
    assert noted(journal, "cora", "moon_picture") == ()
    assert State.of(journal).rows == {}

    def damaged(name: str) -> Arrays:
        raise UserError("a wheel", "another one", "delete it")

    monkeypatch.setattr(recorded_rows, "load", damaged)
    assert noted(journal, "wine") == ()
    assert State.of(journal).rows == {}
