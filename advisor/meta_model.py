"""The meta-model: ranks recipes for a task from its profile, with an interval, or abstains.

Outcomes are modelled as log(regret + 0.05): what matters is telling 0.02 from 0.1 among good
recipes, not 0.6 from 0.9 among bad ones. A Gaussian over (task, recipe) outcomes predicts; LightGBM
predicts, from all features, what the Gaussian gets wrong on tasks it has not seen, and a share of
that is added. That share, the interval and the abstention rule come from predictions on tasks
whose data set was left out. Below both lies the greedy portfolio, which answers when the task is
unlike anything known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from advisor.boosting import fit_booster, predict_booster
from advisor.calibration import best_weight, blended, interval_offsets
from advisor.feature_table import TASK_UNITS
from advisor.features import (
    Matrix,
    feature_rows,
    name_columns,
    recipe_groups,
    recipe_matrix,
    task_groups,
)
from advisor.gaussian import OutcomeGaussian
from advisor.knowledge import Knowledge
from advisor.portfolio import greedy_portfolio
from advisor.short_list import short_list
from probes.recipe.schema import Recipe

if TYPE_CHECKING:
    import lightgbm

WEIGHTS = (0.0, 0.25, 0.5, 1.0)
"""Shares of LightGBM's correction that nested validation chooses among."""
CAUTION = 1.0
"""Deviations by which a recipe is scored worse for what is known less of it than of the one that is
known best."""
OFFSET = 0.05
"""What is added to a regret before its logarithm: about the seed-to-seed noise of a good recipe."""
PORTFOLIO_SIZE = 10
_INNER_FOLDS = 6
_LOOKED_AT = 400
"""How far down its order a short list is looked for."""
_FLOOR_QUANTILE = 0.02


@dataclass
class MetaModel:
    """A fitted meta-model for one tier of profiles.

    Attributes:
        tier: Tier of the profiles it was fitted on.
        gaussian: The Gaussian part.
        booster: The LightGBM part; None where its share is 0.
        weight: Share of LightGBM's correction that is added, in [0, 1].
        low: What is added to an outcome for the lower end of the interval (at most 0).
        high: The same for the upper end (at least 0).
        floor: Similarity to the nearest known task below which it abstains.
        recipes: The reference recipes.
        means: (R,) mean regret of each over the known tasks.
        portfolio: Indices of the greedy portfolio, in order.
        names: Names of the known tasks.
        regrets: (T, R) their regrets as they were learned, for evidence.
    """

    tier: int
    gaussian: OutcomeGaussian
    booster: lightgbm.Booster | None
    weight: float
    low: float
    high: float
    floor: float
    recipes: tuple[Recipe, ...]
    means: Matrix
    portfolio: list[int]
    names: tuple[str, ...]
    regrets: Matrix

    def scores(
        self,
        task: Mapping[str, float],
        recipes: Sequence[Recipe],
        steps: int,
        batch_size: int,
        columns: Matrix | None = None,
    ) -> Matrix:
        """(n,) predicted normalized regrets, any recipes; lower is better.

        A score is the cautious end of what is predicted: the mean, and `CAUTION` deviations for
        what is known less of a recipe than of the one known best. (Of results that are the better
        the larger, this is a lower confidence bound.) It may lie a little below 0 (by OFFSET at
        most) or above 1: cut off, the best would tie.

        Args:
            task: Features of the task by name.
            recipes: The recipes.
            steps: Budget in batches.
            batch_size: Samples a batch.
            columns: (n, q) what ``features.recipe_matrix`` has for the recipes, if it is at hand.
        """
        vector = np.asarray([task[name] for name in TASK_UNITS])
        if columns is None:
            columns = recipe_matrix(recipes)
        smooth = _cautious(self.gaussian, vector, columns)
        if self.booster is None:
            return regret_of(smooth)
        rows = feature_rows(task, recipes, steps, batch_size)
        return regret_of(blended(smooth, predict_booster(self.booster, rows), self.weight))

    def interval(self, score: float) -> tuple[float, float]:
        """The 90 % interval around a score, within [0, 1]."""
        outcome = outcome_of(np.asarray([score]))[0]
        ends = regret_of(np.asarray([outcome + self.low, outcome + self.high]))
        low, high = np.clip(ends, 0.0, 1.0)
        return float(low), float(high)

    def short_list(
        self,
        order: Iterable[int],
        columns: Matrix,
        count: int,
        usable: Callable[[int], bool] = lambda index: True,
    ) -> list[int]:
        """The first of an order of recipes, without near repetitions; see ``short_list``.

        Args:
            order: Indices of recipes, best first; looked at down to `_LOOKED_AT` of them.
            columns: (n, q) what ``features.recipe_matrix`` has for all the recipes.
            count: Recipes wanted; there may be fewer.
            usable: Whether a recipe can be taken at all.
        """
        looked = list(islice(order, _LOOKED_AT))
        correlation = self.gaussian.correlation(columns[looked])
        found = short_list(
            range(len(looked)), correlation, count, lambda position: usable(looked[position])
        )
        return [looked[position] for position in found]

    def similarities(self, task: Mapping[str, float]) -> Matrix:
        """(T,) similarity to the known tasks, in [0, 1]."""
        return self.gaussian.similarity(np.asarray([task[name] for name in TASK_UNITS]))

    def abstains(self, task: Mapping[str, float]) -> bool:
        """Whether the task looks unlike anything known."""
        return bool(self.similarities(task).max() < self.floor)


def _cautious(gaussian: OutcomeGaussian, task: Matrix, columns: Matrix) -> Matrix:
    """(n,) the Gaussian's predictions, raised for recipes of which less is known."""
    found = gaussian.outlook(task, columns)
    raised: Matrix = found.mean + CAUTION * found.excess
    return raised


def outcome_of(regrets: Matrix) -> Matrix:
    """Regrets on the scale they are modelled on."""
    outcomes: Matrix = np.log(regrets + OFFSET)
    return outcomes


def regret_of(outcomes: Matrix) -> Matrix:
    """Back from the scale of outcomes."""
    regrets: Matrix = np.exp(outcomes) - OFFSET
    return regrets


def fit(
    knowledge: Knowledge,
    seed: int = 0,
    iterations: int = 40,
    start: Matrix | None = None,
    weights: Sequence[float] = WEIGHTS,
) -> MetaModel:
    """Fit on a knowledge base (or the training part of a fold).

    Args:
        knowledge: Tasks, recipes, regrets and profiles.
        seed: Of LightGBM's draws.
        iterations: Of the Gaussian's hyperparameter search.
        start: Hyperparameters to start from (those of another tier on the same tasks).
        weights: Shares of LightGBM's correction to choose among, ascending.
    """
    knowledge = knowledge.filled()
    gaussian = fit_gaussian(knowledge, start, iterations)
    smooth, nearest = _left_out(knowledge, gaussian.parameters)
    boosted = np.zeros_like(smooth)
    if any(weights):
        boosted = _corrections(knowledge, gaussian.parameters, seed)
    groups = [row.group for row in knowledge.rows]
    weight = best_weight(outcome_of(knowledge.learned), smooth, boosted, weights, groups)
    # an interval is for the validation of one training, which has noise of its own
    low, high = interval_offsets(outcome_of(knowledge.regrets), blended(smooth, boosted, weight))
    return MetaModel(
        tier=knowledge.tier,
        gaussian=gaussian,
        booster=_booster(knowledge, smooth, seed) if weight else None,
        weight=weight,
        low=low,
        high=high,
        floor=float(np.quantile(nearest, _FLOOR_QUANTILE)),
        recipes=knowledge.recipes,
        means=knowledge.learned.mean(0),
        portfolio=greedy_portfolio(knowledge.learned, PORTFOLIO_SIZE),
        names=tuple(row.name for row in knowledge.rows),
        regrets=knowledge.learned,
    )


def fit_gaussian(
    knowledge: Knowledge, start: Matrix | None = None, iterations: int = 40
) -> OutcomeGaussian:
    """The Gaussian part, fitted on a knowledge base without missing regrets; see ``fit``."""
    return gaussian_of(knowledge, outcome_of(knowledge.learned), start, iterations)


def gaussian_of(
    knowledge: Knowledge, outcomes: Matrix, start: Matrix | None = None, iterations: int = 40
) -> OutcomeGaussian:
    """The Gaussian of any outcomes of a knowledge base's recipes on its tasks.

    Args:
        knowledge: The tasks, by their profiles, and the recipes.
        outcomes: (T, R), none missing.
        start: Hyperparameters to start from.
        iterations: Of the hyperparameter search.
    """
    return OutcomeGaussian.fit(
        knowledge.mean_features,
        knowledge.recipe_matrix,
        outcomes,
        task_groups(),
        recipe_groups(),
        start,
        iterations,
        name_columns(),
    )


def _booster(knowledge: Knowledge, smooth: Matrix, seed: int) -> lightgbm.Booster:
    """LightGBM on what the Gaussian got wrong.

    A task's recipes take turns with its profile's seeds: all profiles are seen, and each outcome
    is told once.
    """
    wrong = outcome_of(knowledge.learned) - smooth
    centred = wrong - wrong.mean(1, keepdims=True)
    each = np.arange(len(knowledge.recipes))
    rows = []
    for task in range(len(knowledge.rows)):
        by_seed = [knowledge.pair_rows(task, features[task]) for features in knowledge.features]
        rows.append(np.stack(by_seed)[(each + task) % len(by_seed), each])
    return fit_booster(np.concatenate(rows), centred.ravel(), seed)


def _inner_folds(knowledge: Knowledge) -> list[tuple[list[int], list[int]]]:
    """(train, test) tasks, data sets kept together."""
    groups = list(dict.fromkeys(row.group for row in knowledge.rows))
    folds = min(_INNER_FOLDS, len(groups))
    found = []
    for fold in range(folds):
        held = {group for position, group in enumerate(groups) if position % folds == fold}
        test = [i for i, row in enumerate(knowledge.rows) if row.group in held]
        found.append(([i for i in range(len(knowledge.rows)) if i not in set(test)], test))
    return found


def _left_out(knowledge: Knowledge, parameters: Matrix) -> tuple[Matrix, Matrix]:
    """The Gaussian's predictions with each task's data set left out, and nearest similarities."""
    smooth = np.zeros_like(knowledge.regrets)
    nearest = np.zeros(len(knowledge.rows))
    for train, test in _inner_folds(knowledge):
        gaussian = fit_gaussian(knowledge.part(train), parameters, 0)
        for i in test:
            # a profile of one seed, as a user has
            features = knowledge.features[i % len(knowledge.features), i]
            smooth[i] = _cautious(gaussian, features, knowledge.recipe_matrix)
            nearest[i] = gaussian.similarity(features).max()
    return smooth, nearest


def _corrections(knowledge: Knowledge, parameters: Matrix, seed: int) -> Matrix:
    """LightGBM's corrections with each task's data set left out."""
    boosted = np.zeros_like(knowledge.regrets)
    for train, test in _inner_folds(knowledge):
        part = knowledge.part(train)
        booster = _booster(part, _left_out(part, parameters)[0], seed)
        for i in test:
            features = knowledge.features[i % len(knowledge.features), i]
            boosted[i] = predict_booster(booster, knowledge.pair_rows(i, features))
    return boosted
