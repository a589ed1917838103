"""The matrix of tasks by reference recipes has three kinds of cells, and knows no other task."""

from __future__ import annotations

from collections import Counter

from knowledge_base.cells import reference_cells
from knowledge_base.reference import reference_recipes

TASK = "wine-mlp-1"
KEYS = [recipe.key for recipe in reference_recipes()]


def test_a_cell_is_a_run_a_refusal_or_missing() -> None:
    ran = {(TASK, key) for key in KEYS[:5]} | {(TASK, "a searched one")}
    refused = {(TASK, key) for key in KEYS[4:7]}
    cells = reference_cells([TASK, "digits-mlp-1"], ran, refused)
    assert list(cells) == [(name, key) for name in ("digits-mlp-1", TASK) for key in KEYS]
    assert Counter(cells[TASK, key] for key in KEYS) == {
        "run": 5, "refused": 2, "missing": len(KEYS) - 7,
    }  # fmt: skip
    assert {cells["digits-mlp-1", key] for key in KEYS} == {"missing"}


def test_what_does_not_run_the_whole_set_has_no_cells() -> None:
    assert reference_cells(["satimage-mlp-1@width2", "of another release"], set(), set()) == {}
