"""The space around the ranking: names, ranges, and what has a place in it."""

from __future__ import annotations

import optuna
import pytest
from refine_cases import (
    CLIPPED,
    GOOD,
    ODD,
    SMALL,
    WHOLE_SEARCHES,
    make_advice,
    make_task,
    trials_of,
)

from advisor.refine import refine
from advisor.refine_search import MOVES
from advisor.refine_space import FACTOR, Neighbourhood
from knowledge_base.reference import reference_recipes
from probes.recipe.schema import Recipe

pytestmark = WHOLE_SEARCHES


def test_names_are_prefixed_and_ranges_are_narrow(storage: str) -> None:
    refine(make_advice(GOOD, ODD, CLIPPED), make_task(), trials=MOVES + 4, storage=storage, **SMALL)

    drawn = [trial for trial in trials_of(storage) if not trial.user_attrs.get("exact", False)]
    assert len(drawn) == 2
    for trial in drawn:
        optimizer = trial.params["start"]
        others = {"adamw", "momentum"} - {optimizer}
        assert f"{optimizer}.lr" in trial.params
        assert not any(name.startswith(tuple(f"{one}." for one in others)) for name in trial.params)
        recipe = Recipe.parse(trial.user_attrs["recipe"]["plain"])
        if optimizer == "adamw":
            assert 0.01 / FACTOR <= recipe.optimizer.number("lr") <= 0.03 * FACTOR
        else:
            assert 0.05 / FACTOR <= recipe.optimizer.number("lr") <= 0.05 * FACTOR
            assert recipe.optimizer["momentum"] == 0.8
            assert recipe.batch_size == 8


@pytest.mark.parametrize("recipe", reference_recipes(), ids=lambda recipe: recipe.key)
def test_every_reference_recipe_is_its_own_nearest_neighbour(recipe: Recipe) -> None:
    space = Neighbourhood([GOOD, recipe, ODD], cross_entropy=True)
    parameters = space.nearest(recipe)

    assert parameters is not None
    rebuilt = space.suggest(optuna.trial.FixedTrial(parameters))
    decay = recipe.optimizer.settings.get("weight_decay")
    if decay == 0.0:  # zero has no place on a log scale
        assert rebuilt.optimizer.number("weight_decay") <= 1e-6
        rebuilt = rebuilt.with_(optimizer={**rebuilt.optimizer.model_dump(), "weight_decay": 0.0})
    assert rebuilt == recipe
    for name, value in parameters.items():
        distribution = space.distributions[name]
        assert distribution._contains(distribution.to_internal_repr(value)), name


def test_what_no_start_shares_has_no_neighbour() -> None:
    space = Neighbourhood([GOOD], cross_entropy=True)
    assert space.nearest(ODD) is None
    assert space.nearest(CLIPPED) is None  # another schedule
    assert "label_smoothing" not in Neighbourhood([GOOD], cross_entropy=False).distributions
