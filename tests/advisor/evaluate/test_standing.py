from __future__ import annotations

import pytest
from live_cases import falling, live, shuffled

from advisor.evaluate.per_task import per_task
from advisor.evaluate.standing import curve, ordered, regret_summary


def test_mean_and_median_over_the_tasks_that_have_an_outcome() -> None:
    table = per_task(live({("a", 1): [0.1, 0.2, 0.9, None]}))
    found = regret_summary(table, ("a", 1))
    assert found is not None
    assert (found.mean, found.median, found.tasks) == (pytest.approx(0.4), pytest.approx(0.2), 3)
    assert 0.1 - 1e-9 <= found.low < found.mean < found.high <= 0.9 + 1e-9
    assert regret_summary(table, ("a", 2)) is None


def test_equal_tasks_leave_no_doubt() -> None:
    found = regret_summary(per_task(live({("a", 1): [0.25] * 5})), ("a", 1))
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(0.25), pytest.approx(0.25))


def test_tasks_of_one_group_give_a_wider_interval() -> None:
    values = {("a", 1): [0.0, 0.0, 0.0, 1.0, 1.0, 1.0] * 2}
    apart = regret_summary(per_task(live(values)), ("a", 1))
    groups = [name for name in "xyzw" for _ in range(3)]
    together = regret_summary(per_task(live(values, groups=groups)), ("a", 1))
    assert apart is not None
    assert together is not None
    assert together.high - together.low > apart.high - apart.low


def test_curve_rises_in_trainings() -> None:
    table = per_task(live(falling("TPE, full space", [0.5, 0.4, 0.3])))
    assert [(p.runs, round(p.mean, 6)) for p in curve(table, "TPE, full space")] == [
        (1, 0.5), (2, 0.4), (3, 0.3),
    ]  # fmt: skip


def test_advice_first_searches_last_and_in_between_the_best_first() -> None:
    results = live({
        ("TPE, full space", 1): [0.01], ("worse", 1): [0.5], ("better", 1): [0.4],
        ("refine", 10): [0.6], ("advice, fastest", 1): [0.7], ("advice", 1): [0.9],
    })  # fmt: skip
    names = ("advice", "refine", "advice, fastest", "better", "worse", "TPE, full space")
    assert ordered(per_task(results)) == ordered(per_task(shuffled(results))) == names
