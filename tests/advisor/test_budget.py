"""What people write as a budget, right and wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.budget import Budget, parse_budget, parse_seconds
from probes.errors import UserError


@given(st.floats(1e-6, 100.0))
def test_shares(percent: float) -> None:
    budget = parse_budget(f"{percent:f}%")
    assert budget.seconds is None
    assert budget.share == pytest.approx(percent / 100, abs=1e-8)


@given(st.floats(1e-3, 1e9))
def test_seconds(seconds: float) -> None:
    assert parse_budget(f"{seconds:f}s") == Budget(None, float(f"{seconds:f}"))


@pytest.mark.parametrize("text", ["10 %", " 10% ", "10.%", "10.0%", "010%"])
def test_ways_to_write_a_tenth(text: str) -> None:
    assert parse_budget(text) == Budget(0.1, None)


NONSENSE = [
    "", "%", "s", "ten%", "10", "10m", "-10%", "-1s", "0%", "0s", "100.1%", "1e2%", "nan%", "infs",
    "10%%", "10% 5s", "١٠%", "9" * 400 + "s", None, 10, 0.1, b"10%", ["10%"],
]  # fmt: skip


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_is_refused(text: object) -> None:
    with pytest.raises(UserError, match="budget"):
        parse_budget(text)


@given(st.text())
def test_any_text_is_a_budget_or_refused(text: str) -> None:
    try:
        budget = parse_budget(text)
    except UserError:
        return
    assert (budget.share is None) != (budget.seconds is None)
    assert (budget.share or budget.seconds or 0.0) > 0


@pytest.mark.parametrize(("text", "seconds"), [("600s", 600.0), ("600", 600.0), ("1.5 s", 1.5)])
def test_a_time(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "-5s", "10%", "soon", "1e999", "nan"])
def test_no_time(text: str) -> None:
    with pytest.raises(UserError, match="600s"):
        parse_seconds(text)
