from __future__ import annotations

import math

import numpy as np
import pytest
from live_cases import live, outcome, shuffled

from advisor.evaluate.per_task import per_task
from advisor.evaluate.results import LiveResults, Outcome
from probes.errors import UserError


def _with(*outcomes: Outcome) -> LiveResults:
    return live({("a", 1): [0.1, 0.2]}).model_copy(update={"outcomes": outcomes})


def test_median_over_seeds_then_mean_over_studies() -> None:
    table = per_task(
        _with(
            outcome("t0", "a", 1, study=0, regret=(0.1, 0.9, 0.2), time=(0.5, 0.1, 0.2)),
            outcome("t0", "a", 1, study=1, regret=(0.4, 0.0, 1.0), time=(1.0, 1.0, 0.4)),
        )
    )
    np.testing.assert_allclose(table.regrets["a", 1], [(0.2 + 0.4) / 2, np.nan])
    np.testing.assert_allclose(table.times["a", 1], [(0.2 + 1.0) / 2, np.nan])


def test_seconds_are_unknown_where_one_study_does_not_know_them() -> None:
    table = per_task(
        _with(
            outcome("t0", "a", 1, regret=0.1, seconds=2.0, seconds_to_target=(0.3, 0.1, 0.9)),
            outcome("t0", "a", 1, study=1, regret=0.1, seconds=4.0, seconds_to_target=(0.5,) * 3),
            outcome("t1", "a", 1, regret=0.1, seconds=2.0),
            outcome("t1", "a", 1, study=1, regret=0.1, seconds_to_target=(0.5,) * 3),
        )
    )
    np.testing.assert_allclose(table.seconds["a", 1], [3.0, np.nan])
    np.testing.assert_allclose(table.seconds_to_target["a", 1], [(0.3 + 0.5) / 2, np.nan])


def test_no_target_is_reached_before_the_first_step() -> None:
    table = per_task(_with(outcome("t0", "a", 1, regret=0.1, time=0.0)))
    assert table.times["a", 1][0] == 1 / 1000


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (outcome("elsewhere", "a", 1, regret=0.1), "tasks listed"),
        (outcome("t0", "a", 1, regret=()), "at least one fresh seed"),
        (outcome("t0", "a", 1, regret=(0.1, math.nan, 0.1)), "finite"),
        (outcome("t1", "a", 1, regret=0.1), "one outcome"),
    ],
    ids=["unknown task", "no seed", "not a number", "twice"],
)
def test_outcomes_that_cannot_be_counted_are_refused(bad: Outcome, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        per_task(_with(outcome("t1", "a", 1, regret=0.1), bad))


def test_groups_are_drawn_whole_and_only_where_asked() -> None:
    table = per_task(live({("a", 1): [0.1] * 4}, groups=["x", "x", "y", "z"]))
    draws = table.draws(np.array([True, True, True, False]))
    np.testing.assert_allclose(draws.sum(axis=1), 1.0)
    np.testing.assert_array_equal(draws[:, 0], draws[:, 1])
    assert (draws[:, 3] == 0).all()
    # two groups, two draws: x alone, both, y alone
    seen = {tuple(row) for row in draws[:, [0, 2]].round(3)}
    assert seen == {(0.5, 0.0), (0.333, 0.333), (0.0, 1.0)}
    assert (draws[:, 2] == 1.0).mean() == pytest.approx(0.25, abs=0.04)


def test_order_of_tasks_and_outcomes_says_nothing() -> None:
    results = live({("a", 1): [0.1, 0.7, 0.3], ("b", 2): [0.5, None, 0.2]})
    one, other = per_task(results), per_task(shuffled(results))
    assert one.tasks == other.tasks
    assert one.entries == other.entries == (("a", 1), ("b", 2))
    for entry in one.entries:
        np.testing.assert_array_equal(one.regrets[entry], other.regrets[entry])


def test_searches_are_told_by_their_name() -> None:
    table = per_task(live({("TPE, full space", 1): [0.1], ("portfolio", 1): [0.1],
                           ("portfolio", 3): [0.1], ("refine", 10): [0.1]}))  # fmt: skip
    assert table.searches() == ("TPE, full space",)
    assert table.guesses() == (("portfolio", 1),)
