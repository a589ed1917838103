"""Moves from a recipe: one thing changed, valid, and the order in which they are made."""

from __future__ import annotations

import pytest

from advisor.refine_moves import moves, next_move
from knowledge_base.reference import reference_recipes
from probes.recipe.schema import Recipe


def at(rate: float) -> Recipe:
    return Recipe.parse({"optimizer": {"name": "adamw", "lr": rate}, "schedule": "cosine"})


@pytest.mark.parametrize("recipe", reference_recipes()[::12], ids=lambda recipe: recipe.key)
def test_a_move_changes_one_thing_and_stays_valid(recipe: Recipe) -> None:
    found = moves(recipe, 32)
    assert found
    assert recipe not in found.values()
    for move in found.values():
        assert move.optimizer.name == recipe.optimizer.name
        assert move.normalization == recipe.normalization
        parts = ("optimizer", "schedule", "regularization", "batch_size", "clip")
        changed = [part for part in parts if getattr(move, part) != getattr(recipe, part)]
        assert len(changed) == 1


def test_a_batch_is_halved_down_to_a_quarter() -> None:
    def halved(size: int) -> Recipe | None:
        return moves(at(0.01).with_(batch_size=size), 32).get("half the batch")

    assert halved(32) is not None
    assert halved(32).batch_size == 16
    assert halved(16).batch_size == 8
    assert halved(8) is None
    assert moves(at(0.01), 32)["half the batch"].batch_size == 16


def test_the_next_move_is_the_first_that_failed_least() -> None:
    near = {"a": at(0.1), "b": at(0.2), "c": at(0.3)}
    assert next_move(near, set(), {}) == "a"
    assert next_move(near, {near["a"].key}, {}) == "b"
    assert next_move(near, set(), {"a": 1, "b": 2, "c": 1}) == "a"
    assert next_move(near, {one.key for one in near.values()}, {}) is None
