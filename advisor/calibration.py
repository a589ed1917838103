"""What predictions on tasks left out decide: LightGBM's share, and how wide an interval is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from advisor.features import Matrix

COVERAGE = 0.9
_WATCHED = 10


def blended(smooth: Matrix, boosted: Matrix, weight: float) -> Matrix:
    """The Gaussian's prediction with a share of the correction."""
    found: Matrix = smooth + weight * boosted
    return found


def best_weight(
    outcomes: Matrix,
    smooth: Matrix,
    boosted: Matrix,
    weights: Sequence[float],
    groups: Sequence[str],
) -> float:
    """The smallest share that is not worse than the best one beyond a standard error.

    Judged by the squared error of differences among the recipes that matter: those that stand near
    the top with or without the correction, as errors at the bottom change no advice. The standard
    error is that of the difference between two shares over groups of data sets (Breiman et al.
    1984, section 3.4.3, for paired errors).
    """
    centred = outcomes - outcomes.mean(1, keepdims=True)
    top = np.zeros(outcomes.shape, dtype=bool)
    for part in (smooth, smooth + boosted):
        ranks = part.argsort(1).argsort(1)
        top |= ranks < 2 * _WATCHED
    level = smooth - smooth.mean(1, keepdims=True)
    errors = np.stack(
        [
            np.where(top, (blended(level, boosted, weight) - centred) ** 2, 0.0).sum(1) / top.sum(1)
            for weight in weights
        ]
    )
    names = np.asarray(list(groups))
    means = np.stack([errors[:, names == name].mean(1) for name in dict.fromkeys(groups)], axis=1)
    worse = means - means[means.mean(1).argmin()]
    allowed = worse.std(1) / math.sqrt(worse.shape[1])
    return weights[int((worse.mean(1) <= allowed).argmax())]


def interval_offsets(outcomes: Matrix, predicted: Matrix) -> tuple[float, float]:
    """Split-conformal offsets: quantiles of the error on each task's first recipe.

    One error a task, as tasks are what is drawn anew; the upper end is the error of rank
    ceil((T + 1) (1 - a / 2)) of T, the lower end likewise (Vovk et al. 2005).
    """
    first = predicted.argmin(1)
    errors = np.sort((outcomes - predicted)[np.arange(len(first)), first])
    tail = (1.0 - COVERAGE) / 2.0
    rank = min(math.ceil((len(errors) + 1) * (1.0 - tail)), len(errors))
    low, high = errors[len(errors) - rank], errors[rank - 1]
    return min(float(low), 0.0), max(float(high), 0.0)
