"""The greedy portfolio: recipes that together serve every known task, in order of use."""

from __future__ import annotations

import numpy as np

from advisor.features import Matrix


def greedy_portfolio(regrets: Matrix, size: int) -> list[int]:
    """Columns chosen one at a time, each lowering the mean over tasks of the best regret most.

    The first is the single best recipe (SBS). Greedy choice is within 1 - 1/e of the best
    portfolio of its size, as the mean best regret is submodular (Nemhauser et al. 1978).

    Args:
        regrets: (T, R) normalized regrets.
        size: Recipes wanted; at most R.

    Returns:
        Column indices in order of use.
    """
    chosen: list[int] = []
    best = np.ones(regrets.shape[0])
    for _ in range(min(size, regrets.shape[1])):
        after = np.minimum(best[:, None], regrets).mean(0)
        after[chosen] = np.inf
        chosen.append(int(after.argmin()))
        best = np.minimum(best, regrets[:, chosen[-1]])
    return chosen
