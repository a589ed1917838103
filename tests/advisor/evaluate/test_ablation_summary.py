"""Ablations as data and as a table, from regrets written down by hand."""

from __future__ import annotations

import pytest

from advisor.evaluate.ablation_report import NOT_MEASURED
from advisor.evaluate.ablation_summary import ALL, Told, at_tier, summary

WHOLE, DEAR = at_tier(ALL, 256), at_tier("without x", 256)


def told(group: str, measured: set[str], **regrets: float) -> Told:
    names = {"all": ALL, "without": "without x", "half": "1/2", "whole": WHOLE, "dear": DEAR}
    by_name = {(names[name], k): value / k for name, value in regrets.items() for k in (1, 3)}
    return Told(group, by_name, frozenset(measured))


TOLD = (
    told("a", {ALL, WHOLE, DEAR}, all=0.3, without=0.6, half=0.4, whole=0.2, dear=0.5),
    told("b", {WHOLE, DEAR}, all=0.5, without=0.6, half=0.6, whole=0.2, dear=0.7),
)


def test_means_and_differences_by_hand() -> None:
    found = summary(TOLD, known=9, largest=256, seed=0)
    assert (found.tasks, found.datasets) == (2, 2)
    rows = {(row.name, row.runs): row for row in found.rows}
    assert {name for name, _ in rows} == {ALL, "without x", WHOLE, DEAR}
    expected = {
        ALL: (1, 0.4, ALL, 0.0), "without x": (0, 0.6, ALL, 0.2),
        WHOLE: (2, 0.2, ALL, -0.2), DEAR: (2, 0.6, WHOLE, 0.4),
    }  # fmt: skip
    for (name, k), row in rows.items():
        measured, mean, against, difference = expected[name]
        assert (row.measured, row.against) == (measured, against)
        assert (row.mean, row.difference) == pytest.approx((mean / k, difference / k))
        assert row.difference_low <= row.difference <= row.difference_high
    assert (rows[DEAR, 1].difference_low, rows[DEAR, 1].difference_high) == pytest.approx(
        (0.3, 0.5)
    )
    growth = [(point.runs, point.share, point.datasets) for point in found.growth]
    assert growth == [(1, 0.5, 4), (1, 1.0, 8), (3, 0.5, 4), (3, 1.0, 8)]


def test_table_tells_both_numbers_of_runs_and_where_it_was_measured() -> None:
    found = summary(TOLD, known=9, largest=256, seed=0)
    header, *rows = found.table()
    assert header[2:] == ["mean regret, 1 run", "against all probes",
                          "mean regret, 3 runs", "against all probes"]  # fmt: skip
    cells = {row[0]: row[1:] for row in rows}
    assert cells["without x"] == ["on 0 of 2 tasks", NOT_MEASURED, "-", "-", "-"]
    assert cells[DEAR][0] == "on 2 of 2 tasks"
    assert [cell[:6] for cell in cells[DEAR][1:]] == ["0.600 ", "+0.400", "0.200 ", "+0.133"]
    assert any(f"compared with {WHOLE!r}" in fact for fact in found.facts())
    without = [Told(t.group, {p: v for p, v in t.regrets.items() if "tier" not in p[0]}, t.measured)
               for t in TOLD]  # fmt: skip
    assert not any("tier" in fact for fact in summary(without, 9, 256, 0).facts())
