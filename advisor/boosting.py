"""LightGBM over (profile, recipe): what the Gaussian's smooth kernels cannot say.

The target is the Gaussian's error on tasks it has not seen, centred within each task, as only
differences between recipes decide. A profile is constant within a task, so there are as many
independent rows as tasks: few leaves, many rows a leaf, columns and rows drawn at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from advisor.features import Matrix, feature_names

if TYPE_CHECKING:
    import lightgbm

PARAMETERS = {
    "objective": "regression",
    "learning_rate": 0.05,
    "num_leaves": 12,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.35,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "max_bin": 63,
    "verbosity": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
}
ROUNDS = 150


def fit_booster(rows: Matrix, centred: Matrix, seed: int = 0) -> lightgbm.Booster:
    """Fit on all (task, recipe) pairs.

    Args:
        rows: (T * R, p) features, columns as ``feature_names``.
        centred: (T * R,) errors minus their task's mean.
        seed: Of the draws.
    """
    import lightgbm  # a quarter of a second, which advice without it need not spend

    data = lightgbm.Dataset(rows, centred, feature_name=feature_names())
    return lightgbm.train({**PARAMETERS, "seed": seed}, data, ROUNDS)


def predict_booster(booster: lightgbm.Booster, rows: Matrix) -> Matrix:
    """(n,) predictions, on the centred scale."""
    predicted: Matrix = np.asarray(booster.predict(rows, num_threads=1), dtype=np.float64)
    return predicted
