"""The short list: the best scored recipes, without those that are nearly the same guess."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from advisor.features import Matrix

CORRELATED = 0.9
"""Correlation of two recipes' outcomes above which trying both is hardly more than trying one."""


def short_list(
    order: Iterable[int],
    correlation: Matrix,
    count: int,
    usable: Callable[[int], bool] = lambda index: True,
) -> list[int]:
    """Indices in their order, less those that correlate with one before them.

    Args:
        order: Indices of recipes, best score first.
        correlation: (n, n) correlation of the recipes' outcomes.
        count: Recipes wanted; there may be fewer.
        usable: Whether a recipe can be taken at all; asked only of those that would be.
    """
    chosen: list[int] = []
    for index in order:
        if len(chosen) == count:
            break
        alike = any(correlation[index, other] > CORRELATED for other in chosen)
        if not alike and usable(index):
            chosen.append(index)
    return chosen
