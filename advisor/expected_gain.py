"""How much one more trial is expected to lower the loss, from the trials so far.

A Gaussian process over recipe features is fitted to the logarithms of the losses (Rasmussen &
Williams 2006, algorithm 2.1; length scale and noise by the marginal likelihood, equation 5.8, the
variance in closed form), and the expected improvement (Jones et al. 1998, equation 15) of the most
promising recipe that could be tried next is the gain. To stop once it is small beside the best
value is the rule of Jones et al. (section 4.3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.stats import norm

from advisor.feature_table import RECIPE_GROUPS, RECIPE_UNITS
from advisor.features import Matrix, recipe_matrix
from advisor.standard import Standard
from knowledge_base.reference import reference_recipes
from probes.recipe.schema import Recipe

LEAST = 5
"""Trials without which no gain is told."""
_SHIFT = 0.05
_LENGTHS = (0.1, 0.2, 0.4, 0.8, 1.6)
_NOISES = (0.01, 0.05, 0.2)
_FAR = 3.0
"""A loss counts as no further above the best than so many times the median distance: what failed
badly says nothing about differences among good recipes."""


def expected_gains(
    recipes: Sequence[Recipe], losses: Sequence[float], offered: Sequence[Recipe]
) -> Matrix | None:
    """The expected relative fall of the best loss by trying each of some recipes.

    Args:
        recipes: Those tried.
        losses: Their losses; infinite where a run diverged.
        offered: (m) those that could be tried next.

    Returns:
        (m,) shares in [0, 1): 0.02 says that the best loss is expected to fall by 2 % (on average
        over falling and staying). None where fewer than ``LEAST`` recipes were tried with a finite
        loss, or none is offered.
    """
    finite = [loss for loss in losses if math.isfinite(loss)]
    if len(finite) < LEAST or not offered:
        return None
    heights = _heights(losses, finite)
    process = _Process.fit(_features(recipes), heights)
    mean, deviation = process.predict(_features(offered))
    below = float(heights.min()) - mean
    ratio = below / deviation
    improvement = below * norm.cdf(ratio) + deviation * norm.pdf(ratio)
    gains: Matrix = -np.expm1(-np.maximum(improvement, 0.0))
    return gains


def _heights(losses: Sequence[float], finite: Sequence[float]) -> Matrix:
    """(n,) log loss above the best, cut off far above; by the rule for losses that can be < 0."""
    best = min(finite)
    zero = best if best > 0 else max(_SHIFT * (max(finite) - best), 1e-12)
    far = _FAR * float(np.median([math.log1p((loss - best) / zero) for loss in finite]))
    return np.asarray(
        [
            min(math.log1p((loss - best) / zero), far) if math.isfinite(loss) else far
            for loss in losses
        ]
    )


@cache
def _standard() -> Standard:
    return Standard.of(recipe_matrix(reference_recipes()))


def _features(recipes: Sequence[Recipe]) -> Matrix:
    return _standard()(recipe_matrix(recipes))


@dataclass(frozen=True)
class _Process:
    """A fitted Gaussian process with a constant mean."""

    rows: Matrix
    length: float
    mean: float
    variance: float
    factor: Matrix
    weights: Matrix

    @classmethod
    def fit(cls, rows: Matrix, values: Matrix) -> _Process:
        """Fit to (n, q) rows and (n,) values."""
        mean, count = float(values.mean()), len(values)
        best: tuple[float, _Process] | None = None
        for length in _LENGTHS:
            kernel = _kernel(rows, rows, length)
            for noise in _NOISES:
                factor = cholesky(kernel + noise * np.eye(count), lower=True)
                weights = cho_solve((factor, True), values - mean)
                variance = max(float((values - mean) @ weights) / count, 1e-12)
                likelihood = -0.5 * count * math.log(variance) - float(
                    np.log(np.diag(factor)).sum()
                )
                if best is None or likelihood > best[0]:
                    best = likelihood, cls(rows, length, mean, variance, factor, weights)
        assert best is not None  # noqa: S101 - the grids are not empty
        return best[1]

    def predict(self, rows: Matrix) -> tuple[Matrix, Matrix]:
        """(m,) means and standard deviations, without the noise, at (m, q) rows."""
        cross = _kernel(rows, self.rows, self.length)
        solved = solve_triangular(self.factor, cross.T, lower=True)
        left = np.maximum(1.0 - (solved**2).sum(0), 1e-9)
        return self.mean + cross @ self.weights, np.sqrt(self.variance * left)


def _kernel(left: Matrix, right: Matrix, length: float) -> Matrix:
    """(n, m) squared exponential; each group of features counts alike."""
    names = list(RECIPE_UNITS)
    distances = np.zeros((len(left), len(right)))
    for members in RECIPE_GROUPS.values():
        columns = [names.index(member) for member in members]
        difference = left[:, None, columns] - right[None, :, columns]
        distances += (difference**2).mean(-1)
    values: Matrix = np.exp(-0.5 * distances / length**2)
    return values
