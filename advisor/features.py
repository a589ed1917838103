"""Features that transfer: a task's profile and a recipe as numbers, dimensionless where possible.

Absolute learning rates and every relative form (to sharpness, to a range test) are features, and
none is taken as the truth. A missing value is NaN and means that the profile's tier did not pay
for the probe or the probe did not apply; the models treat it as "unknown", never as zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.recipe import catalogue
from probes.recipe.schema import Recipe

Matrix = NDArray[np.float64]
VERSION = 2
"""Raised whenever a feature changes its meaning."""
_MISSING = float("nan")

TASK_UNITS: dict[str, str] = {
    "log_steps": "log10 steps of the budget",
    "log_epochs": "log10 passes over the training data within the budget",
    "log_batch": "log2 samples a batch",
    "log_samples": "log10 training samples",
    "log_parameters": "log10 trainable parameters",
    "parameters_per_sample": "log10 parameters over training samples",
    "depth": "weight layers",
    "log_width": "log2 median width of weight layers",
    "classification": "1 for class targets",
    "regression": "1 for real targets",
    "tokens": "1 where every position has a target",
    "log_classes": "log10 classes (0 for other targets)",
    "convolution": "1 where the model convolves",
    "recurrence": "1 where the model is recurrent",
    "attention": "1 where the model attends",
    "residual": "1 where the model has residual connections",
    "embedding": "1 where the model embeds tokens",
    "batch_norm": "1 where the model has batch norm",
    "any_norm": "1 where the model has any norm",
    "saturating": "1 where activations saturate (tanh, sigmoid)",
    "output_scale": "log10 root mean square of the outputs at initialization",
    "input_condition": "log10 of the largest over the median eigenvalue of the inputs",
    "loss_over_chance": "first loss over the loss of always guessing the shares",
    "landmark_drop": "log ratio of training losses over the landmark run",
    "landmark_late_slope": "fall of the log loss per step, late",
    "landmark_roughness": "spread of the log loss around its trend",
    "generalization": "validation drop minus training drop",
    "gradient_trend": "log ratio of the last to the first gradient norm",
    "batch_over_noise": "log10 batch size over gradient noise scale",
    "update_over_weight": "log10 update over weight norm at the landmark's rate",
    "sharpness": "log10 of the Hessian's largest eigenvalue",
    "sharpness_gradient": "log10 sharpness times squared gradient norm over loss",
    "race_momentum": "lead of momentum over the landmark after the same steps, log loss",
    "race_muon": "lead of Muon over the landmark, log loss",
    "race_adamw_high": "lead of AdamW at a high rate over the landmark, log loss",
    "race_momentum_low": "lead of momentum at a low rate, log loss",
    "race_adamw_low": "lead of AdamW at a low rate, log loss",
    "range_adamw": "log10 rate of AdamW's valley in a range test",
    "range_momentum": "log10 rate of momentum's valley in a range test",
}
"""Features of a task with their units."""

RECIPE_UNITS: dict[str, str] = {
    "log_rate": "log10 peak learning rate",
    "rate_over_default": "log10 peak rate over the optimizer's default",
    "effective_rate": "log10 peak rate over (1 - momentum)",
    "is_gradient": "1 for SGD and its momentum forms",
    "is_adam": "1 for Adam and its relatives",
    "is_muon": "1 for Muon",
    "is_other": "1 for the other adaptive methods",
    "momentum": "first-moment decay rate (0 without)",
    "second_moment": "log10 of 1 over (1 - second-moment decay rate), 0 without",
    "log_decay": "log10 weight decay, -6 for none",
    "schedule_area": "mean factor over the run",
    "schedule_peak": "position of the peak as a share of the run",
    "schedule_final": "factor at the end",
    "schedule_cycles": "times the rate rises after its first fall",
    "warmup": "share of the run",
    "clip": "1 with clipping by norm",
    "early_stopping": "1 with early stopping",
    "label_smoothing": "share",
    "horizon": "share of the budget",
    "own_batch": "log2 of the recipe's own batch size, 0 where it takes the task's",
    "layer_norm": "1 where norms become layer norm",
    "weight_norm": "1 with weight normalization",
    "other_norm": "1 with another change of normalization",
}
"""Features of a recipe with their units."""

PAIR_UNITS: dict[str, str] = {
    "batch_ratio": "log2 of the recipe's over the task's batch size",
    "rate_times_sharpness": "log10 effective rate times sharpness (gradient methods)",
    "rate_over_range": "log10 rate over the valley of the family's range test",
    "total_decay": "log10 of rate x decay x area x steps (decoupled decay over the run)",
    "recipe_log_steps": "log10 steps this recipe takes within the budget",
    "total_rate": "log10 of rate x area x steps",
}
"""Features of a recipe on a task with their units."""

TASK_GROUPS: dict[str, tuple[str, ...]] = {
    "size": ("log_steps", "log_epochs", "log_batch", "log_samples", "log_parameters",
             "parameters_per_sample", "depth", "log_width"),
    "kind": ("classification", "regression", "tokens", "log_classes", "convolution", "recurrence",
             "attention", "residual", "embedding", "batch_norm", "any_norm", "saturating"),
    "start": ("output_scale", "input_condition", "loss_over_chance", "batch_over_noise",
              "update_over_weight", "sharpness", "sharpness_gradient"),
    "course": ("landmark_drop", "landmark_late_slope", "landmark_roughness", "generalization",
               "gradient_trend"),
    "races": ("race_momentum", "race_muon", "race_adamw_high", "race_momentum_low",
              "race_adamw_low", "range_adamw", "range_momentum"),
}  # fmt: skip
"""Task features that share a length scale in the Gaussian."""

MEASURED = (
    "loss_over_chance", "batch_over_noise", "update_over_weight", "sharpness",
    "sharpness_gradient", *TASK_GROUPS["course"], *TASK_GROUPS["races"],
)  # fmt: skip
"""Task features that only a training step tells; unknown to a profile of facts alone."""

RECIPE_GROUPS: dict[str, tuple[str, ...]] = {
    "rate": ("log_rate", "rate_over_default", "effective_rate"),
    "method": ("is_gradient", "is_adam", "is_muon", "is_other", "momentum", "second_moment"),
    "schedule": ("schedule_area", "schedule_peak", "schedule_final", "schedule_cycles", "warmup",
                 "horizon", "own_batch"),
    "regularization": ("log_decay", "clip", "early_stopping", "label_smoothing", "layer_norm",
                       "weight_norm", "other_norm"),
}  # fmt: skip
"""Recipe features that share a length scale in the Gaussian."""

_GRADIENT = frozenset({"sgd", "momentum", "nesterov"})
_ADAM = frozenset({"adam", "amsgrad", "adamw", "nadam", "nadamw", "radam", "adamax"})


def family_of(optimizer: str) -> str:
    """The family a learning rate is comparable within."""
    if optimizer in _GRADIENT:
        return "gradient"
    if optimizer in _ADAM:
        return "adam"
    return optimizer if optimizer == "muon" else "other"


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
        "landmark_late_slope": get("landmark.late_slope"),
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


def _clipped(value: float) -> float:
    return min(max(value, -20.0), 20.0) if value == value else value


@lru_cache(maxsize=4096)
def recipe_features(recipe: Recipe) -> dict[str, float]:
    """Features of a recipe by name, whatever the task."""
    from probes.recipe.build import schedule_function

    optimizer, settings = recipe.optimizer, recipe.optimizer.settings
    rate, family = optimizer.number("lr"), family_of(optimizer.name)
    momentum = float(settings.get("momentum", settings.get("beta1", 0.0)))
    second = float(settings.get("beta2", settings.get("alpha", settings.get("rho", 0.0))))
    decay = optimizer.number("weight_decay")
    factor = schedule_function(recipe.schedule)
    factors = [factor(step, 100) for step in range(100)]
    peak = int(np.argmax(factors))
    default = catalogue.method("optimizer", optimizer.name).hyperparameters[0].default
    rises = sum(factors[i - 1] > factors[i] < factors[i + 1] for i in range(1, 99))
    norm = recipe.normalization.name
    found = {
        "log_rate": math.log10(rate),
        "rate_over_default": math.log10(rate / float(default)),
        "effective_rate": math.log10(rate / (1.0 - (momentum if family == "gradient" else 0.0))),
        "is_gradient": float(family == "gradient"),
        "is_adam": float(family == "adam"),
        "is_muon": float(family == "muon"),
        "is_other": float(family == "other"),
        "momentum": momentum,
        "second_moment": -math.log10(1.0 - second) if second else 0.0,
        "log_decay": math.log10(max(decay, 1e-6)),
        "schedule_area": sum(factors) / 100,
        "schedule_peak": peak / 100,
        "schedule_final": factors[-1],
        "schedule_cycles": float(rises),
        "warmup": recipe.schedule.number("warmup"),
        "clip": float(recipe.clip is not None),
        "early_stopping": float(recipe.regularization.early_stopping is not None),
        "label_smoothing": recipe.regularization.label_smoothing,
        "horizon": recipe.horizon,
        "own_batch": math.log2(recipe.batch_size) if recipe.batch_size else 0.0,
        "layer_norm": float(norm == "layer"),
        "weight_norm": float(norm == "weight"),
        "other_norm": float(norm not in ("keep", "layer", "weight")),
    }
    return {name: found[name] for name in RECIPE_UNITS}


def pair_features(
    task: Mapping[str, float], recipe: Recipe, steps: int, batch_size: int
) -> dict[str, float]:
    """Features of a recipe on a task by name."""
    own = recipe_features(recipe)
    family = family_of(recipe.optimizer.name)
    taken = recipe.steps_for(steps, batch_size)
    total = own["log_rate"] + math.log10(max(own["schedule_area"], 1e-6) * taken)
    valley = {"gradient": task["range_momentum"], "adam": task["range_adamw"]}.get(family, _MISSING)
    return {
        "batch_ratio": math.log2((recipe.batch_size or batch_size) / batch_size),
        "rate_times_sharpness": (
            own["effective_rate"] + task["sharpness"] if family == "gradient" else _MISSING
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
