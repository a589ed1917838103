"""Ablations: what each probe, the profile as a whole and the knowledge base are worth.

Each is the advice with one thing changed, on every known task with its data set left out. All are
made by the Gaussian's mean alone: without LightGBM, whose nested folds cost most of a fit, without
abstention, and without caution, which hardly moves recipes that were tried. The Gaussian's
hyperparameters (about sixteen numbers) are found once for each change on all the tasks that it may
use; a fold then conditions on its own tasks. The unchanged advice is made in the same way, so that
differences say what the change does.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from advisor.evaluate.ablation_report import Ablation, Ablations, Growth
from advisor.evaluate.bootstrap import resamples, with_interval
from advisor.evaluate.guesses import Results
from advisor.evaluate.known import ordinary, profile_of
from advisor.evaluate.processes import in_processes
from advisor.evaluate.variants import (
    DRAWS,
    PROBES,
    SHARES,
    cut,
    data_set_order,
    masked,
    raced,
    strangers,
)
from advisor.feature_table import MEASURED, TASK_UNITS
from advisor.features import Matrix
from advisor.gaussian import OutcomeGaussian
from advisor.knowledge import Knowledge
from advisor.meta_model import fit_gaussian
from advisor.portfolio import greedy_portfolio
from advisor.shipped import known_tiers, tier_within
from knowledge_base.splits import Fold, load_folds
from probes.profile import FACTS_ONLY

ALL = "all probes"
KS = (1, 3)
_ITERATIONS = 40
_WHOLE = "whole"
_IS_MEASURED = np.asarray([name in MEASURED for name in TASK_UNITS])
Asked = tuple[int, str]
"""Tier, and which change: a mask's name, or a cut as ``share/draw``."""
Found = dict[tuple[str, int], float]
"""Test regret by name of the change and number of runs."""


@dataclass(frozen=True)
class _Setting:
    """What every fold shares."""

    source: Path
    budget: float
    seed: int
    tiers: tuple[int, ...]
    starts: dict[Asked, tuple[float, ...]]


def ablate(
    source: Path,
    budget: float,
    seed: int = 0,
    report: Callable[[str], None] = lambda message: None,
    workers: int = 1,
) -> Ablations:
    """Measure every change.

    Args:
        source: Folder of the packed knowledge base.
        budget: Share of one full training that the probes may cost.
        seed: Of shuffling, of the cuts of the knowledge base, and of the bootstrap.
        report: Told of progress.
        workers: Processes; the result does not depend on their number.
    """
    tiers = known_tiers(source)
    rows = ordinary(FACTS_ONLY, source).rows
    used = sorted({tier_within(budget * row.steps, tiers) for row in rows})
    changes = [(tier, change) for tier in used for change in _changes()]
    asked = list(dict.fromkeys([*changes, (FACTS_ONLY, _WHOLE)]))
    starts = {}
    for position, found in enumerate(
        in_processes(partial(_hyperparameters, source=source, seed=seed), asked, workers)
    ):
        starts[asked[position]] = found
        report(f"ablations: hyperparameters {position + 1} of {len(asked)}")
    setting = _Setting(source, budget, seed, tiers, starts)
    names = {row.name for row in rows}
    folds = [fold for fold in load_folds()["dataset"] if names.intersection(fold.test)]
    groups: list[str] = []
    results: list[Found] = []
    for position, tasks in enumerate(in_processes(partial(_fold, setting=setting), folds, workers)):
        for group, found_here in tasks:
            groups.append(group)
            results.append(found_here)
        report(f"ablations: fold {position + 1} of {len(folds)}")
    return _summary(groups, results, len({row.group for row in rows}), seed)


def _changes() -> Iterator[str]:
    yield _WHOLE
    yield from PROBES
    for share in SHARES[:-1]:
        for draw in range(DRAWS):
            yield f"{share}/{draw}"


def _hyperparameters(asked: Asked, source: Path, seed: int) -> tuple[float, ...]:
    """Those of one change, fitted on all the tasks that it may use."""
    tier, change = asked
    known = _changed(tier, change, source)
    if "/" in change:
        share, draw = map(int, change.split("/"))
        kept = set(cut(data_set_order(known.rows, draw, seed), share, without=""))
        known = known.part([i for i, row in enumerate(known.rows) if row.group in kept])
    return tuple(fit_gaussian(known.filled(), None, _ITERATIONS).parameters.tolist())


@lru_cache(maxsize=64)
def _changed(tier: int, change: str, source: Path) -> Knowledge:
    """The knowledge base with a probe's features masked, where the change is that."""
    known = ordinary(tier, source)
    return masked(known, PROBES[change]) if change in PROBES else known


@lru_cache(maxsize=128)
def _conditioned(
    tier: int, change: str, source: Path, train: tuple[int, ...], start: tuple[float, ...]
) -> OutcomeGaussian:
    """The Gaussian given these tasks; the cuts of most folds are the same."""
    return fit_gaussian(_changed(tier, change, source).part(train).filled(), np.asarray(start), 0)


def _fold(fold: Fold, setting: _Setting) -> list[tuple[str, Found]]:
    """Group and results of each task of a fold."""
    base = ordinary(FACTS_ONLY, setting.source)
    names = [row.name for row in base.rows]
    train = tuple(names.index(name) for name in fold.train if name in names)
    portfolio = greedy_portfolio(base.part(train).filled().regrets, max(KS))
    return [
        (base.rows[task].group, _task(task, train, portfolio, setting))
        for task, name in enumerate(names)
        if name in fold.test
    ]


def _task(task: int, train: tuple[int, ...], portfolio: list[int], setting: _Setting) -> Found:
    """Test regret of every change on one task."""
    source, seed = setting.source, setting.seed
    base = ordinary(FACTS_ONLY, source)
    row = base.rows[task]
    tier = tier_within(setting.budget * row.steps, setting.tiers)
    known = ordinary(tier, source)
    results = Results(known, task)
    found: dict[tuple[str, int], list[float]] = defaultdict(list)

    def note(name: str, order: list[int]) -> None:
        for k in KS:
            found[name, k].append(results.chosen(order[:k]))

    def order(
        profile: Matrix, tier: int = tier, change: str = _WHOLE, kept: tuple[int, ...] = train
    ) -> list[int]:
        gaussian = _conditioned(tier, change, source, kept, setting.starts[tier, change])
        predicted = gaussian.predict(profile, known.recipe_matrix)
        best = np.where(results.served, predicted, np.inf).argsort(kind="stable")
        return [int(i) for i in best[: max(KS)]]

    own = profile_of(known, task)
    note(ALL, order(own))
    note("no probes (facts alone)", order(profile_of(base, task), tier=FACTS_ONLY))
    named = dict(zip(TASK_UNITS, own.tolist(), strict=True))
    note("probes only (best short race)", raced(named, known.recipes) or portfolio)
    note("portfolio only", portfolio)
    for probe in PROBES:
        note(f"without {probe}", order(profile_of(_changed(tier, probe, source), task),
                                       change=probe))  # fmt: skip
    for draw in range(DRAWS):
        strange = profile_of(known, strangers(known.rows, draw, seed)[task])
        note("profile of another task", order(strange))
        mixed = np.where(_IS_MEASURED, strange, own)
        note("measurements of another task", order(mixed))
        for share in SHARES[:-1]:
            kept = set(cut(data_set_order(known.rows, draw, seed), share, row.group))
            tasks = tuple(i for i in train if known.rows[i].group in kept)
            note(f"1/{share}", order(own, change=f"{share}/{draw}", kept=tasks))
    return {place: float(np.mean(values)) for place, values in found.items()}


def _summary(groups: list[str], results: list[Found], known: int, seed: int) -> Ablations:
    """All results as data; `known` is the number of data sets in the knowledge base."""
    draws = resamples(groups, seed)

    def interval(values: Matrix) -> tuple[float, float, float]:
        return with_interval(lambda index: float(values[index].mean()), draws)

    rows, growth = [], []
    for name, k in results[0]:
        values = np.asarray([found[name, k] for found in results])
        change = interval(values - np.asarray([found[ALL, k] for found in results]))
        mean, low, high = interval(values)
        share = int(name.split("/")[1]) if name.startswith("1/") else 1
        if share == 1:
            rows.append(
                Ablation(
                    name=name, runs=k, mean=mean, low=low, high=high, difference=change[0],
                    difference_low=change[1], difference_high=change[2],
                )
            )  # fmt: skip
        if share > 1 or name == ALL:
            growth.append(
                Growth(
                    share=1 / share, datasets=math.ceil((known - 1) / share),
                    draws=DRAWS if share > 1 else 1, runs=k, mean=mean, low=low, high=high,
                )
            )  # fmt: skip
    growth.sort(key=lambda point: (point.runs, point.share))
    return Ablations(
        tasks=len(groups), datasets=len(set(groups)), rows=tuple(rows), growth=tuple(growth)
    )
