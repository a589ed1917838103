"""The greedy portfolio against brute force."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from advisor.portfolio import greedy_portfolio

REGRETS = arrays.arrays(
    np.float64, st.tuples(st.integers(1, 6), st.integers(1, 7)), elements=st.floats(0, 1)
)


def mean_best(regrets: np.ndarray, chosen: tuple[int, ...] | list[int]) -> float:
    return float(regrets[:, list(chosen)].min(1).mean())


@given(REGRETS)
def test_the_first_is_the_single_best(regrets: np.ndarray) -> None:
    (first,) = greedy_portfolio(regrets, 1)
    best = min(mean_best(regrets, [i]) for i in range(regrets.shape[1]))
    assert mean_best(regrets, [first]) <= best + 1e-12


@given(REGRETS, st.integers(1, 9))
def test_distinct_recipes_that_never_make_it_worse(regrets: np.ndarray, size: int) -> None:
    chosen = greedy_portfolio(regrets, size)
    assert len(chosen) == len(set(chosen)) == min(size, regrets.shape[1])
    means = [mean_best(regrets, chosen[: k + 1]) for k in range(len(chosen))]
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(means))


@given(REGRETS, st.integers(1, 4))
def test_within_the_bound_of_the_best_portfolio(regrets: np.ndarray, size: int) -> None:
    """Nemhauser et al. 1978: at least 1 - 1/e of what the best portfolio of its size gains."""
    size = min(size, regrets.shape[1])
    best = min(
        mean_best(regrets, chosen)
        for chosen in itertools.combinations(range(regrets.shape[1]), size)
    )
    gained = 1.0 - mean_best(regrets, greedy_portfolio(regrets, size))
    assert gained >= (1 - np.exp(-1)) * (1.0 - best) - 1e-12


def test_the_second_complements_the_first() -> None:
    regrets = np.array([[0.1, 0.0, 0.9], [0.1, 0.0, 0.9], [0.5, 1.0, 0.0]])
    assert greedy_portfolio(regrets, 3) == [0, 2, 1]
