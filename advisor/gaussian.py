"""Recipe outcomes over tasks as draws of one shrunk Gaussian.

Regret of recipe r on task t has covariance

    (a + b K(x_t, x_t') + d [t = t']) (c + K(z_r, z_r')) + s [t = t', r = r'],

x the task's features, z the recipe's, both K squared exponentials with a length scale per group of
features. The constant in the first factor carries what holds on every task (the prior over
recipes), b what tasks with similar profiles share, d what is a task's own: so a new task is
predicted by a and b alone, and what was measured on it moves the mean from "good everywhere"
towards "good on tasks like this". As the matrix task x recipe is complete, the covariance is a
Kronecker product and is inverted through two small eigendecompositions (Saatci 2012, chapter 5).
Hyperparameters maximize the marginal likelihood (Rasmussen & Williams 2006, equation 5.8) with a
log-normal prior that keeps them near 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np
from scipy.optimize import minimize

from advisor.features import Matrix

_PRIOR_WIDTH = 1.0
_STARTS = ("a", "b", "d", "c", "s")
_INITIAL = {"a": 1.0, "b": 1.0, "d": 0.5, "c": 0.5, "s": 0.05}


@dataclass(frozen=True)
class Standard:
    """Standardization: missing values take the mean, outliers are cut at three deviations."""

    mean: Matrix
    deviation: Matrix

    @classmethod
    def of(cls, rows: Matrix, kept: Sequence[int] = ()) -> Standard:
        """Means and deviations of the columns, missing values left out.

        Args:
            rows: (n, p) values, NaN missing.
            kept: Columns that stay on their own scale (0 or 1 for a name).
        """
        known = np.isfinite(rows)
        count = np.maximum(known.sum(0), 1)
        mean = np.where(known, rows, 0.0).sum(0) / count
        spread = np.where(known, rows - mean, 0.0)
        deviation = np.sqrt((spread**2).sum(0) / count)
        deviation = np.where(deviation > 1e-9, deviation, np.inf)
        mean[list(kept)], deviation[list(kept)] = 0.0, 1.0
        return cls(mean, deviation)

    def __call__(self, rows: Matrix) -> Matrix:
        """The rows on the common scale."""
        scaled = (np.where(np.isfinite(rows), rows, self.mean) - self.mean) / self.deviation
        clipped: Matrix = np.clip(scaled, -3.0, 3.0)
        return clipped


@dataclass
class OutcomeGaussian:
    """The fitted Gaussian; see the module.

    Attributes:
        task_groups: Column indices of each group of task features.
        recipe_groups: The same for recipe features.
        parameters: Logarithms of a, b, d, c, s and the length scales.
    """

    task_groups: Sequence[Sequence[int]]
    recipe_groups: Sequence[Sequence[int]]
    parameters: Matrix
    task_standard: Standard
    recipe_standard: Standard
    tasks: Matrix
    recipes: Matrix
    level: float
    weights: Matrix

    @classmethod
    def fit(
        cls,
        tasks: Matrix,
        recipes: Matrix,
        outcomes: Matrix,
        task_groups: Sequence[Sequence[int]],
        recipe_groups: Sequence[Sequence[int]],
        start: Matrix | None = None,
        iterations: int = 60,
        recipe_names: Sequence[int] = (),
    ) -> OutcomeGaussian:
        """Fit to the complete matrix.

        Args:
            tasks: (T, p) task features, NaN missing.
            recipes: (R, q) recipe features.
            outcomes: (T, R), of any scale; none missing.
            task_groups: Groups of columns that share a length scale.
            recipe_groups: The same for recipes.
            start: Hyperparameters to start from (those of a fit on nearly the same data).
            iterations: Of L-BFGS.
            recipe_names: Columns of the recipes' features that tell names, each 0 or 1.
        """
        task_standard, recipe_standard = Standard.of(tasks), Standard.of(recipes, recipe_names)
        x, z = task_standard(tasks), recipe_standard(recipes)
        y = _standardized(outcomes)[0]
        dx, dz = _distances(x, x, task_groups), _distances(z, z, recipe_groups)
        count = len(_STARTS) + len(task_groups) + len(recipe_groups)
        centre = np.zeros(count)
        centre[: len(_STARTS)] = [np.log(_INITIAL[name]) for name in _STARTS]

        def cost(parameters: Matrix) -> tuple[float, Matrix]:
            value, slope, _ = _likelihood(parameters, dx, dz, y, len(task_groups))
            off = (parameters - centre) / _PRIOR_WIDTH
            return -value + float((off**2).sum()) / 2, off / _PRIOR_WIDTH - slope

        begin = centre if start is None else start
        if iterations:
            found = minimize(
                cost, begin, jac=True, method="L-BFGS-B", options={"maxiter": iterations}
            )
            begin = np.asarray(found.x)
        return cls(
            task_groups, recipe_groups, task_standard=task_standard,
            recipe_standard=recipe_standard, tasks=x, recipes=z,
            **_conditioned(begin, dx, dz, outcomes, len(task_groups)),
        )  # fmt: skip

    def on(self, outcomes: Matrix, parameters: Matrix) -> OutcomeGaussian:
        """The Gaussian of the same tasks and recipes conditioned on other outcomes.

        Args:
            outcomes: (T, R) of any scale.
            parameters: Hyperparameters that were fitted on outcomes of that kind.
        """
        dx = _distances(self.tasks, self.tasks, self.task_groups)
        dz = _distances(self.recipes, self.recipes, self.recipe_groups)
        return replace(self, **_conditioned(parameters, dx, dz, outcomes, len(self.task_groups)))

    def predict(self, task: Matrix, recipes: Matrix) -> Matrix:
        """Mean outcome on a new task.

        Args:
            task: (p,) its features.
            recipes: (R', q) recipe features, any recipes.

        Returns:
            (R',) predictions.
        """
        left = self._task_row(task)
        z = self.recipe_standard(recipes)
        c = np.exp(self.parameters[3])
        right = c + _kernel(
            _distances(z, self.recipes, self.recipe_groups),
            self.parameters[len(_STARTS) + len(self.task_groups) :],
        )
        result: Matrix = self.level + right @ (left @ self.weights)
        return result

    def correlation(self, recipes: Matrix) -> Matrix:
        """(R', R') correlation of the outcomes of recipes on one task, before any is known.

        Args:
            recipes: (R', q) recipe features, any recipes.
        """
        z = self.recipe_standard(recipes)
        c = np.exp(self.parameters[3])
        scales = self.parameters[len(_STARTS) + len(self.task_groups) :]
        kernel = _kernel(_distances(z, z, self.recipe_groups), scales)
        correlation: Matrix = (c + kernel) / (c + 1.0)
        return correlation

    def similarity(self, task: Matrix) -> Matrix:
        """(T,) kernel between a new task and the known ones, in [0, 1]."""
        x = self.task_standard(task[None])
        scales = self.parameters[len(_STARTS) : len(_STARTS) + len(self.task_groups)]
        row: Matrix = _kernel(_distances(x, self.tasks, self.task_groups), scales)[0]
        return row

    def _task_row(self, task: Matrix) -> Matrix:
        a, b = np.exp(self.parameters[:2])
        row: Matrix = a + b * self.similarity(task)
        return row

    def to_plain(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "task_groups": [list(group) for group in self.task_groups],
            "recipe_groups": [list(group) for group in self.recipe_groups],
            "parameters": self.parameters.tolist(),
            "task_mean": self.task_standard.mean.tolist(),
            "task_deviation": _finite(self.task_standard.deviation),
            "recipe_mean": self.recipe_standard.mean.tolist(),
            "recipe_deviation": _finite(self.recipe_standard.deviation),
            "tasks": np.round(self.tasks, 5).tolist(),
            "recipes": np.round(self.recipes, 5).tolist(),
            "level": self.level,
            "weights": np.round(self.weights, 6).tolist(),
        }

    @classmethod
    def from_plain(cls, data: dict[str, Any]) -> OutcomeGaussian:
        """From what ``to_plain`` gave."""

        def array(name: str) -> Matrix:
            values = np.asarray(data[name], dtype=np.float64)
            return np.where(values == 0, np.inf, values) if "deviation" in name else values

        return cls(
            data["task_groups"], data["recipe_groups"], array("parameters"),
            Standard(array("task_mean"), array("task_deviation")),
            Standard(array("recipe_mean"), array("recipe_deviation")),
            array("tasks"), array("recipes"), float(data["level"]), array("weights"),
        )  # fmt: skip


class _Conditioned(TypedDict):
    parameters: Matrix
    level: float
    weights: Matrix


def _conditioned(
    parameters: Matrix, dx: Matrix, dz: Matrix, outcomes: Matrix, task_groups: int
) -> _Conditioned:
    """What prediction needs of the outcomes: their level, and the weights of their differences."""
    y, level, scale = _standardized(outcomes)
    _, _, weights = _likelihood(parameters, dx, dz, y, task_groups)
    return {"parameters": parameters, "level": level, "weights": weights * scale}


def _standardized(outcomes: Matrix) -> tuple[Matrix, float, float]:
    """Outcomes with mean 0 and deviation 1, and what they had."""
    level = float(outcomes.mean())
    scale = float(outcomes.std()) or 1.0
    return (outcomes - level) / scale, level, scale


def _finite(deviation: Matrix) -> list[float]:
    """Deviations with 0 for "constant column", as JSON has no infinity."""
    values: list[float] = np.where(np.isfinite(deviation), deviation, 0.0).tolist()
    return values


def _distances(left: Matrix, right: Matrix, groups: Sequence[Sequence[int]]) -> Matrix:
    """(G, n, m) mean squared distances within each group of columns.

    By (x - z)^2 = x^2 + z^2 - 2 x z, a matrix product; columns are standardized, so little is lost
    to rounding.
    """
    parts = []
    for group in groups:
        x, z = left[:, list(group)], right[:, list(group)]
        squares = (x**2).sum(1)[:, None] + (z**2).sum(1)[None, :] - 2.0 * x @ z.T
        parts.append(np.maximum(squares, 0.0) / len(group))
    return np.stack(parts)


def _kernel(distances: Matrix, log_scales: Matrix) -> Matrix:
    exponent = (distances * np.exp(-2.0 * log_scales)[:, None, None]).sum(0)
    values: Matrix = np.exp(-0.5 * exponent)
    return values


def _likelihood(
    parameters: Matrix, dx: Matrix, dz: Matrix, y: Matrix, task_groups: int
) -> tuple[float, Matrix, Matrix]:
    """Log marginal likelihood (a constant left out), its gradient, and the (T, R) weights K^-1 y.

    The gradient is half the trace of (K^-1 y y' K^-1 - K^-1) times the covariance's derivative
    (Rasmussen & Williams 2006, equation 5.9), taken in each factor's eigenbasis.
    """
    a, b, d, c, s = np.exp(parameters[: len(_STARTS)])
    scales = parameters[len(_STARTS) :]
    kx, kz = _kernel(dx, scales[:task_groups]), _kernel(dz, scales[task_groups:])
    left = a + b * kx + d * np.eye(dx.shape[1])
    right = c + kz + 1e-6 * np.eye(dz.shape[1])
    lx, ux = np.linalg.eigh(left)
    lz, uz = np.linalg.eigh(right)
    values = np.maximum(np.outer(lx, lz), 0.0) + s
    rotated = ux.T @ y @ uz
    solved, inverse = rotated / values, 1.0 / values
    value = -0.5 * float((rotated * solved).sum()) - 0.5 * float(np.log(values).sum())
    px = ux @ ((solved * lz) @ solved.T - np.diag(inverse @ lz)) @ ux.T
    pz = uz @ ((solved.T * lx) @ solved - np.diag(lx @ inverse)) @ uz.T
    by_scale = [
        *((dx * (b * kx * px)).sum((1, 2)) * np.exp(-2.0 * scales[:task_groups])),
        *((dz * (kz * pz)).sum((1, 2)) * np.exp(-2.0 * scales[task_groups:])),
    ]
    noise = s * float((solved**2).sum() - inverse.sum())
    by_size = [a * px.sum(), b * (kx * px).sum(), d * np.trace(px), c * pz.sum(), noise]
    weights: Matrix = ux @ solved @ uz.T
    return value, 0.5 * np.asarray([*by_size, *by_scale]), weights
