"""What a replay found on each task, and what that amounts to: means, weights, intervals.

All intervals are bootstraps over data sets: tasks that share data are drawn together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from advisor.evaluate.bootstrap import resamples, with_interval
from advisor.evaluate.report import Column, Method
from advisor.features import Matrix

ADVISED = "advice"
SINGLE_BEST = "single best recipe"
PORTFOLIO = "portfolio"
RANDOM_SEARCH = "random search"
SEARCHED = "search in the full space, one study"
BEST_KNOWN = "best known of the set"
ORACLE_REGRET = 0.0
"""Test regret of the best known recipe of a task, searched ones included: chosen on validation, its
median test loss is what ``knowledge_base.regret`` gives regret 0, so it is 0 by definition."""
_CAP = 0.9
_TAIL = 0.95
_NO_NOISE = 1e-9
"""Rounding alone: nothing was repeated."""


@dataclass
class Tally:
    """Per task: the test regret of every method, and what is told of the advice."""

    groups: list[str] = field(default_factory=list)
    regrets: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    covered: list[float] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    correlations: list[float] = field(default_factory=list)
    abstained: list[float] = field(default_factory=list)
    boosted: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    spreads: list[float] = field(default_factory=list)
    noises: list[float] = field(default_factory=list)

    def add(self, name: str, runs: int, regret: float) -> None:
        """Note the test regret of a method on the task at hand."""
        self.regrets.setdefault((name, runs), []).append(regret)

    def extend(self, other: Tally) -> None:
        """Take in the tasks of another fold."""
        for name in (
            "groups", "covered", "widths", "correlations", "abstained", "boosted", "shares",
            "spreads", "noises",
        ):  # fmt: skip
            getattr(self, name).extend(getattr(other, name))
        for (name, runs), regrets in other.regrets.items():
            self.regrets.setdefault((name, runs), []).extend(regrets)


def task_weights(spreads: Sequence[float], noises: Sequence[float]) -> Matrix:
    """(T,) weights of tasks, summing to 1: how far their recipes lie apart over their noise.

    A task on which recipes differ little more than seeds do says little about advice. The ratio is
    cut at its 90th percentile, so that no task with next to no noise decides alone.

    Args:
        spreads: Standard deviation of test regret over recipes, by task.
        noises: Standard deviation of test regret between seeds, by task; where it is 0 (nothing
            was repeated), the median of the others stands in.
    """
    spread, noise = np.asarray(spreads, dtype=float), np.asarray(noises, dtype=float)
    known = noise > _NO_NOISE
    usual = float(np.median(noise[known])) if known.any() else 1.0
    ratio = spread / np.where(known, noise, usual)
    capped: Matrix = np.minimum(ratio, np.quantile(ratio, _CAP))
    total = capped.sum()
    return capped / total if total > 0 else np.full(len(capped), 1.0 / len(capped))


def column(title: str, tally: Tally, seed: int) -> Column:
    """What a tally amounts to.

    Args:
        title: What was left out.
        tally: Of all folds; at least one task.
        seed: Of the bootstrap.
    """
    draws = resamples(tally.groups, seed)
    weights = task_weights(tally.spreads, tally.noises)

    def weighted_mean(values: Matrix, index: Any) -> float:
        share = weights[index].sum()
        return float((values[index] * weights[index]).sum() / share) if share > 0 else 0.0

    methods = []
    for (name, runs), found in tally.regrets.items():
        values = np.asarray(found)
        if len(values) < len(tally.groups):  # a method that some task has no result for
            continue
        mean, low, high = with_interval(partial(_mean, values), draws)
        weighted = with_interval(partial(weighted_mean, values), draws)
        methods.append(
            Method(
                name=name, runs=runs, mean=mean, low=low, high=high, weighted=weighted[0],
                weighted_low=weighted[1], weighted_high=weighted[2],
                median=float(np.median(values)), p95=float(np.quantile(values, _TAIL)),
            )
        )  # fmt: skip
    advice, single = (np.asarray(tally.regrets[name, 1]) for name in (ADVISED, SINGLE_BEST))
    in_set = next(np.asarray(v) for (name, _), v in tally.regrets.items() if name == BEST_KNOWN)
    oracle = np.full(len(tally.groups), ORACLE_REGRET)

    def gap(mean: Callable[[Matrix, Any], float], best: Matrix) -> tuple[float, float, float]:
        def closed(index: Any) -> float:
            room = mean(single, index) - mean(best, index)
            return (mean(single, index) - mean(advice, index)) / max(room, 1e-9)

        return with_interval(closed, draws)

    def tail_ratio(index: Any) -> float:
        ours, theirs = (np.quantile(values[index], _TAIL) for values in (advice, single))
        return float(ours / max(theirs, 1e-9))

    return Column(
        left_out=title,
        tasks=len(tally.groups),
        datasets=len(set(tally.groups)),
        methods=tuple(methods),
        gap_closed=gap(_mean, oracle),
        weighted_gap_closed=gap(weighted_mean, oracle),
        gap_closed_in_set=gap(_mean, in_set),
        weighted_gap_closed_in_set=gap(weighted_mean, in_set),
        p95_ratio=with_interval(tail_ratio, draws),
        coverage=float(np.mean(tally.covered)),
        width=float(np.mean(tally.widths)),
        rank_correlation=float(np.mean(tally.correlations)),
        abstained=float(np.mean(tally.abstained)),
        boosted=float(np.mean(tally.boosted)),
        probe_share=float(np.mean(tally.shares)),
    )


def _mean(values: Matrix, index: Any) -> float:
    return float(values[index].mean())
