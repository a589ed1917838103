"""The ways of choosing a recipe that a replay compares, each with the full trainings it costs."""

from __future__ import annotations

import math

import numpy as np

from advisor.evaluate.fixed_guesses import FIXED_GUESSES
from advisor.evaluate.tally import (
    ADVISED,
    BEST_KNOWN,
    PORTFOLIO,
    RANDOM_SEARCH,
    SEARCHED,
    SINGLE_BEST,
    Tally,
)
from advisor.features import Matrix
from advisor.knowledge import Knowledge

KS = (1, 3, 5)
RANDOM = (5, 10, 25, 50)
SEARCH = (5, 10, 25)


class Results:
    """What each recipe gives on one task, for choosing on validation and telling on test.

    A recipe that cannot serve the task has no result; whoever names it gets an untrained model.

    Attributes:
        served: (R,) whether the recipe has a result.
        validation: (R,) validation regrets, 1 where there is none.
        test: (R,) test regrets, 1 where there is none.
    """

    def __init__(self, base: Knowledge, task: int) -> None:
        self.served = np.isfinite(base.regrets[task])
        self.validation = np.where(self.served, base.regrets[task], 1.0)
        self.test = np.where(self.served, base.test_regrets[task], 1.0)

    def chosen(self, candidates: list[int]) -> float:
        """Test regret of the candidate that is best on validation."""
        return float(self.test[min(candidates, key=lambda index: self.validation[index])])


def add_guesses(
    base: Knowledge,
    task: int,
    order: list[int],
    portfolio: list[int],
    tally: Tally,
) -> None:
    """Add what every way of choosing gives on a task.

    Args:
        base: The tasks asked about, and the recipes that are chosen among.
        task: Which of them.
        order: The advice: positions of recipes, best first.
        portfolio: The greedy portfolio of the tasks that may be learned from.
        tally: Where the test regrets go.
    """
    results = Results(base, task)
    for k in KS:
        tally.add(ADVISED, k, results.chosen(order[:k]))
    for k in KS:
        tally.add(SINGLE_BEST if k == 1 else PORTFOLIO, k, results.chosen(portfolio[:k]))
    for title, recipe in FIXED_GUESSES.items():
        if recipe in base.recipes:
            tally.add(title, 1, results.chosen([base.recipes.index(recipe)]))
    validation, test = results.validation[results.served], results.test[results.served]
    for n in RANDOM:
        if n <= len(base.recipes):  # more cannot be drawn
            tally.add(RANDOM_SEARCH, n, expected_of_random(validation, test, n))
    searched = base.searched[task]
    for n in SEARCH:
        if len(searched) >= n:
            first = searched[:n]
            tally.add(SEARCHED, n, float(first[first[:, 0].argmin(), 1]))
    everything = list(range(len(results.test)))
    tally.add(BEST_KNOWN, len(everything), results.chosen(everything))


def expected_of_random(validation: Matrix, test: Matrix, n: int) -> float:
    """Mean test regret of the best of n recipes drawn without replacement, best on validation.

    Exact over all draws: of R recipes the one of rank i (from 0) is the best drawn with
    probability C(R - 1 - i, n - 1) / C(R, n); recipes that tie on validation share theirs.

    Args:
        validation: (R,) validation regrets.
        test: (R,) test regrets of the same recipes.
        n: Draws; all recipes where it is more than R.
    """
    count = len(validation)
    drawn = min(n, count)
    order = validation.argsort()
    _, tied, sizes = np.unique(validation[order], return_inverse=True, return_counts=True)
    means = np.bincount(tied, weights=test[order]) / sizes
    chances = np.asarray([math.comb(count - 1 - i, drawn - 1) for i in range(count)], dtype=float)
    return float((chances * means[tied]).sum() / math.comb(count, drawn))
