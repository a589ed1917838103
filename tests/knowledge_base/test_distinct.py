"""Tasks that do not count, on tables whose answer is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_base.distinct import discounted, discounted_in, ranked_alike
from knowledge_base.store import SHIPPED, load_runs

RECIPES = 30


def table(name: str, finals: np.ndarray, noise: float = 0.001) -> list[dict[str, Any]]:
    """One reference run a recipe, and three seeds of the best; losses in [0.1, 1)."""
    best = int(finals.argmin())
    runs = [(recipe, 0, "reference", final) for recipe, final in enumerate(finals.tolist())]
    runs += [(best, seed, "repeat", finals[best] * (1 + noise * seed)) for seed in (1, 2)]
    return [
        {"task": name, "recipe": f"r{recipe}", "seed": seed, "role": role, "initial": 1.0,
         "final": float(final), "test": float(final), "diverged": not math.isfinite(final)}
        for recipe, seed, role, final in runs
    ]  # fmt: skip


def drawn(seed: int, spread: float = 2.0) -> np.ndarray:
    """Losses whose logarithms spread evenly."""
    return 0.1 * np.exp(np.random.default_rng(seed).random(RECIPES) * spread)


def test_tasks_of_their_own_count() -> None:
    runs = [run for seed in range(4) for run in table(f"t{seed}", drawn(seed))]
    assert discounted(runs) == ()


def test_the_later_of_two_that_rank_alike_goes() -> None:
    first = drawn(0)
    runs = [*table("a", first), *table("b", drawn(1)), *table("c", 0.5 * first**0.7)]
    (found,) = discounted(runs)
    assert (found.task, found.twin) == ("c", "a")
    assert "Spearman 1.000" in found.reason
    (other,) = discounted([*table("c", 0.5 * first**0.7), *table("a", first)])
    assert (other.task, other.twin) == ("a", "c")


def test_three_alike_leave_one_and_a_copy_of_a_discounted_task_stays() -> None:
    first = drawn(0)
    runs = [run for name in "abc" for run in table(name, first)]
    assert [found.task for found in discounted(runs)] == ["b", "c"]
    noisy = [*table("noisy", first, noise=1.0), *table("clear", first)]
    assert [found.task for found in discounted(noisy)] == ["noisy"]


def test_recipes_that_differ_as_little_as_seeds_teach_nothing() -> None:
    found = discounted(table("t", drawn(0, spread=0.02), noise=0.01))
    assert [task.task for task in found] == ["t"]
    assert "seed deviations, under 5" in found[0].reason
    assert found[0].twin == ""
    assert discounted(table("t", drawn(0, spread=0.02), noise=0.01), least_spread=0.1) == ()


def test_bounds_can_be_moved() -> None:
    first = drawn(0)
    near = first * np.exp(0.3 * np.random.default_rng(9).standard_normal(RECIPES))
    runs = [*table("a", first), *table("b", near)]
    correlation = ranked_alike(
        {f"r{i}": value for i, value in enumerate(first)},
        {f"r{i}": value for i, value in enumerate(near)},
    )
    assert 0.6 < correlation < 0.95
    assert discounted(runs) == ()
    assert [task.task for task in discounted(runs, same_ranking=correlation - 0.01)] == ["b"]
    assert discounted(runs, same_ranking=correlation + 0.01) == ()


def test_diverged_runs_are_worst_and_other_roles_do_not_count() -> None:
    first = drawn(0)
    broken = first.copy()
    broken[first.argsort()[-3:]] = np.inf
    runs = [*table("a", first), *table("b", broken)]
    assert [found.task for found in discounted(runs)] == ["b"], "the worst stay the worst"
    searched = [{**run, "role": "searched"} for run in table("c", first)]
    assert discounted([*table("a", first), *searched]) == ()


@pytest.mark.slow
def test_the_shipped_runs_are_judged_by_their_file() -> None:
    columns = load_runs(SHIPPED)
    names = ("task", "recipe", "seed", "role", "initial", "final", "test", "diverged")
    records = [
        {name: columns[name][place] for name in names} for place in range(len(columns["task"]))
    ]
    found = discounted_in()
    assert found == discounted(records)
    assert len({task.task for task in found}) == len(found)
    counted = {str(name) for name in columns["task"]} - {task.task for task in found}
    assert counted
    assert {task.twin for task in found} - {""} <= counted


@given(st.lists(st.integers(-5, 5), min_size=10, max_size=25), st.randoms(use_true_random=False))
def test_correlation_is_that_of_the_ranks(values: list[int], random: Any) -> None:
    first = {str(place): float(value) for place, value in enumerate(values)}
    shuffled = list(first)
    random.shuffle(shuffled)
    second = dict(zip(shuffled, first.values(), strict=True))
    found = ranked_alike(first, second)
    assert -1 - 1e-9 <= found <= 1 + 1e-9
    assert found == pytest.approx(ranked_alike(second, first))
    if len(set(values)) > 1:
        assert ranked_alike(first, {key: math.exp(value) for key, value in first.items()}) == (
            pytest.approx(1.0)
        )
        assert ranked_alike(first, {key: -value for key, value in first.items()}) == (
            pytest.approx(-1.0)
        )
    else:
        assert found == 0.0


def test_equal_values_share_a_rank() -> None:
    first = dict(zip("abcdefghij", [0, 0, 1, 1, 2, 3, 3, 3, 4, 5], strict=True))
    second = dict(zip("abcdefghij", [5, 0, 0, 2, 2, 2, 1, 4, 4, 3], strict=True))
    # Ranks from 1: 1.5 1.5 3.5 3.5 5 7 7 7 9 10 and 10 1.5 1.5 5 5 5 3 8.5 8.5 7, by hand
    ranks = [[1.5, 1.5, 3.5, 3.5, 5, 7, 7, 7, 9, 10], [10, 1.5, 1.5, 5, 5, 5, 3, 8.5, 8.5, 7]]
    assert ranked_alike(first, second) == pytest.approx(np.corrcoef(ranks)[0, 1])


def test_few_recipes_in_common_say_nothing() -> None:
    first = {str(place): float(place) for place in range(9)}
    assert ranked_alike(first, first) == 0.0
    assert ranked_alike({**first, "x": 9.0}, {**first, "x": 9.0}) == pytest.approx(1.0)
