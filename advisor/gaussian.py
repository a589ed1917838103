"""Recipe outcomes over tasks as draws of one shrunk Gaussian.

Regret of recipe r on task t has covariance

    (a + b K(x_t, x_t') + d [t = t']) (c + K(z_r, z_r')) + s [t = t', r = r'],

x the task's features, z the recipe's, both K squared exponentials with a length scale per group of
features. The constant in the first factor carries what holds on every task (the prior over
recipes), b what tasks with similar profiles share, d what is a task's own: so a new task is
predicted by a and b alone, and what was measured on it moves the mean from "good everywhere"
towards "good on tasks like this". As the matrix task x recipe has no gap (``Knowledge.filled``),
the covariance is a Kronecker product and is inverted through two small eigendecompositions (Saatci
2012, chapter 5).
Hyperparameters maximize the marginal likelihood (Rasmussen & Williams 2006, equation 5.8) with a
log-normal prior that keeps them near 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, TypedDict

import numpy as np
from scipy.optimize import minimize

from advisor.covariance import SIZES, Factors, distances_between, factors, kernel, likelihood
from advisor.features import Matrix
from advisor.standard import Standard

_PRIOR_WIDTH = 1.0


class Outlook(NamedTuple):
    """What is known of R' recipes on a new task.

    Attributes:
        mean: (R',) mean outcomes.
        excess: (R',) standard deviations (Rasmussen & Williams 2006, equation 2.26) less the
            smallest one of a known recipe: what is not known of the task itself all recipes share,
            and it decides nothing between them.
    """

    mean: Matrix
    excess: Matrix


@dataclass
class OutcomeGaussian:
    """The fitted Gaussian; see the module.

    Attributes:
        task_groups: Column indices of each group of task features.
        recipe_groups: The same for recipe features.
        parameters: Logarithms of a, b, d, c, s and the length scales.
        task_standard: How task features are standardized.
        recipe_standard: How recipe features are.
        tasks: (T, p) standardized features of the known tasks.
        recipes: (R, q) standardized features of the known recipes.
        level: Mean of the outcomes.
        scale: Their standard deviation.
        weights: (T, R) inverse covariance times the outcomes' differences from their level.
    """

    task_groups: Sequence[Sequence[int]]
    recipe_groups: Sequence[Sequence[int]]
    parameters: Matrix
    task_standard: Standard
    recipe_standard: Standard
    tasks: Matrix
    recipes: Matrix
    level: float
    scale: float
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
        """Fit to a matrix without gaps.

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
        dx, dz = distances_between(x, x, task_groups), distances_between(z, z, recipe_groups)
        count = len(SIZES) + len(task_groups) + len(recipe_groups)
        centre = np.zeros(count)
        centre[: len(SIZES)] = [np.log(SIZES[name]) for name in SIZES]

        def cost(parameters: Matrix) -> tuple[float, Matrix]:
            value, slope, _ = likelihood(parameters, dx, dz, y, len(task_groups))
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
        dx = distances_between(self.tasks, self.tasks, self.task_groups)
        dz = distances_between(self.recipes, self.recipes, self.recipe_groups)
        return replace(self, **_conditioned(parameters, dx, dz, outcomes, len(self.task_groups)))

    def predict(self, task: Matrix, recipes: Matrix) -> Matrix:
        """Mean outcome on a new task.

        Args:
            task: (p,) its features.
            recipes: (R', q) recipe features, any recipes.

        Returns:
            (R',) predictions.
        """
        right = self._recipe_rows(self.recipe_standard(recipes))
        result: Matrix = self.level + right @ (self._task_row(task) @ self.weights)
        return result

    def outlook(self, task: Matrix, recipes: Matrix) -> Outlook:
        """What is known of recipes on a new task.

        Args:
            task: (p,) its features.
            recipes: (R', q) recipe features, any recipes.
        """
        parts, row = self._parts, self._task_row(task)
        a, b, d, c, _ = np.exp(self.parameters[: len(SIZES)])
        seen = (row @ parts.task_basis) ** 2 @ (1.0 / parts.values)

        def deviations(rows: Matrix) -> Matrix:
            left = (a + b + d) * (c + 1.0) - (rows @ parts.recipe_basis) ** 2 @ seen
            found: Matrix = self.scale * np.sqrt(np.maximum(left, 0.0))
            return found

        rows = self._recipe_rows(self.recipe_standard(recipes))
        return Outlook(
            mean=self.level + rows @ (row @ self.weights),
            excess=deviations(rows) - deviations(self._known_rows).min(),
        )

    @cached_property
    def _known_rows(self) -> Matrix:
        return self._recipe_rows(self.recipes)

    @cached_property
    def _parts(self) -> Factors:
        dx = distances_between(self.tasks, self.tasks, self.task_groups)
        dz = distances_between(self.recipes, self.recipes, self.recipe_groups)
        return factors(self.parameters, dx, dz, len(self.task_groups))

    def covariance(self, task: Matrix) -> Matrix:
        """(R, R) covariance of the known recipes' outcomes on a new task, given the known ones.

        Without the noise of a single run; see Rasmussen & Williams 2006, equation 2.26.

        Args:
            task: (p,) its features.
        """
        parts = self._parts
        a, b, d, _, _ = np.exp(self.parameters[: len(SIZES)])
        seen = (self._task_row(task) @ parts.task_basis) ** 2 @ (1.0 / parts.values)
        turned = self._known_rows @ parts.recipe_basis
        left = (a + b + d) * self._known_rows - (turned * seen) @ turned.T
        covariance: Matrix = self.scale**2 * left
        return covariance

    @property
    def noise(self) -> float:
        """Variance of a single run's outcome about what is modelled, on the outcomes' scale."""
        return float(self.scale**2 * np.exp(self.parameters[4]))

    def correlation(self, recipes: Matrix) -> Matrix:
        """(R', R') correlation of the outcomes of recipes on one task, before any is known.

        Args:
            recipes: (R', q) recipe features, any recipes.
        """
        z = self.recipe_standard(recipes)
        c = np.exp(self.parameters[3])
        scales = self.parameters[len(SIZES) + len(self.task_groups) :]
        alike = kernel(distances_between(z, z, self.recipe_groups), scales)
        correlation: Matrix = (c + alike) / (c + 1.0)
        return correlation

    def similarity(self, task: Matrix) -> Matrix:
        """(T,) kernel between a new task and the known ones, in [0, 1]."""
        x = self.task_standard(task[None])
        scales = self.parameters[len(SIZES) : len(SIZES) + len(self.task_groups)]
        row: Matrix = kernel(distances_between(x, self.tasks, self.task_groups), scales)[0]
        return row

    def _recipe_rows(self, standardized: Matrix) -> Matrix:
        """(R', R) the recipes' factor between any recipes and the known ones."""
        distances = distances_between(standardized, self.recipes, self.recipe_groups)
        scales = self.parameters[len(SIZES) + len(self.task_groups) :]
        rows: Matrix = np.exp(self.parameters[3]) + kernel(distances, scales)
        return rows

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
            "scale": self.scale,
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
            array("tasks"), array("recipes"), float(data["level"]), float(data["scale"]),
            array("weights"),
        )  # fmt: skip


class _Conditioned(TypedDict):
    parameters: Matrix
    level: float
    scale: float
    weights: Matrix


def _conditioned(
    parameters: Matrix, dx: Matrix, dz: Matrix, outcomes: Matrix, task_groups: int
) -> _Conditioned:
    """What prediction needs of the outcomes: their level, and the weights of their differences."""
    y, level, scale = _standardized(outcomes)
    _, _, weights = likelihood(parameters, dx, dz, y, task_groups)
    return {"parameters": parameters, "level": level, "scale": scale, "weights": weights * scale}


def _standardized(outcomes: Matrix) -> tuple[Matrix, float, float]:
    """Outcomes with mean 0 and deviation 1, and what they had."""
    level = float(outcomes.mean())
    scale = float(outcomes.std()) or 1.0
    return (outcomes - level) / scale, level, scale


def _finite(deviation: Matrix) -> list[float]:
    """Deviations with 0 for "constant column", as JSON has no infinity."""
    values: list[float] = np.where(np.isfinite(deviation), deviation, 0.0).tolist()
    return values
