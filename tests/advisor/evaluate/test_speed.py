from __future__ import annotations

import pytest
from live_cases import live, shuffled

from advisor.evaluate.per_task import per_task
from advisor.evaluate.results import LiveResults
from advisor.evaluate.speed import profiles, speed_up


def _results() -> LiveResults:
    times = {
        ("fast", 1): [0.1, 0.25, 0.4],
        ("slow", 1): [0.8, 0.5, 0.4],
        ("never", 1): [1.0, 1.0, 1.0],
    }
    return live({entry: [0.1, 0.2, 0.3] for entry in times}, times)


def test_geometric_mean_speed_up() -> None:
    found = speed_up(per_task(_results()), ("fast", 1), ("slow", 1))
    assert found is not None
    assert found.ratio == pytest.approx((8 * 2 * 1) ** (1 / 3))
    assert found.low < found.ratio < found.high
    back = speed_up(per_task(_results()), ("slow", 1), ("fast", 1))
    assert back is not None
    assert back.ratio == pytest.approx(1 / found.ratio)


def test_a_miss_counts_at_the_budget() -> None:
    found = speed_up(per_task(_results()), ("fast", 1), ("never", 1))
    assert found is not None
    assert found.ratio == pytest.approx((10 * 4 * 2.5) ** (1 / 3))


def test_over_itself_it_is_one() -> None:
    found = speed_up(per_task(_results()), ("slow", 1), ("slow", 1))
    assert found is not None
    assert (found.ratio, found.low, found.high) == (1.0, 1.0, 1.0)
    assert found.shown() == "1.0 (1.0 to 1.0)"


def test_speed_up_in_seconds_is_over_the_tasks_that_were_timed() -> None:
    results = live({("a", 1): [0.1] * 3, ("b", 1): [0.1] * 3})
    took = {
        ("a", "t0"): 1.0,
        ("a", "t1"): 2.0,
        ("b", "t0"): 4.0,
        ("b", "t1"): 2.0,
        ("b", "t2"): 9.0,
    }
    timed = tuple(
        one.model_copy(update={"seconds_to_target": (took[one.contender, one.task],) * 3})
        if (one.contender, one.task) in took
        else one
        for one in results.outcomes
    )
    table = per_task(results.model_copy(update={"outcomes": timed}))
    found = speed_up(table, ("a", 1), ("b", 1), "seconds")
    assert found is not None
    assert (found.ratio, found.tasks) == (pytest.approx(2.0), 2)
    in_passes = speed_up(table, ("a", 1), ("b", 1))
    assert in_passes is not None
    assert (in_passes.ratio, in_passes.tasks) == (1.0, 3)
    assert speed_up(per_task(results), ("a", 1), ("b", 1), "seconds") is None


def test_only_common_tasks_count() -> None:
    regrets = {("a", 1): [0.1, 0.1], ("b", 1): [0.1, None]}
    table = per_task(live(regrets, {("a", 1): [0.5, 0.1], ("b", 1): [1.0, None]}))
    found = speed_up(table, ("a", 1), ("b", 1))
    assert found is not None
    assert (found.ratio, found.tasks) == (pytest.approx(2.0), 1)
    assert speed_up(table, ("a", 1), ("c", 1)) is None


def test_profile_by_hand() -> None:
    found = {profile.entry[0]: profile for profile in profiles(per_task(_results()))}
    assert list(found) == ["fast", "slow", "never"]
    assert found["fast"].ratios == (1.0, 1.0, 1.0)
    assert found["slow"].ratios == pytest.approx((1.0, 2.0, 8.0))
    assert found["never"].ratios == pytest.approx((2.5, 4.0, 10.0))
    assert [found["slow"].share(ratio) for ratio in (1, 1.9, 2, 7, 8)] == pytest.approx(
        [1 / 3, 1 / 3, 2 / 3, 2 / 3, 1.0]
    )
    # between 1 and 4: a third until 2, two thirds until 4
    assert found["slow"].score == pytest.approx((1 / 3 * 1 + 2 / 3 * 2) / 3)
    assert (found["fast"].score, found["never"].reached) == (1.0, 0.0)
    assert found["slow"].reached == 1.0


def test_who_misses_a_task_is_not_profiled() -> None:
    regrets = {("a", 1): [0.1, 0.1], ("b", 1): [0.1, None]}
    table = per_task(live(regrets, {("a", 1): [0.5, 0.1], ("b", 1): [0.01, None]}))
    assert [(p.entry, p.ratios) for p in profiles(table)] == [(("a", 1), (1.0, 1.0))]


def test_order_says_nothing() -> None:
    assert profiles(per_task(shuffled(_results()))) == profiles(per_task(_results()))
    pair = ("fast", 1), ("slow", 1)
    assert speed_up(per_task(shuffled(_results())), *pair) == speed_up(per_task(_results()), *pair)
