"""Numbers for people: what is rounded to the next unit is told in it."""

from __future__ import annotations

import pytest

from advisor.wording import amount, duration, size


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.35, "350 ms"), (0.9994, "999 ms"), (0.9996, "1.0 s"), (4.24, "4.2 s"), (59.94, "59.9 s"),
        (59.97, "1 min 00 s"), (185.2, "3 min 05 s"), (7800, "2 h 10 min"),
    ],
)  # fmt: skip
def test_duration(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(12, "12 B"), (999.4, "999 B"), (999.9, "1 kB"), (2.5e6, "2.5 MB"), (3e15, "3e+03 TB")],
)
def test_size(count: float, said: str) -> None:
    assert size(count) == said


@pytest.mark.parametrize(
    ("value", "said"), [(None, "-"), (float("nan"), "-"), (0.123456, "0.1235"), (400.0, "400")]
)
def test_amount(value: float | None, said: str) -> None:
    assert amount(value) == said
