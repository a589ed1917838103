"""Ablations: what each probe, the profile as a whole and the knowledge base are worth.

Each is the advice with one thing changed, on every known task with its data set left out. All are
made by the Gaussian's mean alone: without LightGBM, whose nested folds cost most of a fit, without
abstention, and without caution, which hardly moves recipes that were tried. The Gaussian's
hyperparameters (about sixteen numbers) are found once for each change on all the tasks that it may
use; a fold then conditions on its own tasks. The unchanged advice is made in the same way, so that
differences say what the change does.

The budget pays for a profile's tier, and the dearer probes are in the larger tiers alone. A probe
that the budget buys on less than half of the tasks is therefore taken away once more from profiles
of the largest known tier, whatever that costs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from advisor.evaluate.ablation_report import Ablations
from advisor.evaluate.ablation_summary import ALL, PART, Told, at_tier, summary
from advisor.evaluate.guesses import Results
from advisor.evaluate.known import ordinary, profile_of
from advisor.evaluate.processes import in_processes
from advisor.evaluate.variants import (
    DRAWS,
    MEASUREMENTS,
    PROBES,
    SHARES,
    cut,
    data_set_order,
    masked,
    raced,
    strangers,
    was_measured,
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

KS = (1, 3)
_ITERATIONS = 40
_WHOLE = "whole"
_IS_MEASURED = np.asarray([name in MEASURED for name in TASK_UNITS])
Asked = tuple[int, str]
"""Tier, and which change: a mask's name, or a cut as ``share/draw``."""


@dataclass(frozen=True)
class _Setting:
    """What every fold shares.

    Attributes:
        source: Folder of the packed knowledge base.
        seed: Of shuffling and of the cuts.
        paid: The tier that the budget pays for, by task.
        largest: The largest known tier.
        dear: The probes that are taken away at that tier too.
        starts: Hyperparameters of every change.
    """

    source: Path
    seed: int
    paid: tuple[int, ...]
    largest: int
    dear: tuple[str, ...]
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
    paid, largest = tuple(tier_within(budget * row.steps, tiers) for row in rows), tiers[-1]
    dear = tuple(_dear(source, paid, largest))
    changes = [(tier, change) for tier in sorted(set(paid)) for change in _changes()]
    beside = [(largest, change) for change in (_WHOLE, *dear)] if dear else []
    needed = [(FACTS_ONLY, _WHOLE), *changes, *beside]
    asked = list(dict.fromkeys((tier, _effective(tier, name, source)) for tier, name in needed))
    starts = {}
    for position, found in enumerate(
        in_processes(partial(_hyperparameters, source=source, seed=seed), asked, workers)
    ):
        starts[asked[position]] = found
        report(f"ablations: hyperparameters {position + 1} of {len(asked)}")
    setting = _Setting(source, seed, paid, largest, dear, starts)
    names = {row.name for row in rows}
    folds = [fold for fold in load_folds()["dataset"] if names.intersection(fold.test)]
    told: list[Told] = []
    for position, tasks in enumerate(in_processes(partial(_fold, setting=setting), folds, workers)):
        told.extend(tasks)
        report(f"ablations: fold {position + 1} of {len(folds)}")
    return summary(told, len({row.group for row in rows}), largest, seed)


def _dear(source: Path, paid: Sequence[int], largest: int) -> Iterator[str]:
    """The probes that the largest tier measures and the tiers paid for on less than half."""

    def count(probe: str, tiers: Sequence[int]) -> int:
        profiles = (profile_of(ordinary(tier, source), task) for task, tier in enumerate(tiers))
        return sum(was_measured(profile, (probe,)) for profile in profiles)

    for probe in MEASUREMENTS:
        here = count(probe, paid)
        if here < len(paid) / 2 and here < count(probe, [largest] * len(paid)):
            yield probe


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


def _effective(tier: int, change: str, source: Path) -> str:
    """The change, or no change where no profile of that tier has what it takes away."""
    if change not in PROBES:
        return change
    return change if was_measured(ordinary(tier, source).features, (change,)) else _WHOLE


@lru_cache(maxsize=128)
def _conditioned(
    tier: int, change: str, source: Path, train: tuple[int, ...], start: tuple[float, ...]
) -> OutcomeGaussian:
    """The Gaussian given these tasks; the cuts of most folds are the same."""
    return fit_gaussian(_changed(tier, change, source).part(train).filled(), np.asarray(start), 0)


def _fold(fold: Fold, setting: _Setting) -> list[Told]:
    """What every change gave on each task of a fold."""
    base = ordinary(FACTS_ONLY, setting.source)
    names = [row.name for row in base.rows]
    train = tuple(names.index(name) for name in fold.train if name in names)
    portfolio = greedy_portfolio(base.part(train).filled().learned, max(KS))
    return [
        _task(task, train, portfolio, setting)
        for task, name in enumerate(names)
        if name in fold.test
    ]


def _task(task: int, train: tuple[int, ...], portfolio: list[int], setting: _Setting) -> Told:
    """Test regret of every change on one task."""
    source, seed = setting.source, setting.seed
    base = ordinary(FACTS_ONLY, source)
    row = base.rows[task]
    tier, largest = setting.paid[task], setting.largest
    known = ordinary(tier, source)
    results = Results(known, task)
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    measured: set[str] = set()

    def note(name: str, order: list[int], there: bool = True) -> None:
        for k in KS:
            found[name, k].append(results.chosen(order[:k]))
        if there:
            measured.add(name)

    def order(
        profile: Matrix, tier: int = tier, change: str = _WHOLE, kept: tuple[int, ...] = train
    ) -> list[int]:
        change = _effective(tier, change, source)
        gaussian = _conditioned(tier, change, source, kept, setting.starts[tier, change])
        predicted = gaussian.predict(profile, known.recipe_matrix)
        best = np.where(results.served, predicted, np.inf).argsort(kind="stable")
        return [int(i) for i in best[: max(KS)]]

    def without(probe: str, tier: int) -> list[int]:
        return order(profile_of(_changed(tier, probe, source), task), tier, probe)

    own = profile_of(known, task)
    probed = was_measured(own, MEASUREMENTS)
    note(ALL, order(own), probed)
    note("no probes (facts alone)", order(profile_of(base, task), tier=FACTS_ONLY), probed)
    named = dict(zip(TASK_UNITS, own.tolist(), strict=True))
    note("probes only (best short race)", raced(named, known.recipes) or portfolio,
         was_measured(own, ("races",)))  # fmt: skip
    note("portfolio only", portfolio)
    for probe in PROBES:
        note(f"without {probe}", without(probe, tier), was_measured(own, (probe,)))
    if setting.dear:
        full = profile_of(ordinary(largest, source), task)
        note(at_tier(ALL, largest), order(full, largest), was_measured(full, MEASUREMENTS))
        for probe in setting.dear:
            note(at_tier(f"without {probe}", largest), without(probe, largest),
                 was_measured(full, (probe,)))  # fmt: skip
    for draw in range(DRAWS):
        strange = profile_of(known, strangers(known.rows, draw, seed)[task])
        note("profile of another task", order(strange))
        mixed = np.where(_IS_MEASURED, strange, own)
        note("measurements of another task", order(mixed), probed)
        for share in SHARES[:-1]:
            kept = set(cut(data_set_order(known.rows, draw, seed), share, row.group))
            tasks = tuple(i for i in train if known.rows[i].group in kept)
            note(f"{PART}{share}", order(own, change=f"{share}/{draw}", kept=tasks))
    means = {place: float(np.mean(values)) for place, values in found.items()}
    return Told(row.group, means, frozenset(measured))
