from __future__ import annotations

import math

import pytest
from live_cases import falling, live, outcome, shuffled

from advisor.evaluate.per_task import per_task
from advisor.evaluate.worth import relative_seconds, worth

FULL, EXPERT = "TPE, full space", "TPE, expert space"
FULL_CURVE = [0.5, 0.4, 0.3, 0.2, 0.1]
EXPERT_CURVE = [0.6, 0.35, 0.34, 0.33, 0.32]


@pytest.mark.parametrize(
    ("regret", "trials", "shown"),
    [
        (0.9, 1, "1 (1 to 1)"),
        (0.5, 1, "1 (1 to 1)"),
        (0.45, 2, "2 (2 to 2)"),
        (0.35, 2, "2 (2 to 2)"),  # the expert space is there first
        (0.31, 3, "3 (3 to 3)"),  # the full space is
        (0.1, 5, "5 (5 to 5)"),
        (0.05, math.inf, "> 5 (> 5 to > 5)"),
    ],
)
def test_the_search_that_needs_fewer_trials_counts(
    regret: float, trials: float, shown: str
) -> None:
    curves = {**falling(FULL, FULL_CURVE), **falling(EXPERT, EXPERT_CURVE)}
    found = worth(per_task(live({**curves, ("a", 1): [regret] * 4})), ("a", 1))
    assert found is not None
    assert found.trials == trials
    assert found.shown() == shown
    assert found.best == pytest.approx(0.1)


def test_one_space_can_be_asked_for() -> None:
    table = per_task(live({**falling(FULL, FULL_CURVE), **falling(EXPERT, EXPERT_CURVE),
                           ("a", 1): [0.35] * 4}))  # fmt: skip
    found = worth(table, ("a", 1), [FULL])
    assert found is not None
    assert found.trials == 3


def test_means_over_tasks_are_compared_not_tasks() -> None:
    curves = {(FULL, 1): [0.0, 1.0], (FULL, 2): [0.0, 0.4]}
    found = worth(per_task(live({**curves, ("a", 1): [0.5, 0.0]})), ("a", 1))
    assert found is not None
    assert found.trials == 2  # means 0.5 and 0.2 against 0.25


def test_a_shorter_search_bounds_what_can_be_said() -> None:
    curves = {**falling(FULL, FULL_CURVE), **falling(EXPERT, EXPERT_CURVE[:2])}
    found = worth(per_task(live({**curves, ("a", 1): [0.2] * 4})), ("a", 1))
    assert found is not None
    # after its two trials the expert space might have come as low at the third
    assert (found.trials, found.limit) == (math.inf, 2)


def test_the_interval_resamples_both_sides_together() -> None:
    # on every task the guess equals two trials, however hard the task
    hard = [0.1, 0.3, 0.6, 0.9]
    curves = {(FULL, n): [value / n for value in hard] for n in (1, 2, 3, 4)}
    results = live({**curves, ("a", 1): [value / 2 for value in hard]})
    found = worth(per_task(results), ("a", 1))
    assert found is not None
    assert (found.low, found.trials, found.high) == (2, 2, 2)
    assert worth(per_task(shuffled(results)), ("a", 1)) == found


def test_only_tasks_that_both_have_count() -> None:
    curves = {(FULL, 1): [0.5, 0.0], (FULL, 2): [0.1, 0.0]}
    found = worth(per_task(live({**curves, ("a", 1): [0.2, None]})), ("a", 1))
    assert found is not None
    assert (found.trials, found.tasks) == (2, 1)


@pytest.mark.parametrize(
    "regrets",
    [{("a", 1): [0.1]}, falling(FULL, [0.5]), {**falling(FULL, [0.5], 1), ("a", 2): [0.1]}],
    ids=["no search", "no guess", "other runs"],
)
def test_none_without_both_sides(regrets: dict[tuple[str, int], list[float]]) -> None:
    assert worth(per_task(live(regrets)), ("a", 1)) is None


def test_seconds_are_told_in_trainings_on_the_same_task() -> None:
    took = {"a": (1.0, 8.0, None), "b": (2.0, 4.0, 3.0)}
    outcomes = tuple(
        outcome(f"t{place}", name, 1, regret=0.1, seconds=seconds)
        for name, times in took.items()
        for place, seconds in enumerate(times)
    )
    results = live({("a", 1): [0.1] * 3}).model_copy(update={"outcomes": outcomes})
    table = per_task(results)
    assert relative_seconds(table, ("a", 1), ("b", 1)) == pytest.approx((0.5 * 2.0) ** 0.5)
    assert relative_seconds(table, ("b", 1), ("b", 1)) == 1.0
    assert relative_seconds(table, ("a", 1), ("c", 1)) is None
    assert relative_seconds(per_task(live({("a", 1): [0.1]})), ("a", 1), ("a", 1)) is None
