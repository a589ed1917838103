"""Features: complete, named, with units; unknown stays unknown."""

from __future__ import annotations

import math

import numpy as np
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from advisor.feature_table import (
    BOOSTED_ONLY,
    PAIR_UNITS,
    RECIPE_GROUPS,
    RECIPE_UNITS,
    TASK_GROUPS,
    TASK_UNITS,
)
from advisor.features import (
    feature_names,
    feature_rows,
    further_fall,
    name_columns,
    pair_features,
    recipe_features,
    recipe_groups,
    recipe_matrix,
    task_features,
    update_of,
)
from knowledge_base.reference import reference_recipes
from probes.measures.landmark_run import curve_shape
from probes.profile import units
from probes.recipe import catalogue
from probes.recipe.method import UPDATES
from probes.recipe.schema import Recipe

VALUES = st.dictionaries(
    st.sampled_from(sorted(units())), st.floats(allow_nan=True, allow_infinity=False)
)
SHARES = ("schedule_area", "schedule_peak", "schedule_final", "warmup", "label_smoothing",
          "horizon", "momentum")  # fmt: skip


def test_names_are_unique_and_every_feature_has_a_unit() -> None:
    names = feature_names()
    assert len(names) == len(set(names)) == len(TASK_UNITS) + len(RECIPE_UNITS) + len(PAIR_UNITS)
    assert all({**TASK_UNITS, **RECIPE_UNITS, **PAIR_UNITS}.values())


@pytest.mark.parametrize(
    ("groups", "others", "named"),
    [(TASK_GROUPS, BOOSTED_ONLY, TASK_UNITS), (RECIPE_GROUPS, {}, RECIPE_UNITS)],
)
def test_every_feature_is_in_one_group_or_lightgbms_alone(
    groups: dict[str, tuple[str, ...]], others: dict[str, tuple[str, ...]], named: dict[str, str]
) -> None:
    members = [member for group in (*groups.values(), *others.values()) for member in group]
    assert sorted(members) == sorted(named)
    assert others.keys() <= groups.keys()


def test_only_known_values_of_a_profile_are_read() -> None:
    """Every measure that a feature reads exists: given all of them, nothing is missing."""
    found = task_features(dict.fromkeys(units(), 2.0), steps=100, batch_size=8)
    assert not [name for name, value in found.items() if math.isnan(value)]


@pytest.mark.parametrize("decay", [0.02, 0.1, 0.4])
@pytest.mark.parametrize("depth", [0.5, 3.0])
def test_further_fall_finds_the_asymptote_of_an_exponential_course(
    decay: float, depth: float
) -> None:
    losses = [math.exp(depth * math.exp(-decay * step)) for step in range(41)]
    shape = curve_shape(losses, "c")
    early, late = shape["c.early_slope"], shape["c.late_slope"]
    drop = shape["c.drop"]  # to the mean of the last quarter
    assert further_fall(early, late, drop) == pytest.approx(math.log(losses[-1]), abs=0.1 * depth)


@pytest.mark.parametrize(
    ("early", "late", "drop", "fall"),
    [
        (0.1, 0.0, 1.0, 0.0),
        (0.1, -0.1, 0.2, 0.0),
        (0.1, 0.05, -0.1, 0.0),
        (0.1, 1e-300, 1.0, 0.0),
        (float("nan"), 0.1, 1.0, float("nan")),
        (0.1, 0.1, float("nan"), float("nan")),
    ],
)
def test_further_fall_of_courses_that_end_or_are_unknown(
    early: float, late: float, drop: float, fall: float
) -> None:
    assert further_fall(early, late, drop) == pytest.approx(fall, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(("early", "late"), [(0.1, 0.1), (0.05, 0.1), (-0.1, 0.1)])
def test_a_slope_that_does_not_decay_counts_as_one_that_hardly_does(
    early: float, late: float
) -> None:
    assert further_fall(early, late, 1.0) == further_fall(0.1, 0.095, 1.0) > 5


def test_missing_values_are_unknown() -> None:
    found = task_features({}, steps=100, batch_size=8)
    known = {name: value for name, value in found.items() if not math.isnan(value)}
    assert known == {"log_steps": 2.0, "log_batch": 3.0}


def test_values_on_an_example() -> None:
    found = task_features(
        {"data.samples": 400.0, "model.parameters": 4000.0, "model.width": 64.0,
         "landmark.initial_loss": 3.0, "data.chance_loss": 1.5, "noise.over_batch": 0.25},
        steps=1000, batch_size=4,
    )  # fmt: skip
    wanted = {"log_epochs": 1.0, "log_samples": math.log10(400), "parameters_per_sample": 1.0,
              "log_width": 6.0, "loss_over_chance": 2.0, "batch_over_noise": -0.25}  # fmt: skip
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)


@given(VALUES, st.integers(1, 10**6), st.integers(1, 4096))
def test_any_profile_gives_bounded_features(
    values: dict[str, float], steps: int, batch_size: int
) -> None:
    found = task_features(values, steps, batch_size)
    assert list(found) == list(TASK_UNITS)
    assert all(math.isnan(value) or abs(value) <= 20 for value in found.values())


def test_targets_without_variation_have_no_loss_over_chance() -> None:
    values = {"landmark.initial_loss": 1.0, "data.chance_loss": 0.0}
    assert math.isnan(task_features(values, 10, 4)["loss_over_chance"])


@pytest.mark.parametrize("recipe", reference_recipes(), ids=Recipe.describe)
def test_features_of_the_reference_set(recipe: Recipe) -> None:
    found = recipe_features(recipe)
    assert list(found) == list(RECIPE_UNITS)
    assert all(math.isfinite(value) for value in found.values())
    assert 10 ** found["log_rate"] == pytest.approx(recipe.optimizer["lr"])
    assert [found[f"is_{kind}"] for kind in UPDATES].count(1.0) == 1
    assert all(0.0 <= found[name] <= 1.0 for name in SHARES)
    assert found["effective_rate"] >= found["log_rate"]
    assert found["log_decay"] >= -6.0
    assert found["horizon"] == recipe.horizon


def test_recipes_that_differ_have_different_features() -> None:
    rows = {tuple(recipe_features(recipe).values()): recipe for recipe in reference_recipes()}
    # momentum and its Nesterov form, RMS and layer norm and their like count as one method
    assert len(rows) >= 0.93 * len(reference_recipes())


def test_every_kind_of_update_is_a_feature_of_its_own() -> None:
    for name in catalogue.table("optimizer"):
        found = recipe_features(Recipe.parse({"optimizer": name}))
        kinds = {kind: found[f"is_{kind}"] for kind in UPDATES}
        assert kinds == {kind: float(kind == update_of(name)) for kind in UPDATES}
    assert update_of("nesterov") == "gradient"
    assert update_of("nadamw") == "entries"


def test_pair_features_on_an_example() -> None:
    task = task_features({"sharpness.initial": 2.0, "range.momentum.valley": -2.0}, 100, 16)
    recipe = Recipe.parse({"optimizer": {"name": "momentum", "lr": 0.1}, "batch_size": 32})
    found = pair_features(task, recipe, steps=100, batch_size=16)
    assert list(found) == list(PAIR_UNITS)
    assert found["batch_ratio"] == 1.0
    assert found["recipe_log_steps"] == pytest.approx(math.log10(50))
    assert found["rate_times_sharpness"] == pytest.approx(2.0, abs=1e-6), "1 / (1 - 0.9) is 10"
    assert found["rate_over_range"] == pytest.approx(1.0)
    assert found["total_rate"] == pytest.approx(math.log10(0.1 * 50))
    adam = pair_features(task, Recipe.parse({"optimizer": "adam"}), 100, 16)
    assert math.isnan(adam["rate_times_sharpness"])
    assert math.isnan(adam["rate_over_range"])


def test_rows_have_the_columns_of_the_names() -> None:
    from knowledge_base.tasks import task_rows

    row = task_rows()[synthetic.TASKS[0]]
    task, recipes = synthetic.features(row, "flat"), synthetic.recipes()
    rows = feature_rows(task, recipes, row.steps, row.batch_size)
    assert rows.shape == (len(recipes), len(feature_names()))
    names = feature_names()
    np.testing.assert_array_equal(rows[:, names.index("task.sharpness")], task["sharpness"])
    rates = [math.log10(recipe.optimizer.number("lr")) for recipe in recipes]
    np.testing.assert_allclose(rows[:, names.index("recipe.log_rate")], rates)


def test_the_recipe_matrix_tells_optimizers_with_equal_features_apart() -> None:
    left, right = (
        Recipe.parse({"optimizer": {"name": name, "lr": 0.01}, "schedule": "cosine"})
        for name in ("adam", "amsgrad")
    )
    matrix = recipe_matrix([left, right])
    names = name_columns()
    assert matrix.shape == (2, len(RECIPE_UNITS) + len(names))
    assert matrix[:, names].sum(1).tolist() == [1.0, 1.0]
    assert (matrix[0, names] != matrix[1, names]).sum() == 2
    groups = [column for group in recipe_groups() for column in group]
    assert sorted(groups) == list(range(matrix.shape[1]))
    assert recipe_matrix([]).shape == (0, matrix.shape[1])
