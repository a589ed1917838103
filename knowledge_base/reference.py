"""The reference set: recipes that every benchmark task is asked to run, so that tasks compare.

Learning rates are an absolute grid per optimizer family; schedules, clipping, decay, normalization,
batch size, early stopping and horizon are spread over the set. Nothing in it needs classes,
convolutions or dropout layers. But a normalization is put after hidden layers, and so is inserted
dropout: models without such a place (recurrent and linear ones, factorization machines) are refused
these recipes, and the meta-model takes the recipe's mean over the other tasks there. ``advisor kb
status`` counts such cells.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from probes.recipe.schema import Recipe

_STOP = {"early_stopping": {"patience": 4, "every": 0.05}}

# optimizer, learning rates, schedules (the product of the two), further fields of the recipe
_ROWS: tuple[tuple[dict[str, Any], tuple[float, ...], tuple[Any, ...], dict[str, Any]], ...] = (
    ({"name": "adamw"}, (3e-4, 1e-3, 3e-3, 1e-2, 3e-2), ("cosine", "one_cycle"), {}),
    ({"name": "adamw"}, (1e-3, 3e-3, 1e-2), ("constant",), {}),
    ({"name": "adamw", "weight_decay": 0.3}, (1e-3, 3e-3, 1e-2), ("cosine",), {}),
    ({"name": "adamw", "weight_decay": 1.0}, (3e-3, 1e-2), ("linear",), {}),
    ({"name": "adamw"}, (3e-3, 1e-2), ("cosine",), {"regularization": _STOP}),
    ({"name": "adamw"}, (3e-3, 1e-2), ("cosine",), {"clip": {"name": "norm", "max": 1.0}}),
    ({"name": "adamw"}, (3e-3, 1e-2), ("cosine",), {"horizon": 0.3}),
    ({"name": "adamw"}, (1e-3, 3e-3), ("cosine",), {"batch_size": 16}),
    ({"name": "adamw"}, (3e-3, 1e-2), ("cosine",), {"normalization": "layer"}),
    ({"name": "adamw"}, (3e-3,), ("cosine",), {"normalization": "weight"}),
    ({"name": "adamw", "beta2": 0.98}, (3e-3, 1e-2),
     ({"name": "warmup_stable_decay", "warmup": 0.05},), {}),
    ({"name": "adam"}, (1e-3,), ("constant",), {}),
    ({"name": "adam"}, (3e-3, 1e-2), ("exponential", "triangular2"), {}),
    ({"name": "amsgrad"}, (3e-3, 1e-2), ("step",), {}),
    ({"name": "nadam"}, (2e-3,), ("constant",), {}),
    ({"name": "nadam"}, (5e-3, 1.5e-2), ("cosine",), {}),
    ({"name": "nadamw"}, (1e-3, 3e-3, 1e-2), ({"name": "linear", "warmup": 0.05},), {}),
    ({"name": "nadamw", "weight_decay": 0.1}, (3e-3, 1e-2), ("polynomial",),
     {"regularization": _STOP}),
    ({"name": "radam"}, (3e-3, 1e-2, 3e-2), ("cosine",), {}),
    ({"name": "adamax"}, (5e-3, 2e-2, 6e-2), ("cosine",), {}),
    ({"name": "adadelta"}, (0.3, 1.0, 3.0), ("cosine",), {}),
    ({"name": "adagrad"}, (0.01, 0.03, 0.1), ("linear",), {}),
    ({"name": "rmsprop"}, (1e-3, 3e-3, 1e-2), ("cosine",), {}),
    ({"name": "adafactor"}, (0.01, 0.03, 0.1), ("cosine",), {}),
    ({"name": "muon"}, (1e-3, 3e-3, 1e-2, 3e-2), ("cosine",), {}),
    ({"name": "muon"}, (3e-3, 1e-2), ({"name": "linear", "warmup": 0.05},), {}),
    ({"name": "muon"}, (3e-3, 1e-2), ("cosine",), {"regularization": _STOP}),
    ({"name": "muon", "weight_decay": 0.3}, (3e-3, 1e-2), ("warmup_stable_decay",), {}),
    ({"name": "muon"}, (1e-2,), ("cosine",), {"horizon": 0.3}),
    ({"name": "sgd"}, (0.03, 0.1, 0.3, 1.0), ("cosine",), {}),
    ({"name": "momentum"}, (0.01, 0.03, 0.1, 0.3), ("cosine",), {}),
    ({"name": "momentum"}, (0.03, 0.1), ("triangular",), {}),
    ({"name": "nesterov"}, (0.03, 0.1, 0.3), ("one_cycle_linear",), {}),
    ({"name": "nesterov", "weight_decay": 1e-3}, (0.1, 0.3), ("cosine",),
     {"clip": {"name": "norm", "max": 1.0}}),
    ({"name": "nesterov"}, (0.03, 0.1), ("cosine_restarts",), {"normalization": "layer"}),
    ({"name": "momentum"}, (0.1,), ("exp_range",), {"normalization": "weight"}),
)  # fmt: skip


_HALF = {"regularization": {"insert_dropout": 0.5}}
_TENTH = {"regularization": {"insert_dropout": 0.1}}

# The survey's other methods, each beside a form without it above.
_MORE: tuple[tuple[dict[str, Any], tuple[float, ...], tuple[Any, ...], dict[str, Any]], ...] = (
    ({"name": "sgd"}, (0.1, 0.3), ("constant", "triangular"), {}),
    ({"name": "momentum"}, (0.03, 0.1), ("constant",), {}),
    ({"name": "momentum"}, (0.1,), ("one_cycle", "step", "reduce_on_plateau"), {}),
    ({"name": "momentum"}, (0.1,), ({"name": "trapezoidal_cycle", "even": 0.5},), {}),
    ({"name": "adamw"}, (1e-2,), ("triangular", "reduce_on_plateau"), {}),
    ({"name": "amsbound"}, (1e-3, 1e-2), ("constant", "cosine"), {}),
    ({"name": "adabound"}, (3e-3, 1e-2), ("cosine",), {}),
    ({"name": "adan"}, (3e-3, 1e-2, 3e-2), ("cosine",), {}),
    ({"name": "adopt"}, (3e-3, 1e-2), ("cosine", "warmup_stable_decay"), {}),
    ({"name": "lamb"}, (1e-2, 3e-2), ("cosine",), {}),
    ({"name": "lars"}, (0.1, 1.0), ("cosine",), {}),
    ({"name": "lion"}, (3e-4, 1e-3, 3e-3), ("cosine",), {}),
    ({"name": "lookahead"}, (3e-3, 1e-2, 3e-2), ("cosine",), {}),
    ({"name": "soap"}, (3e-3, 1e-2, 3e-2), ("cosine",), {}),
    ({"name": "shampoo"}, (0.3,), ("cosine",), {}),
    ({"name": "psgd_kron"}, (1e-2,), ("cosine",), {}),
    ({"name": "sophia"}, (0.1, 0.3, 1.0), ("cosine",), {}),
    ({"name": "sam"}, (0.03, 0.1), ("cosine",), {}),
    ({"name": "kfac"}, (0.03,), ("cosine",), {}),
    ({"name": "ekfac"}, (0.03,), ("cosine",), {}),
    ({"name": "hessian_free"}, (0.5,), ("constant",), {}),
    ({"name": "lbfgs"}, (0.3,), ("cosine",), {}),
    ({"name": "prodigy"}, (1.0,), ("constant", "cosine"), {}),
    ({"name": "dadaptation"}, (1.0,), ("cosine",), {}),
    ({"name": "momo"}, (0.1, 1.0), ("cosine",), {}),
    ({"name": "momo_adam"}, (1e-2, 3e-2), ("cosine",), {}),
    ({"name": "schedule_free_sgd"}, (0.3, 1.0, 3.0), ("constant",), {}),
    ({"name": "schedule_free_adamw"}, (3e-3, 1e-2, 3e-2), ("constant",), {}),
    ({"name": "adamw"}, (3e-3, 1e-2), ("constant",), {"averaging": "ema"}),
    ({"name": "adamw"}, (1e-2,), ("constant",), {"averaging": "swa"}),
    ({"name": "muon"}, (1e-2,), ("linear",), {"averaging": "ema"}),
    ({"name": "adamw"}, (1e-2,), ("cosine_restarts",), {"averaging": "snapshot_ensemble"}),
    ({"name": "momentum"}, (0.1,), ("cosine_restarts",), {}),
    ({"name": "momentum"}, (0.1,), ("cosine_restarts",), {"averaging": "snapshot_ensemble"}),
    ({"name": "sgd"}, (0.3,), ("cosine",), {"averaging": {"name": "deep_ensemble", "members": 3}}),
    ({"name": "adamw"}, (1e-2,), ("cosine",),
     {"averaging": {"name": "deep_ensemble", "members": 3}}),
    ({"name": "ekfac"}, (0.03,), ("cosine_restarts",), {"averaging": "snapshot_ensemble"}),
    ({"name": "adamw"}, (1e-2,), ("cosine",), _TENTH),
    ({"name": "adamw"}, (1e-2,), ("cosine",), _HALF),
    ({"name": "momentum"}, (0.1,), ("cosine",), _HALF),
    ({"name": "sgd"}, (0.1,), ("cosine",), {"normalization": "weight"}),
    ({"name": "sgd"}, (0.1,), ("cosine",), {"normalization": "batch"}),
    ({"name": "sgd"}, (0.1,), ("cosine",), {"normalization": "weight_batch"}),
    ({"name": "momentum"}, (0.1,), ("cosine",), {"normalization": "batch"}),
    ({"name": "momentum"}, (0.1,), ("cosine",), {"normalization": "weight"}),
    ({"name": "momentum"}, (0.1,), ("cosine",), {"normalization": "weight_batch"}),
    ({"name": "momentum"}, (0.1,), ("cosine",), {"normalization": "weight_data_init"}),
    ({"name": "momentum"}, (0.1,), ("cosine",), {"normalization": "mean_only_batch"}),
    ({"name": "adamw"}, (1e-2,), ("cosine",), {"normalization": "batch"}),
    ({"name": "adamw"}, (1e-2,), ("cosine",), {"normalization": "group"}),
    ({"name": "muon"}, (1e-2,), ("cosine",), {"normalization": "rms"}),
    ({"name": "sgd"}, (0.3, 1.0), ("cosine",), {"clip": {"name": "norm", "max": 1.0}}),
    ({"name": "momentum"}, (0.1, 0.3), ("cosine",), {"clip": {"name": "adaptive", "max": 0.05}}),
    ({"name": "nesterov"}, (0.1,), ("cosine",), {"clip": {"name": "value", "max": 0.1}}),
)  # fmt: skip

# Around those that were best on average, and the same with early stopping, for tasks that over-fit.
_AROUND: tuple[tuple[dict[str, Any], tuple[float, ...], tuple[Any, ...], dict[str, Any]], ...] = (
    ({"name": "adafactor"}, (0.2, 0.3), ("cosine",), {}),
    ({"name": "adafactor"}, (0.1, 0.2), ("cosine",), {"regularization": _STOP}),
    ({"name": "adafactor"}, (0.1,),
     ("one_cycle", {"name": "warmup_stable_decay", "warmup": 0.05}), {}),
    ({"name": "adamw", "beta2": 0.98}, (1e-2, 3e-2),
     ({"name": "warmup_stable_decay", "warmup": 0.05},), {"regularization": _STOP}),
    ({"name": "adamw"}, (3e-2,), ("one_cycle",), {"regularization": _STOP}),
    ({"name": "nadam"}, (1.5e-2,), ("cosine",), {"regularization": _STOP}),
    ({"name": "prodigy"}, (1.0,), ("cosine",), {"regularization": _STOP}),
    ({"name": "soap"}, (1e-2,), ("cosine",), {"regularization": _STOP}),
    ({"name": "muon"}, (3e-2,), ("cosine",), {"regularization": _STOP}),
    ({"name": "muon", "weight_decay": 0.3}, (1e-2,), ("warmup_stable_decay",),
     {"regularization": _STOP}),
    ({"name": "kfac"}, (3e-2,), ("cosine",), {"regularization": _STOP}),
    ({"name": "schedule_free_adamw"}, (1e-2,), ("constant",), {"regularization": _STOP}),
    ({"name": "nesterov", "weight_decay": 1e-3}, (0.3,), ("cosine",),
     {"clip": {"name": "norm", "max": 1.0}, "regularization": _STOP}),
)  # fmt: skip

# For those who want a loss soon: high rates, and fast ones over a part of the budget.
_SHORT: tuple[tuple[dict[str, Any], tuple[float, ...], tuple[Any, ...], dict[str, Any]], ...] = (
    ({"name": "schedule_free_adamw"}, (0.1,), ("constant",), {}),
    ({"name": "nadam"}, (1.5e-2,), ("constant",), {}),
    ({"name": "nadam"}, (5e-2,), ("cosine",), {}),
    ({"name": "adagrad"}, (0.3,), ("linear",), {}),
    ({"name": "rmsprop"}, (2e-2,), ("cosine",), {}),
    *(
        (optimizer, (rate,), (schedule,), {**fields, "horizon": horizon})
        for optimizer, rate, schedule, fields in (
            ({"name": "nadam"}, 1.5e-2, "cosine", {}),
            ({"name": "adamw"}, 3e-2, "cosine", {}),
            ({"name": "adamax"}, 6e-2, "cosine", {}),
            ({"name": "rmsprop"}, 1e-2, "cosine", {}),
            ({"name": "adagrad"}, 0.1, "linear", {}),
            ({"name": "adafactor"}, 0.2, "cosine", {}),
            ({"name": "muon"}, 3e-2, "cosine", {}),
            ({"name": "soap"}, 1e-2, "cosine", {}),
            ({"name": "sgd"}, 1.0, "cosine", {"clip": {"name": "norm", "max": 1.0}}),
            ({"name": "nesterov"}, 0.1, "cosine", {"clip": {"name": "norm", "max": 1.0}}),
        )
        for horizon in (0.05, 0.1, 0.2, 0.4)
    ),
)

# Other rates of the second-order methods, which had one each. Shampoo keeps one: its roots of
# matrices make it the dearest by far, a dozen times an average run.
_OTHER: tuple[tuple[dict[str, Any], tuple[float, ...], tuple[Any, ...], dict[str, Any]], ...] = (
    ({"name": "kfac"}, (0.01, 0.1), ("cosine",), {}),
    ({"name": "ekfac"}, (0.01, 0.1), ("cosine",), {}),
    ({"name": "psgd_kron"}, (3e-3, 3e-2), ("cosine",), {}),
    ({"name": "lbfgs"}, (0.1, 1.0), ("cosine",), {}),
    ({"name": "hessian_free"}, (0.1, 1.0), ("constant",), {}),
)  # fmt: skip


@cache
def reference_recipes() -> tuple[Recipe, ...]:
    """The reference set, in a fixed order."""
    recipes = [
        Recipe.parse({"optimizer": {**optimizer, "lr": rate}, "schedule": schedule, **fields})
        for optimizer, rates, schedules, fields in _ROWS + _MORE + _AROUND + _SHORT + _OTHER
        for schedule in schedules
        for rate in rates
    ]
    return tuple(recipes)


COPIED = Recipe.parse({"optimizer": {"name": "adamw", "lr": 1e-3}, "schedule": "cosine"})
"""What is copied: AdamW 1e-3 with a cosine."""
NADAM_DEFAULTS = Recipe.parse({"optimizer": {"name": "nadam", "lr": 2e-3}, "schedule": "constant"})
"""NAdam as PyTorch sets it."""


@cache
def ladder_recipes() -> tuple[Recipe, ...]:
    """Recipes of the reference set that the steps of the ladders run, where a run takes longer.

    AdamW at three rates shows whether the best rate moves with the size; Muon, momentum and NAdam
    are one good guess each of other kinds of update; Prodigy and Schedule-Free find rate and
    schedule by themselves, which ought to hold at any size.
    """
    chosen = (
        ({"name": "adamw", "lr": 1e-3}, "cosine"),
        ({"name": "adamw", "lr": 3e-3}, "cosine"),
        ({"name": "adamw", "lr": 1e-2}, "cosine"),
        ({"name": "nadam", "lr": 1.5e-2}, "cosine"),
        ({"name": "muon", "lr": 1e-2}, "cosine"),
        ({"name": "momentum", "lr": 0.1}, "cosine"),
        ({"name": "prodigy", "lr": 1.0}, "cosine"),
        ({"name": "schedule_free_adamw", "lr": 1e-2}, "constant"),
    )
    return tuple(
        Recipe.parse({"optimizer": optimizer, "schedule": schedule})
        for optimizer, schedule in chosen
    )


@cache
def landmarks() -> tuple[Recipe, ...]:
    """Recipes run with three seeds on every task: what people copy, and the usual good guesses."""
    plain = (
        ({"name": "adam", "lr": 1e-3}, "constant"),
        ({"name": "adamw", "lr": 3e-3}, "cosine"),
        ({"name": "adamw", "lr": 1e-2}, "cosine"),
        ({"name": "muon", "lr": 1e-2}, "cosine"),
        ({"name": "momentum", "lr": 0.1}, "cosine"),
    )
    others = (
        Recipe.parse({"optimizer": optimizer, "schedule": schedule})
        for optimizer, schedule in plain
    )
    return (COPIED, NADAM_DEFAULTS, *others)
