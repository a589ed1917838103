"""The bootstrap over data sets: tasks that share data are drawn together, with replacement.

As many leak groups are drawn as there are. A sample is written in one of two ways. As positions of
tasks it serves any statistic, quantiles too; as weights of tasks it makes the means of all samples
one matrix product. Each has a stream of random numbers of its own: the two give different samples
for one seed, as they are of different evaluations, and neither's figures may move.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advisor.features import Matrix

SAMPLES = 2000
_BEYOND = 0.025
"""Share of samples beyond either end of an interval."""
Index = NDArray[np.intp]


def resamples(groups: Sequence[str], seed: int) -> list[Index]:
    """Samples as positions of tasks; one that is drawn twice stands twice.

    Args:
        groups: The leak group of each task.
        seed: Of the draws.

    Returns:
        ``SAMPLES`` arrays, each as long as the drawn groups have tasks.
    """
    names, member = _numbered(groups)
    members = [np.flatnonzero(member == number) for number in range(len(names))]
    random = np.random.default_rng(seed)
    return [
        np.concatenate([members[i] for i in random.integers(len(members), size=len(members))])
        for _ in range(SAMPLES)
    ]


def resampled_weights(groups: Sequence[str], seed: int) -> Matrix:
    """Samples as weights of tasks.

    Args:
        groups: The leak group of each task.
        seed: Of the draws.

    Returns:
        (SAMPLES, tasks) how often each task is drawn; each row divided by its sum.
    """
    names, member = _numbered(groups)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(names), [1 / len(names)] * len(names), size=SAMPLES)
    weights: Matrix = drawn[:, member].astype(float)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def interval(
    values: Matrix | Sequence[float], *, interpolated: bool = False
) -> tuple[float, float]:
    """The middle 95 % of what a statistic is on the samples.

    Args:
        values: The statistic of each sample.
        interpolated: Whether an end may lie between two of the values; otherwise the ends are
            values themselves, so that infinite ones are allowed.
    """
    if interpolated:
        low, high = np.quantile(values, (_BEYOND, 1 - _BEYOND))
        return float(low), float(high)
    ordered = np.sort(np.asarray(values, dtype=float))
    cut = math.floor(_BEYOND * (len(ordered) - 1))
    return float(ordered[cut]), float(ordered[len(ordered) - 1 - cut])


def with_interval(
    statistic: Callable[[Any], float], samples: Sequence[Index]
) -> tuple[float, float, float]:
    """A statistic of all tasks, and its 95 % interval over the samples.

    Args:
        statistic: Takes what picks tasks: an index array, or a slice for all of them.
        samples: As ``resamples`` draws them.
    """
    low, high = interval([statistic(sample) for sample in samples], interpolated=True)
    return statistic(slice(None)), low, high


def _numbered(groups: Sequence[str]) -> tuple[NDArray[np.str_], Index]:
    """Names of the groups, sorted, and the number of each task's group among them."""
    names, member = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    return names, member
