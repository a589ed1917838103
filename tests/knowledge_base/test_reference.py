"""The reference set: distinct, spread out, and asking little of a task; no model is made here."""

from __future__ import annotations

import pytest

from knowledge_base.reference import ladder_recipes, landmarks, reference_recipes
from probes.recipe import catalogue
from probes.recipe.schema import Recipe


def test_recipes_are_distinct_and_in_a_fixed_order() -> None:
    recipes = reference_recipes()
    assert len({recipe.key for recipe in recipes}) == len(recipes) >= 192
    assert recipes[0] == Recipe.parse(
        {"optimizer": {"name": "adamw", "lr": 3e-4}, "schedule": "cosine"}
    )
    assert reference_recipes() is recipes


@pytest.mark.parametrize("recipe", reference_recipes(), ids=Recipe.describe)
def test_a_recipe_needs_no_classes_convolutions_or_dropout_layers(recipe: Recipe) -> None:
    assert recipe.regularization.label_smoothing == 0.0, "needs classes"
    assert recipe.normalization.name not in ("none", "instance"), "need norms or convolutions"
    assert recipe.regularization.dropout is None, "needs dropout layers"
    assert recipe.batch_size is None or recipe.batch_size <= 16, "fits the smallest data set"
    assert Recipe.parse(recipe.plain()) == recipe


def test_learning_rates_lie_in_the_usual_range() -> None:
    for recipe in reference_recipes():
        rate = catalogue.method("optimizer", recipe.optimizer.name).hyperparameters[0]
        assert rate.name == "lr"
        assert rate.low <= recipe.optimizer.number("lr") <= rate.high, recipe.describe()


def test_the_set_is_spread_over_what_a_recipe_can_say() -> None:
    recipes = reference_recipes()
    assert {recipe.optimizer.name for recipe in recipes} == set(catalogue.table("optimizer"))
    assert {recipe.schedule.name for recipe in recipes} == set(catalogue.table("schedule"))
    clips = {recipe.clip.name for recipe in recipes if recipe.clip}
    averages = {recipe.averaging.name for recipe in recipes if recipe.averaging}
    families = {row.name: row.family for row in catalogue.EXTRAS}
    assert clips == {name for name, family in families.items() if family == "clipping"}
    assert averages == {name for name, family in families.items() if family == "averaging"}
    for says in (
        lambda r: r.clip is not None,
        lambda r: r.regularization.early_stopping is not None,
        lambda r: r.batch_size is not None,
        lambda r: r.horizon < 1.0,
        lambda r: r.normalization.name == "layer",
        lambda r: r.normalization.name == "weight",
        lambda r: r.schedule.number("warmup") > 0,
        lambda r: r.optimizer.settings.get("weight_decay", 0.0) >= 0.3,
    ):
        assert 1 <= sum(map(says, recipes)) < len(recipes) / 2


@pytest.mark.parametrize("few", [landmarks(), ladder_recipes()], ids=["landmarks", "ladders"])
def test_the_short_sets_are_of_the_set(few: tuple[Recipe, ...]) -> None:
    assert {recipe.key for recipe in few} <= {recipe.key for recipe in reference_recipes()}
    assert len({recipe.key for recipe in few}) == len(few) >= 7


def test_the_first_landmark_is_what_is_copied() -> None:
    copied = Recipe.parse({"optimizer": {"name": "adamw", "lr": 1e-3}, "schedule": "cosine"})
    assert landmarks()[0] == copied
