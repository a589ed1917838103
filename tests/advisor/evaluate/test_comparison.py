from __future__ import annotations

import itertools

import numpy as np
import pytest
from live_cases import live, shuffled

from advisor.evaluate.comparison import compared, critical_difference, holm, paired, ranks
from advisor.evaluate.per_task import per_task


@pytest.mark.parametrize(
    ("contenders", "level", "quantile"),
    [(2, 0.05, 1.960), (4, 0.05, 2.569), (10, 0.05, 3.164), (2, 0.10, 1.645), (10, 0.10, 2.920)],
)  # Demšar 2006, table 5(a)
def test_quantiles_of_nemenyi(contenders: int, level: float, quantile: float) -> None:
    unit = (contenders * (contenders + 1) / (6 * 14)) ** 0.5
    found = critical_difference(contenders, 14, level) / unit
    assert found == pytest.approx(quantile, abs=1e-3)


def test_critical_difference_of_the_paper() -> None:
    assert round(critical_difference(4, 14), 2) == 1.25
    assert round(critical_difference(4, 14, 0.10), 2) == 1.12


@pytest.mark.parametrize(
    ("values", "corrected"),
    [
        ([], []),
        ([0.2], [0.2]),
        ([0.01, 0.02, 0.03, 0.04], [0.04, 0.06, 0.06, 0.06]),
        ([0.04, 0.01, 0.03, 0.005], [0.06, 0.03, 0.06, 0.02]),
        ([0.6, 0.5], [1.0, 1.0]),
    ],
)
def test_holm(values: list[float], corrected: list[float]) -> None:
    assert holm(values) == pytest.approx(corrected)


def test_signed_rank_against_all_signs() -> None:
    ours = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    other = [0.15, 0.32, 0.33, 0.61, 0.8, 0.59]  # better on five, worse on the last by least
    differences = np.subtract(ours, other)
    size = np.abs(differences).argsort().argsort() + 1
    seen = min(size[differences > 0].sum(), size[differences < 0].sum())
    sums = [sum(s for s, sign in zip(size, signs, strict=True) if sign)
            for signs in itertools.product([0, 1], repeat=6)]  # fmt: skip
    expected = 2 * np.mean([total <= seen for total in sums])
    (found,) = paired(per_task(live({("advice", 1): ours, ("other", 1): other})))
    assert found.p == pytest.approx(expected)
    assert found.holm == found.p
    assert (found.wins, found.losses, found.tasks) == (5, 1, 6)
    assert found.difference == pytest.approx(differences.mean())
    assert found.low < found.difference < found.high


def test_pairs_share_one_correction() -> None:
    ours = [0.1 * i for i in range(1, 7)]
    table = per_task(live({
        ("advice", 1): ours,
        ("worse", 1): [value + 0.01 * i for i, value in enumerate(ours, 1)],
        ("same", 1): ours,
        ("TPE, full space", 10): [value - 0.01 * i for i, value in enumerate(ours, 1)],
    }))  # fmt: skip
    found = {pair.other: pair for pair in paired(table)}
    assert found["worse", 1].p == pytest.approx(2 / 64)
    assert found["worse", 1].holm == pytest.approx(6 / 64)
    assert found["TPE, full space", 10].losses == 6
    assert (found["same", 1].p, found["same", 1].holm) == (1.0, 1.0)
    assert (found["same", 1].wins, found["same", 1].losses) == (0, 0)


def test_what_is_compared() -> None:
    table = per_task(live({
        ("TPE, full space", n): [0.1] for n in (1, 5, 10, 25, 50)
    } | {("portfolio", 1): [0.1], ("portfolio", 3): [0.1], ("advice", 1): [0.1]}))  # fmt: skip
    assert compared(table) == (
        ("advice", 1), ("portfolio", 1), ("TPE, full space", 10), ("TPE, full space", 25),
    )  # fmt: skip


def test_mean_ranks_and_friedman_by_hand() -> None:
    results = live({
        ("a", 1): [0.1, 0.1, 0.1, 0.1],
        ("b", 1): [0.2, 0.2, 0.2, 0.1],  # ties with a on the last
        ("c", 1): [0.3, 0.3, 0.3, 0.9],
        ("hole", 1): [0.0, None, 0.0, 0.0],
    })  # fmt: skip
    found = ranks(per_task(results))
    assert found is not None
    assert found.mean == {("a", 1): 4.5 / 4, ("b", 1): 7.5 / 4, ("c", 1): 3.0}
    assert list(found.mean) == [("a", 1), ("b", 1), ("c", 1)]
    assert found.left_out == (("hole", 1),)
    # chi2 = 12 / (N k (k + 1)) sum R^2 - 3 N (k + 1), over 1 - ties / (N k (k^2 - 1))
    chi2 = (12 / 48 * (4.5**2 + 7.5**2 + 12**2) - 48) / (1 - 6 / 96)
    assert found.p == pytest.approx(np.exp(-chi2 / 2))  # chi-squared with two degrees
    assert found.critical_difference == pytest.approx(critical_difference(3, 4))
    assert ranks(per_task(shuffled(results))) == found


def test_contenders_that_are_all_alike() -> None:
    found = ranks(per_task(live({(name, 1): [0.1, 0.4] for name in "abc"})))
    assert found is not None
    assert found.p == 1.0
    assert set(found.mean.values()) == {2.0}


def test_too_few_to_rank_or_to_pair() -> None:
    table = per_task(live({("a", 1): [0.1, 0.2], ("b", 1): [0.1, 0.3]}))
    assert ranks(table) is None
    assert paired(table) == ()  # no advice
