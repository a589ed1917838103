"""The pool: what may be advised, and whose it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import synthetic

from advisor import candidate_pool as pools
from advisor.candidate_pool import FILE, SIZE, fit_pool, load_pool, near_the_best
from advisor.features import recipe_matrix
from advisor.fitted_file import FOLDER
from advisor.knowledge import Knowledge
from advisor.shipped import fitted_tiers, load_shipped
from probes.errors import UserError
from probes.recipe.schema import Recipe


def test_near_recipes_vary_what_was_best_somewhere(knowledge: Knowledge) -> None:
    found = near_the_best(knowledge, 2000)
    keys = [recipe.key for recipe in found]
    assert len(set(keys)) == len(keys) > 0
    assert not set(keys) & {recipe.key for recipe in knowledge.recipes}
    best = {int(i) for row in knowledge.learned for i in row.argsort(kind="stable")[:3]}

    def kept(recipe: Recipe) -> tuple[object, ...]:
        return recipe.optimizer.name, recipe.normalization, recipe.clip, recipe.averaging

    assert {kept(recipe) for recipe in found} == {kept(knowledge.recipes[i]) for i in best}


def test_those_near_the_most_frequent_winner_come_first(knowledge: Knowledge) -> None:
    regrets = np.ones_like(knowledge.learned)
    regrets[:, 7] = 0.0
    winner = knowledge.recipes[7]
    found = near_the_best(_with(knowledge, regrets), 5)
    assert found
    for recipe in found:
        assert recipe.optimizer.name == winner.optimizer.name
        assert recipe.normalization == winner.normalization


def test_what_is_written_is_read(knowledge: Knowledge, tmp_path: Path) -> None:
    fit_pool(knowledge, tmp_path)
    pool = load_pool(tmp_path, knowledge.recipes)
    known = len(knowledge.recipes)
    assert tuple(pool[:known]) == knowledge.recipes
    assert pool[known:] == near_the_best(knowledge, SIZE - known)
    np.testing.assert_allclose(pool.columns, recipe_matrix(pool), rtol=1e-6, atol=1e-6)


def test_a_pool_of_other_recipes_is_refused(knowledge: Knowledge, tmp_path: Path) -> None:
    fit_pool(knowledge, tmp_path)
    with pytest.raises(UserError, match="advisor kb fit"):
        load_pool(tmp_path, knowledge.recipes[:-1])


def test_a_pool_of_other_features_is_refused(
    knowledge: Knowledge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_pool(knowledge, tmp_path)
    monkeypatch.setattr(pools, "VERSION", pools.VERSION + 1)
    with pytest.raises(UserError, match="of another"):
        load_pool(tmp_path, knowledge.recipes)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 torn"])
def test_a_missing_or_torn_pool_is_the_users_error(
    models_folder: Path, tmp_path: Path, content: bytes | None
) -> None:
    folder = tmp_path / "models"
    shutil.copytree(models_folder, folder)
    if content is None:
        (folder / FILE).unlink()
    else:
        (folder / FILE).write_bytes(content)
    with pytest.raises(UserError, match="advisor kb fit"):
        load_pool(folder, load_shipped(synthetic.TIER, models_folder).model.recipes)


def test_the_shipped_pool_goes_with_every_shipped_model() -> None:
    for tier in fitted_tiers():
        pool = load_pool(FOLDER, load_shipped(tier).model.recipes)
    assert len(pool) == SIZE
    assert len({recipe.key for recipe in pool}) == SIZE


def _with(knowledge: Knowledge, regrets: np.ndarray) -> Knowledge:
    part = knowledge.part(range(len(knowledge.rows)))
    object.__setattr__(part, "learned", regrets)
    return part
