"""The short list: best first, and no two that are nearly the same guess."""

from __future__ import annotations

import numpy as np
import pytest

from advisor.short_list import CORRELATED, short_list

HIGH, LOW = CORRELATED + 0.05, CORRELATED - 0.05


def correlated(*pairs: tuple[int, int], size: int = 5) -> np.ndarray:
    matrix = np.full((size, size), LOW)
    np.fill_diagonal(matrix, 1.0)
    for i, j in pairs:
        matrix[i, j] = matrix[j, i] = HIGH
    return matrix


@pytest.mark.parametrize(
    ("order", "pairs", "count", "wanted"),
    [
        ([0, 1, 2, 3, 4], [], 3, [0, 1, 2]),
        ([3, 1, 0, 2, 4], [], 2, [3, 1]),
        ([0, 1, 2, 3, 4], [(0, 1)], 3, [0, 2, 3]),
        ([1, 0, 2, 3, 4], [(0, 1)], 3, [1, 2, 3]),
        ([0, 1, 2, 3, 4], [(0, 1), (1, 2)], 3, [0, 2, 3]),  # one left out rules nobody out
        ([0, 1, 2, 3, 4], [(0, 1), (0, 2), (0, 3)], 4, [0, 4]),
        ([0, 1], [(0, 1)], 5, [0]),
        ([], [], 3, []),
    ],
)
def test_order_and_repetitions(
    order: list[int], pairs: list[tuple[int, int]], count: int, wanted: list[int]
) -> None:
    assert short_list(order, correlated(*pairs), count) == wanted


def test_only_what_would_be_taken_is_tried() -> None:
    asked: list[int] = []

    def usable(index: int) -> bool:
        asked.append(index)
        return index != 0

    assert short_list([0, 1, 2, 3, 4], correlated((0, 1), (1, 2)), 2, usable) == [1, 3]
    assert asked == [0, 1, 3]
