"""The recipes that may be advised: those that known tasks ran, and many near the best of them.

Of an untried recipe the meta-model knows what it knows of those near it. So the pool holds, beside
the reference recipes, variations of those that were among the best on some known task. They depend
on the knowledge base alone: they are made, and their features worked out, when it is fitted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from advisor.array_file import Arrays, check_identity, read_arrays, write_arrays
from advisor.candidates import neighbours
from advisor.features import VERSION, Matrix, feature_names, optimizer_names, recipe_matrix
from advisor.knowledge import Knowledge
from probes.recipe.schema import Recipe

FILE = "candidates.npz"
SIZE = 2000
"""Recipes of a pool, if the knowledge base knows enough to vary."""
_SCHEMA = 1
_BEST = 3
"""Recipes of each known task whose variations may be advised."""


@dataclass(frozen=True, eq=False)
class Pool(Sequence[Recipe]):
    """Recipes with their features; the reference recipes come first, in their order.

    Attributes:
        plain: Each recipe as ``Recipe.plain`` gives it; one is read when it is asked for.
        columns: (n, q) what ``features.recipe_matrix`` has for them.
    """

    plain: tuple[dict[str, Any], ...]
    columns: Matrix
    _read: dict[int, Recipe] = field(default_factory=dict)

    def __len__(self) -> int:
        """Their number."""
        return len(self.plain)

    @overload
    def __getitem__(self, index: int) -> Recipe: ...
    @overload
    def __getitem__(self, index: slice) -> list[Recipe]: ...
    def __getitem__(self, index: int | slice) -> Recipe | list[Recipe]:
        """One recipe, or those of a slice."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if index not in self._read:
            self._read[index] = Recipe.parse(self.plain[index])
        return self._read[index]


def near_the_best(knowledge: Knowledge, count: int) -> list[Recipe]:
    """Recipes that no known task ran, near those that were among the best on some.

    First come those near the recipe that was among the best on the most tasks.

    Args:
        knowledge: The known tasks and recipes.
        count: How many; there may be fewer.
    """
    regrets = np.where(np.isnan(knowledge.learned), np.inf, knowledge.learned)
    best = Counter(int(i) for row in regrets.argsort(1, kind="stable")[:, :_BEST] for i in row)
    known = {recipe.key for recipe in knowledge.recipes}
    found: dict[str, Recipe] = {}
    for place, _ in sorted(best.items(), key=lambda item: (-item[1], item[0])):
        for recipe in neighbours([knowledge.recipes[place]], knowledge.recipes):
            if recipe.key not in known:
                found.setdefault(recipe.key, recipe)
        if len(found) >= count:
            break
    return list(found.values())[:count]


def fit_pool(knowledge: Knowledge, folder: Path) -> None:
    """Write the pool of a knowledge base beside its meta-models.

    Args:
        knowledge: The tasks and recipes of the meta-models.
        folder: Of the meta-models.
    """
    near = near_the_best(knowledge, max(0, SIZE - len(knowledge.recipes)))
    recipes = [*knowledge.recipes, *near]
    text = json.dumps([recipe.plain() for recipe in recipes], separators=(",", ":"))
    arrays: dict[str, Any] = {
        "recipes": np.frombuffer(text.encode(), dtype=np.uint8),
        "columns": recipe_matrix(recipes).astype(np.float32),
        **_identity([recipe.key for recipe in knowledge.recipes]),
    }
    write_arrays(folder / FILE, arrays)
    _read.cache_clear()


def load_pool(folder: Path, recipes: Sequence[Recipe]) -> Pool:
    """Read what ``fit_pool`` wrote.

    Args:
        folder: Of the meta-models.
        recipes: The reference recipes of the model that the pool is to go with.

    Raises:
        UserError: It is not there, cannot be read, or goes with other recipes or features.
    """
    pool, identity = _read(folder)
    wanted = _identity([recipe.key for recipe in recipes])
    check_identity(folder / FILE, "recipes that go with the meta-model", identity, wanted)
    return pool


def _identity(keys: Sequence[str]) -> dict[str, NDArray[Any]]:
    """What tells whose pool it is, and what its columns mean."""
    return {
        "schema": np.asarray([_SCHEMA, VERSION]),
        "reference": np.asarray(keys, dtype=np.str_),
        "names": np.asarray([*feature_names(), *optimizer_names()], dtype=np.str_),
    }


@lru_cache(maxsize=8)
def _read(folder: Path) -> tuple[Pool, Arrays]:
    return read_arrays(folder / FILE, "recipes to advise", _pool_of)


def _pool_of(arrays: Arrays) -> Pool:
    plain = json.loads(arrays["recipes"].tobytes())
    columns = arrays["columns"].astype(np.float64)
    if len(plain) != len(columns):
        raise ValueError(f"{len(plain)} recipes, features of {len(columns)}")
    return Pool(tuple(plain), columns)
