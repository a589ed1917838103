"""Features that transfer: a task's profile and a recipe as numbers, dimensionless where possible.

Absolute learning rates and every relative form (to sharpness, to a range test) are features, and
none is taken as the truth. A missing value is NaN; what that means is told with each feature in
``advisor.feature_table``. The Gaussian then takes the task for an average one: ``advisor.standard``
puts in the mean of the known tasks, 0 only once standardized. LightGBM has a branch for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advisor.feature_table import (
    PAIR_UNITS,
    RECIPE_GROUPS,
    RECIPE_UNITS,
    TASK_GROUPS,
    TASK_UNITS,
)
from probes.recipe import catalogue
from probes.recipe.compatibility import REPARAMETRIZING
from probes.recipe.method import UPDATES
from probes.recipe.schema import Recipe

Matrix = NDArray[np.float64]
VERSION = 5
"""Raised whenever a feature changes its meaning."""
_MISSING = float("nan")
_AT_ONCE, _HARDLY = 1e-6, 0.95
"""The fastest and slowest decay of a slope between halves of a course that are told apart."""


def update_of(optimizer: str) -> str:
    """What the optimizer's update is made of: rates are comparable within it."""
    return str(catalogue.method("optimizer", optimizer).update)


def task_features(values: Mapping[str, float], steps: int, batch_size: int) -> dict[str, float]:
    """Features of a task by name.

    Args:
        values: A profile's values.
        steps: Budget in batches.
        batch_size: Samples a batch.
    """

    def get(*names: str) -> float:
        for name in names:
            if name in values:
                return float(values[name])
        return _MISSING

    def log10(value: float, floor: float = 1e-12) -> float:
        return math.log10(max(value, floor)) if value == value else _MISSING

    samples, parameters = get("data.samples"), get("model.parameters")
    classes, chance = get("data.classes"), get("data.chance_loss")
    early, late = get("landmark.early_slope"), get("landmark.late_slope")
    found = {
        "log_steps": log10(steps),
        "log_epochs": log10(steps * batch_size / samples) if samples > 0 else _MISSING,
        "log_batch": math.log2(batch_size),
        "log_samples": log10(samples),
        "log_parameters": log10(parameters),
        "parameters_per_sample": log10(parameters / samples) if samples > 0 else _MISSING,
        "depth": get("model.depth"),
        "log_width": log10(get("model.width")) / math.log10(2),
        "classification": get("data.target_classification"),
        "regression": get("data.target_regression"),
        "tokens": get("data.target_tokens"),
        "log_classes": log10(max(classes, 1.0)) if classes == classes else _MISSING,
        "convolution": get("model.convolutional"),
        "recurrence": get("model.recurrent"),
        "attention": get("model.attention"),
        "residual": get("model.residual"),
        "embedding": get("model.embedding"),
        "batch_norm": get("model.has_batch_norm"),
        "any_norm": get("model.has_norm"),
        "saturating": get("model.activation_saturating"),
        "output_scale": log10(get("model.output_scale")),
        "input_condition": get("data.conditioning"),
        # targets that are all the same leave nothing to guess
        "loss_over_chance": get("landmark.initial_loss") / chance if chance else _MISSING,
        "landmark_drop": get("landmark.drop"),
        "landmark_late_slope": late,
        "landmark_curvature": early - late,
        "landmark_asymptote": math.log1p(further_fall(early, late, get("landmark.drop"))),
        "landmark_roughness": get("landmark.roughness"),
        "generalization": get("landmark.generalization"),
        "gradient_trend": get("gradient.trend"),
        "batch_over_noise": -get("noise.over_batch"),
        "update_over_weight": get("update.ratio"),
        "sharpness": get("sharpness.initial"),
        "sharpness_gradient": get("sharpness.times_gradient"),
        **{
            f"race_{name}": get(f"race.{name}.lead")
            for name in ("momentum", "muon", "adamw_high", "momentum_low", "adamw_low")
        },
        "range_adamw": get("range.adamw.valley"),
        "range_momentum": get("range.momentum.valley"),
    }
    return {name: _clipped(found[name]) for name in TASK_UNITS}


def further_fall(early: float, late: float, drop: float) -> float:
    """How far a loss would yet fall on the log scale: the asymptote of its course.

    A slope that decays exponentially is l sqrt(l / e) at the end of a run whose halves have the
    mean slopes e and l, and what it has yet to fall is that over the rate of decay, ln(e / l) a
    half. A half has d / (e + l) steps, d the fall over both.

    Args:
        early: Fall per step over the first half.
        late: The same over the second.
        drop: Fall over the whole run; that to the mean of the last quarter is a little less.

    Returns:
        The fall, 0 where the loss no longer falls; a slope that hardly decays counts as one that
        does by a twentieth a half. NaN where one of the three is.
    """
    if math.isnan(early + late + drop):
        return _MISSING
    if late <= 0 or drop <= 0:
        return 0.0
    share = min(max(late / early, _AT_ONCE), _HARDLY) if early > 0 else _HARDLY
    return math.sqrt(share) * drop * share / (1 + share) / -math.log(share)


def _clipped(value: float) -> float:
    return min(max(value, -20.0), 20.0) if value == value else value


@lru_cache(maxsize=4096)
def recipe_features(recipe: Recipe) -> dict[str, float]:
    """Features of a recipe by name, whatever the task."""
    from probes.recipe.build import schedule_function

    optimizer, settings = recipe.optimizer, recipe.optimizer.settings
    rate, update = optimizer.number("lr"), update_of(optimizer.name)
    momentum = float(settings.get("momentum", settings.get("beta1", 0.0)))
    second = float(settings.get("beta2", settings.get("alpha", settings.get("rho", 0.0))))
    decay = float(settings.get("weight_decay", 0.0))
    factor = schedule_function(recipe.schedule)
    factors = [factor(step, 100) for step in range(100)]
    peak = int(np.argmax(factors))
    default = catalogue.method("optimizer", optimizer.name).hyperparameters[0].default
    rises = sum(factors[i - 1] > factors[i] < factors[i + 1] for i in range(1, 99))
    norm, regularization = recipe.normalization.name, recipe.regularization
    rates = (regularization.dropout or 0.0, regularization.insert_dropout or 0.0)
    averages = "evaluation switch" in catalogue.method("optimizer", optimizer.name).needs or (
        recipe.averaging is not None and recipe.members == 1
    )
    found = {
        "log_rate": math.log10(rate),
        "rate_over_default": math.log10(rate / float(default)),
        "effective_rate": math.log10(rate / (1.0 - (momentum if update == "gradient" else 0.0))),
        **{f"is_{name}": float(update == name) for name in UPDATES},
        "passes": math.log2(recipe.passes_per_step),
        "state": math.log2(1.0 + catalogue.method("optimizer", optimizer.name).state),
        "momentum": momentum,
        "second_moment": -math.log10(1.0 - second) if second else 0.0,
        "log_decay": math.log10(max(decay, 1e-6)),
        "schedule_area": sum(factors) / 100,
        "schedule_peak": peak / 100,
        "schedule_final": factors[-1],
        "schedule_cycles": float(rises),
        "warmup": recipe.schedule.number("warmup"),
        "clip": float(recipe.clip is not None and recipe.clip.name == "norm"),
        "clip_parts": float(recipe.clip is not None and recipe.clip.name != "norm"),
        "early_stopping": float(recipe.regularization.early_stopping is not None),
        "label_smoothing": recipe.regularization.label_smoothing,
        "horizon": recipe.horizon,
        "own_batch": math.log2(recipe.batch_size) if recipe.batch_size else 0.0,
        "averaged": float(averages),
        "members": math.log2(recipe.members),
        "dropout": max(rates),
        "batch_norm": float(norm in ("batch", "weight_batch", "mean_only_batch")),
        "layer_norm": float(norm in ("layer", "rms")),
        "weight_norm": float(norm in REPARAMETRIZING),
        "other_norm": float(norm in ("none", "group", "instance")),
    }
    return {name: found[name] for name in RECIPE_UNITS}


def recipe_matrix(recipes: Sequence[Recipe]) -> Matrix:
    """(n, q) recipe features: columns as RECIPE_UNITS, then 0 or 1 for each optimizer's name.

    Two optimizers of one kind with one rate have the same features; the names let the Gaussian
    tell them apart, and carry what is known of an optimizer over to its other rates.
    """
    names = optimizer_names()
    rows = [
        [
            *recipe_features(recipe).values(),
            *(float(recipe.optimizer.name == name) for name in names),
        ]
        for recipe in recipes
    ]
    return np.asarray(rows, dtype=np.float64).reshape(len(rows), len(RECIPE_UNITS) + len(names))


def optimizer_names() -> list[str]:
    """The optimizers that ``recipe_matrix`` has a column for, in their order."""
    return list(catalogue.table("optimizer"))


def recipe_groups() -> list[list[int]]:
    """Columns of ``recipe_matrix`` that share a length scale; the last are the names."""
    return [*columns_of(RECIPE_GROUPS, list(RECIPE_UNITS)), name_columns()]


def name_columns() -> list[int]:
    """Columns of ``recipe_matrix`` that tell the optimizer's name."""
    return [len(RECIPE_UNITS) + place for place in range(len(optimizer_names()))]


def task_groups() -> list[list[int]]:
    """Columns of a task's features that share a length scale."""
    return columns_of(TASK_GROUPS, list(TASK_UNITS))


def columns_of(groups: Mapping[str, Sequence[str]], names: Sequence[str]) -> list[list[int]]:
    """Indices of each group's members among the names."""
    return [[names.index(member) for member in members] for members in groups.values()]


def pair_features(
    task: Mapping[str, float], recipe: Recipe, steps: int, batch_size: int
) -> dict[str, float]:
    """Features of a recipe on a task by name."""
    own = recipe_features(recipe)
    update = update_of(recipe.optimizer.name)
    taken = recipe.steps_for(steps, batch_size)
    total = own["log_rate"] + math.log10(max(own["schedule_area"], 1e-6) * taken)
    valley = {"gradient": task["range_momentum"], "entries": task["range_adamw"]}.get(
        update, _MISSING
    )
    return {
        "batch_ratio": math.log2((recipe.batch_size or batch_size) / batch_size),
        "rate_times_sharpness": (
            own["effective_rate"] + task["sharpness"] if update == "gradient" else _MISSING
        ),
        "rate_over_range": own["log_rate"] - valley,
        "total_decay": total + own["log_decay"],
        "recipe_log_steps": math.log10(taken),
        "total_rate": total,
    }


def feature_names() -> list[str]:
    """Columns of ``feature_rows``."""
    return [
        *(f"task.{name}" for name in TASK_UNITS),
        *(f"recipe.{name}" for name in RECIPE_UNITS),
        *(f"pair.{name}" for name in PAIR_UNITS),
    ]


def feature_rows(
    task: Mapping[str, float], recipes: Sequence[Recipe], steps: int, batch_size: int
) -> Matrix:
    """One row a recipe, columns as ``feature_names``; NaN is missing."""
    head = [task[name] for name in TASK_UNITS]
    rows: list[list[Any]] = []
    for recipe in recipes:
        pair = pair_features(task, recipe, steps, batch_size)
        rows.append([*head, *recipe_features(recipe).values(), *pair.values()])
    return np.asarray(rows, dtype=np.float64)
