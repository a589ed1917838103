"""Paired comparison of contenders over tasks, and their mean ranks.

Two contenders: Wilcoxon's signed-rank test over tasks, with Holm's correction for the number of
comparisons. All of them: Friedman's test and Nemenyi's critical difference of mean ranks, as Demšar
(2006), Statistical comparisons of classifiers over multiple data sets, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import friedmanchisquare, rankdata, studentized_range, wilcoxon

from advisor.evaluate.bootstrap import interval
from advisor.evaluate.per_task import ADVICE, PerTask, TableEntry
from advisor.features import Matrix

DRAWN = "random"
"""How the name of a contender begins whose trainings are resampled."""
SEARCHED = (10, 25)
"""Trials after which the cold searches are compared with the guesses."""
_TIE = 1e-12


@dataclass(frozen=True)
class Paired:
    """The advice against another contender.

    Attributes:
        other: The other one.
        difference: Mean over tasks of the advice's regret minus the other's; below 0 is better.
        low: Lower end of its 95 % bootstrap interval over leak groups.
        high: Upper end.
        wins: Tasks on which the advice is better.
        losses: Tasks on which it is worse.
        tasks: Tasks that both have outcomes for.
        p: Two-sided p-value of Wilcoxon's signed-rank test.
        holm: The same, corrected for the number of comparisons.
    """

    other: TableEntry
    difference: float
    low: float
    high: float
    wins: int
    losses: int
    tasks: int
    p: float
    holm: float


@dataclass(frozen=True)
class Ranks:
    """Mean ranks of contenders over tasks; 1 is best.

    Attributes:
        mean: Mean rank of each entry, best first.
        tasks: Tasks ranked on.
        p: P-value of Friedman's test that all rank alike.
        critical_difference: Mean ranks that differ by less do not differ at the 5 % level.
        left_out: Entries without an outcome on every task.
    """

    mean: dict[TableEntry, float]
    tasks: int
    p: float
    critical_difference: float
    left_out: tuple[TableEntry, ...]


def compared(table: PerTask) -> tuple[TableEntry, ...]:
    """What is compared: every guess, and the cold searches after some trials.

    Random draws are left out: they were not trained on fresh seeds.
    """
    names = (name for name in table.searches() if not name.startswith(DRAWN))
    searched = ((name, runs) for name in names for runs in SEARCHED)
    return (*table.guesses(), *(entry for entry in searched if entry in table.regrets))


def paired(
    table: PerTask, others: Sequence[TableEntry] | None = None, entry: TableEntry = ADVICE
) -> tuple[Paired, ...]:
    """One entry against each of the others, over the tasks that both have.

    Args:
        table: The outcomes.
        others: Whom to compare with; by default all that ``compared`` names.
        entry: Who is compared with them.

    Returns:
        One comparison for each other entry with a task in common; empty where ``entry`` has no
        outcome.
    """
    asked = compared(table) if others is None else others
    found: list[Paired] = []
    for other in asked:
        if other == entry or entry not in table.regrets or other not in table.regrets:
            continue
        where = table.common([entry, other])
        if not where.any():
            continue
        differences = table.regrets[entry] - table.regrets[other]
        differences = np.where(where & (np.abs(differences) > _TIE), differences, 0.0)
        low, high = interval(table.draws(where) @ differences)
        found.append(
            Paired(
                other=other, difference=float(differences[where].mean()), low=low, high=high,
                wins=int((differences < 0).sum()), losses=int((differences > 0).sum()),
                tasks=int(where.sum()), p=_signed_rank(differences[where]), holm=math.nan,
            )
        )  # fmt: skip
    corrected = holm([pair.p for pair in found])
    return tuple(
        Paired(**{**vars(pair), "holm": value})
        for pair, value in zip(found, corrected, strict=True)
    )


def holm(values: Sequence[float]) -> list[float]:
    """P-values corrected for their number, step down (Holm 1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    corrected, largest = [0.0] * len(values), 0.0
    for place, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - place) * values[index]))
        corrected[index] = largest
    return corrected


def ranks(table: PerTask, entries: Sequence[TableEntry] | None = None) -> Ranks | None:
    """Mean ranks of the entries that have an outcome on every task; ties share their rank.

    Returns:
        The ranks, or None with fewer than three such entries or two tasks, where Friedman's test
        says nothing.
    """
    asked = compared(table) if entries is None else tuple(entries)
    whole = [e for e in asked if e in table.regrets and np.isfinite(table.regrets[e]).all()]
    if len(whole) < 3 or len(table.tasks) < 2:
        return None
    regrets = np.stack([table.regrets[entry] for entry in whole], axis=1).round(12)
    placed = rankdata(regrets, axis=1)
    mean = placed.mean(axis=0)
    alike = bool((placed == placed[:, :1]).all())  # the statistic would be 0 / 0
    return Ranks(
        mean={whole[i]: float(mean[i]) for i in np.argsort(mean, kind="stable")},
        tasks=len(placed),
        p=1.0 if alike else float(friedmanchisquare(*regrets.T).pvalue),
        critical_difference=critical_difference(len(whole), len(placed)),
        left_out=tuple(entry for entry in asked if entry not in whole),
    )


def critical_difference(contenders: int, tasks: int, level: float = 0.05) -> float:
    """Nemenyi's critical difference of mean ranks (Demšar 2006, section 3.2.2).

    Args:
        contenders: Number of contenders, at least 2.
        tasks: Number of tasks, at least 1.
        level: Of significance.

    Example:
        >>> round(critical_difference(4, 14, 0.10), 2)
        1.12
    """
    quantile = studentized_range.ppf(1 - level, contenders, math.inf) / math.sqrt(2)
    return float(quantile * math.sqrt(contenders * (contenders + 1) / (6 * tasks)))


def _signed_rank(differences: Matrix) -> float:
    """Two-sided p-value; tasks without a difference are left out, as Wilcoxon does."""
    if not differences.any():
        return 1.0
    return float(wilcoxon(differences[differences != 0]).pvalue)
