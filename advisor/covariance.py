"""The covariance of outcomes over (task, recipe), as two factors, and its likelihood.

See ``advisor.gaussian`` for what the letters a, b, d, c, s stand for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from advisor.features import Matrix

SIZES = {"a": 1.0, "b": 1.0, "d": 0.5, "c": 0.5, "s": 0.05}
"""Hyperparameters beside the length scales, in their order, with the values a search begins at."""


class Factors(NamedTuple):
    """The covariance of the known outcomes, taken apart.

    Attributes:
        similar: (T, T) kernel of the tasks.
        alike: (R, R) kernel of the recipes.
        task_values: (T,) eigenvalues of the tasks' factor.
        task_basis: (T, T) its eigenvectors.
        recipe_values: (R,) eigenvalues of the recipes' factor.
        recipe_basis: (R, R) its eigenvectors.
        values: (T, R) eigenvalues of the whole, noise included.
    """

    similar: Matrix
    alike: Matrix
    task_values: Matrix
    task_basis: Matrix
    recipe_values: Matrix
    recipe_basis: Matrix
    values: Matrix


def distances_between(left: Matrix, right: Matrix, groups: Sequence[Sequence[int]]) -> Matrix:
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


def kernel(distances: Matrix, log_scales: Matrix) -> Matrix:
    """(n, m) squared exponentials of (G, n, m) distances, a length scale a group."""
    exponent = (distances * np.exp(-2.0 * log_scales)[:, None, None]).sum(0)
    values: Matrix = np.exp(-0.5 * exponent)
    return values


def factors(parameters: Matrix, dx: Matrix, dz: Matrix, task_groups: int) -> Factors:
    """The covariance by its hyperparameters.

    Args:
        parameters: Logarithms of `SIZES`, then of the length scales of tasks and of recipes.
        dx: (G, T, T) distances between tasks.
        dz: (H, R, R) distances between recipes.
        task_groups: G.
    """
    a, b, d, c, s = np.exp(parameters[: len(SIZES)])
    scales = parameters[len(SIZES) :]
    similar, alike = kernel(dx, scales[:task_groups]), kernel(dz, scales[task_groups:])
    lx, ux = np.linalg.eigh(a + b * similar + d * np.eye(dx.shape[1]))
    lz, uz = np.linalg.eigh(c + alike + 1e-6 * np.eye(dz.shape[1]))
    return Factors(similar, alike, lx, ux, lz, uz, np.maximum(np.outer(lx, lz), 0.0) + s)


def likelihood(
    parameters: Matrix, dx: Matrix, dz: Matrix, y: Matrix, task_groups: int
) -> tuple[float, Matrix, Matrix]:
    """Log marginal likelihood (a constant left out), its gradient, and the (T, R) weights K^-1 y.

    The gradient is half the trace of (K^-1 y y' K^-1 - K^-1) times the covariance's derivative
    (Rasmussen & Williams 2006, equation 5.9), taken in each factor's eigenbasis.
    """
    a, b, d, c, s = np.exp(parameters[: len(SIZES)])
    scales = parameters[len(SIZES) :]
    kx, kz, lx, ux, lz, uz, values = factors(parameters, dx, dz, task_groups)
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
