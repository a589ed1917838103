"""Seconds of a full run, read off records of runs."""

from __future__ import annotations

import math

import pytest

from knowledge_base.run_seconds import full_run_seconds
from knowledge_base.tasks import task_rows

FIRST, SECOND = list(task_rows())[:2]


def test_the_median_step_times_the_tasks_budget() -> None:
    runs = [(FIRST, "a", 0.001), (FIRST, "b", 0.002), (FIRST, "a", 0.009), (SECOND, "a", 0.003)]
    found = full_run_seconds(runs, set())
    assert found == pytest.approx(
        {FIRST: 0.002 * task_rows()[FIRST].steps, SECOND: 0.003 * task_rows()[SECOND].steps}
    )


@pytest.mark.parametrize(
    "passed_over",
    [
        (FIRST, "small batches", 5.0),
        (FIRST, "a", math.nan),
        ("a task of another release", "a", 5.0),
    ],
)
def test_what_tells_nothing_is_passed_over(passed_over: tuple[str, str, float]) -> None:
    alone = full_run_seconds([(FIRST, "a", 0.001)], {"small batches"})
    assert full_run_seconds([passed_over, (FIRST, "a", 0.001)], {"small batches"}) == alone
    assert full_run_seconds([passed_over], {"small batches"}) == {}
