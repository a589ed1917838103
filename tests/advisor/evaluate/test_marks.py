from __future__ import annotations

import pytest
from live_cases import contest, shuffled

from advisor.evaluate.mark_notes import GAP_CLOSED
from advisor.evaluate.marks import NOT_MEASURED, Mark, marks
from advisor.evaluate.report import Column, Report
from advisor.evaluate.results import LiveResults


def _report(left_out: str = "data set", **changes: object) -> Report:
    column = {
        "left_out": left_out, "tasks": 9, "datasets": 9, "methods": (),
        "gap_closed": (0.7, 0.5, 0.9), "weighted_gap_closed": (0.7, 0.5, 0.9),
        "gap_closed_in_set": (0.9, 0.8, 1.0), "weighted_gap_closed_in_set": (0.9, 0.8, 1.0),
        "p95_ratio": (1.05, 0.9, 1.3), "coverage": 0.95, "width": 0.4, "rank_correlation": 0.5,
        "abstained": 0.0, "boosted": 0.0, "probe_share": 0.1,
    }  # fmt: skip
    return Report(
        made_by="advisor evaluate", date="2026-01-02", versions={}, edition="", seed=0, recipes=99,
        columns=(Column.model_validate({**column, **changes}),), seed_spread=0.02,
    )  # fmt: skip


def _mark(part: str, report: Report | None = None, live: LiveResults | None = None) -> Mark:
    (found,) = [mark for mark in marks(report, live) if part in mark.name]
    return found


@pytest.mark.parametrize(
    ("part", "field", "enough", "missed"),
    [
        ("to the oracle", "gap_closed", (0.6, 0.5, 0.7), (0.9, 0.49, 0.99)),
        ("95th-percentile", "p95_ratio", (1.05, 1.0, 2.0), (1.06, 0.5, 2.0)),
        ("interval covers", "coverage", 0.85, 0.84),
        ("interval covers", "coverage", 0.95, 0.96),
        ("probes", "probe_share", 0.1, 0.101),
    ],
)
def test_marks_of_the_replay(part: str, field: str, enough: object, missed: object) -> None:
    for value, reached in ((enough, True), (missed, False)):
        mark = _mark(part, _report(**{field: value}))
        assert (mark.reached, mark.source) == (reached, "replay")
        assert mark.verdict == ("yes" if reached else "no")


def test_another_column_is_not_taken_for_it() -> None:
    assert _mark("gap from", _report("data set and family")).measured == NOT_MEASURED


def test_nothing_measured_says_so() -> None:
    found = marks(None, None)
    assert len(found) == 10
    assert {(mark.measured, mark.reached, mark.verdict) for mark in found} == {
        (NOT_MEASURED, None, "-")
    }


@pytest.mark.parametrize(
    ("advice", "measured", "reached"),
    [(0.02, "25 (25 to 25)", True), (0.021, "24 (24 to 24)", False)],
)
def test_worth_of_one_recommendation(advice: float, measured: str, reached: bool) -> None:
    mark = _mark("one recommendation", live=contest(advice=advice))
    assert (mark.measured, mark.reached) == (measured, reached)


def test_worth_of_the_best_of_five() -> None:
    mark = _mark("best of five", live=contest())
    assert (mark.measured, mark.reached) == ("> 100 (> 100 to > 100)", True)
    # what was searched for 50 trials alone cannot tell of 100, but it can of 25
    short = contest(advice=0.004, trials=50)
    assert _mark("best of five", live=short).measured == NOT_MEASURED
    assert _mark("one recommendation", live=short).reached is True
    assert _mark("best of five", live=contest(trials=10)).measured == NOT_MEASURED


def test_speed_is_by_the_advice_asked_for_speed() -> None:
    copied = _mark("over AdamW", live=contest())
    assert copied.measured == "advice, fastest: 5.0 (5.0 to 5.0); advice: 3.3 (3.3 to 3.3)"
    assert copied.reached is True
    single = _mark("over the single best", live=contest())
    assert single.measured.startswith("advice, fastest: 1.8 (1.8 to 1.8); advice: 1.2")
    assert single.reached is True
    results = contest()
    plain = results.model_copy(
        update={"outcomes": tuple(o for o in results.outcomes if "fastest" not in o.contender)}
    )
    assert _mark("over AdamW", live=plain).measured == "advice: 3.3 (3.3 to 3.3)"
    assert _mark("over AdamW", live=plain).reached is False


@pytest.mark.parametrize(
    ("advice", "measured", "reached"),
    [
        (0.029, "0 of 4", True),
        (0.031, "1 of 4 (t3)", False),
        (0.5, "4 of 4 (t0, t1, t2, t3)", False),
    ],
)  # two seed deviations are 0.02
def test_tasks_worse_than_the_copied_recipe(advice: float, measured: str, reached: bool) -> None:
    mark = _mark("tasks worse", live=contest(advice=advice))
    assert (mark.measured, mark.reached) == (measured, reached)


def test_refine_beside_the_better_space() -> None:
    mark = _mark("refine", live=contest())
    assert (mark.measured, mark.reached) == ("0.004 beside 0.005", True)
    assert _mark("refine", live=contest(trials=99)).measured == NOT_MEASURED


def test_order_says_nothing() -> None:
    assert marks(_report(), contest()) == marks(_report(), shuffled(contest()))


def test_why_is_told_of_what_is_missed_alone() -> None:
    missed = _report(gap_closed=(0.4, 0.3, 0.5), coverage=0.5)
    assert _mark("gap ", missed).why == GAP_CLOSED
    assert _mark("interval covers", missed).why == "", "no reason is known"
    found = marks(_report(), contest(advice=0.5))
    assert {mark.source for mark in found if mark.why} == {"live"}
    assert not any(mark.why for mark in found if mark.reached is not False)
    assert not any(mark.why for mark in marks(None, None))


def test_where_the_copied_recipe_stands_on_the_tasks_that_are_missed() -> None:
    results = contest(advice=0.031)
    placed = tuple(task.model_copy(update={"copied_place": 0.08}) for task in results.tasks)
    why = _mark("tasks worse", live=results.model_copy(update={"tasks": placed})).why
    assert why.endswith("reference recipes: t3 (8 %)")
