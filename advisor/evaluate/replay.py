"""Replay: what the advice would have been on each known task, had its data set been unknown.

Everything is fitted inside the fold; recipes are chosen on validation and reported on test; the
profile is of the tier that a tenth of the task's budget pays for. The advice chooses only among
recipes that every task ran, so that every choice has a result; it lists them as `recommend` does,
without near repetitions. Larger forms of a task are asked of the models that have seen neither
them nor anything of their data set.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from advisor import meta_model
from advisor.evaluate.ablations import ablate
from advisor.evaluate.guesses import KS, add_guesses
from advisor.evaluate.known import large, ordinary, profile_of
from advisor.evaluate.processes import in_processes
from advisor.evaluate.report import LARGE, Report
from advisor.evaluate.tally import Tally, column
from advisor.evaluate.versions import edition, versions
from advisor.feature_table import TASK_UNITS
from advisor.features import Matrix
from advisor.knowledge import Knowledge
from advisor.meta_model import PORTFOLIO_SIZE, MetaModel
from advisor.portfolio import greedy_portfolio
from advisor.shipped import known_tiers, tier_within
from knowledge_base.splits import Fold, load_folds
from knowledge_base.store import SHIPPED
from probes.profile import FACTS_ONLY

BUDGET = 0.1
"""Share of one full training that the probes may cost."""
_PACKAGES = ("optimizer-advisor", "torch", "lightgbm")
_TITLES = {"dataset": "data set", "dataset_and_family": "data set and family"}


def replay(
    folder: Path | None = None,
    seed: int = 0,
    report: Callable[[str], None] = lambda message: None,
    workers: int = 1,
    ablations: bool = False,
) -> Report:
    """Measure the advice and what it competes with.

    Args:
        folder: Of the packed knowledge base; None for the shipped one.
        seed: Of resampling and LightGBM.
        report: Told of progress.
        workers: Processes; the result does not depend on their number.
        ablations: Whether to tell also what each part of the advice is worth.
    """
    source = folder or SHIPPED
    of_edition = edition(source)
    base = ordinary(0, source)
    known = {row.name for row in base.rows}
    columns, larger = [], Tally()
    for name, folds in load_folds().items():
        asked = [fold for fold in folds if known.intersection(fold.test)]
        tally = Tally()
        ask = partial(_replay_fold, source=source, seed=seed, with_large=name == "dataset")
        for position, (part, larger_part) in enumerate(in_processes(ask, asked, workers)):
            tally.extend(part)
            larger.extend(larger_part)
            report(f"{_TITLES[name]} left out: fold {position + 1} of {len(asked)}")
        columns.append(column(_TITLES[name], tally, seed))
    if larger.groups:
        columns.append(column(LARGE, larger, seed))
    spreads = [test.seed_spread for _, test in base.scales]
    return Report(
        made_by="advisor evaluate" + (" --ablations" if ablations else ""),
        date=datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        versions=versions(_PACKAGES),
        edition=of_edition,
        seed=seed,
        recipes=len(base.recipes),
        columns=tuple(columns),
        seed_spread=median(spreads) if spreads else 0.0,
        ablations=ablate(source, BUDGET, seed, report, workers) if ablations else None,
    )


def _replay_fold(fold: Fold, source: Path, seed: int, with_large: bool) -> tuple[Tally, Tally]:
    """The tally of the fold's tasks, and that of the larger forms of the data sets left out."""
    models, tiers = dict[int, MetaModel](), known_tiers(source)
    base = ordinary(0, source)
    names = [row.name for row in base.rows]
    train = [names.index(name) for name in fold.train if name in names]
    regrets = base.part(train).filled().learned
    groups = {row.group for row in base.rows if row.name in fold.test}

    def model_at(tier: int) -> MetaModel:
        if tier not in models:
            # LightGBM's share is chosen in the fold, but at tier 0 alone, and taken over by the
            # others, unlike for the shipped models: a choice takes ten seconds, all else one
            first = tier == FACTS_ONLY
            weights = meta_model.WEIGHTS if first else (model_at(FACTS_ONLY).weight,)
            part = ordinary(tier, source).part(train)
            models[tier] = meta_model.fit(part, seed, weights=weights)
        return models[tier]

    def ask(load: Callable[[int, Path], Knowledge], tally: Tally) -> Tally:
        for task, row in enumerate(load(0, source).rows):
            if row.name not in fold.test and (load is ordinary or row.group not in groups):
                continue
            tier = tier_within(BUDGET * row.steps, tiers)
            here = load(tier, source)
            ran = [base.recipes.index(recipe) for recipe in here.recipes]
            tally.shares.append(tier / row.steps)
            _ask(here, task, model_at(tier), regrets[:, ran], tally)
        return tally

    return ask(ordinary, Tally()), ask(large, Tally()) if with_large else Tally()


def _ask(here: Knowledge, task: int, model: MetaModel, learned: Matrix, tally: Tally) -> None:
    """Add one task to a tally.

    Args:
        here: The tasks asked about, and the R recipes chosen among.
        task: Which of them.
        model: Fitted without its data set.
        learned: (T, R) regrets of those recipes on the tasks the model was fitted on.
        tally: Where the results go.
    """
    row, regrets = here.rows[task], here.regrets[task]
    features = dict(zip(TASK_UNITS, profile_of(here, task).tolist(), strict=True))
    served = np.isfinite(regrets)
    portfolio = greedy_portfolio(learned, PORTFOLIO_SIZE)

    scores = model.scores(features, here.recipes, row.steps, row.batch_size, here.recipe_matrix)
    scores = np.where(served, scores, np.inf)
    abstains = model.abstains(features)
    usable = [i for i in portfolio if served[i]]
    ranked = [i for i in _ranked(scores) if served[i]]
    listed = model.short_list(ranked, here.recipe_matrix, max(KS))
    order = usable if abstains else listed
    score = float(learned.mean(0)[order[0]] if abstains else scores[order[0]])
    low, high = model.interval(score)
    tally.groups.append(row.group)
    tally.abstained.append(float(abstains))
    tally.boosted.append(model.weight)
    tally.covered.append(float(low <= regrets[order[0]] <= high))
    tally.widths.append(high - low)
    tally.correlations.append(_rank_correlation(scores[served], regrets[served]))
    tally.spreads.append(float(np.nanstd(here.test_regrets[task])))
    tally.noises.append(here.scales[task][1].seed_spread)
    add_guesses(here, task, order, portfolio[: max(KS)], tally)


def _ranked(scores: Matrix) -> list[int]:
    return [int(i) for i in scores.argsort(kind="stable")]


def _rank_correlation(left: Matrix, right: Matrix) -> float:
    ranks = [values.argsort().argsort().astype(float) for values in (left, right)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
