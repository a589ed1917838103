"""Finds out why the first recipe of a ranking: what speaks for it, what stands beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist, median

import numpy as np
from numpy.typing import NDArray

from advisor.advice import Advice, Candidate
from advisor.evidence import SIMILAR, nearest_reference
from advisor.explanation import (
    CONFIDENCE,
    MOST_RUNS,
    Contributions,
    Explanation,
    Measured,
    NearTask,
    RunnerUp,
)
from advisor.feature_table import MEASURED, TASK_GROUPS, TASK_MEMBERS, TASK_UNITS
from advisor.features import task_features
from advisor.meta_model import OFFSET, MetaModel, outcome_of, regret_of
from advisor.shapley import score_contributions
from knowledge_base.reference import COPIED
from knowledge_base.regret import scales
from knowledge_base.store import SHIPPED, load_runs
from probes.recipe.schema import Recipe

_TOLD = 4
_COMPARED = 10
"""Known tasks over which the difference of two recipes is watched: enough for a spread."""
_NORMAL = NormalDist()
_COLUMNS = ("task", "recipe", "initial", "final", "test", "diverged")


def explain(advice: Advice, model: MetaModel, knowledge: Path = SHIPPED) -> Explanation:
    """Why the first recipe of the ranking.

    Args:
        advice: The answer.
        model: The meta-model it came from.
        knowledge: Folder of the packed knowledge base, for the spread between seeds.
    """
    values, facts = advice.profile["values"], advice.task
    task = task_features(values, facts.steps, facts.batch_size)
    similarity = model.similarities(task)
    order = similarity.argsort(kind="stable")[::-1]
    first = _as_known(model, advice.ranking[0].recipe, facts.batch_size)
    index, same = nearest_reference(model, first)
    contributions = None
    if not advice.abstained:
        groups, base, score = score_contributions(model, task, first)
        ends = regret_of(np.asarray([base, score])).tolist()
        contributions = Contributions(base=ends[0], score=ends[1], groups=groups)
    second = _runner_up(advice.ranking)
    other = None
    if second is not None:
        recipe = _as_known(model, advice.ranking[second].recipe, facts.batch_size)
        other = nearest_reference(model, recipe)[0]
    keys = [known.key for known in model.recipes]
    copied = keys.index(COPIED.key) if COPIED.key in keys else None
    nearest = tuple(
        NearTask(
            name=model.names[i],
            similarity=float(similarity[i]),
            regret=float(model.regrets[i, index]),
            copied=None if copied is None else float(model.regrets[i, copied]),
            runner_up=None if other is None else float(model.regrets[i, other]),
        )
        for i in order[:SIMILAR]
    )
    told, doubt = None, None
    if second is not None and other is not None:
        near = order if advice.abstained else order[:_COMPARED]
        spread = seed_spread(tuple(model.names[i] for i in near), knowledge)
        told = _compared(advice, second, spread)
        doubt = _doubt(advice, second, model, (index, other), near, spread)
    return Explanation(
        relative=None if same else model.recipes[index].describe(),
        measured=_measured(model, task, contributions),
        nearest=nearest,
        runner_up=told,
        doubt=doubt,
        contributions=contributions,
    )


@lru_cache(maxsize=64)
def seed_spread(tasks: tuple[str, ...], knowledge: Path = SHIPPED) -> float:
    """Standard deviation of regret between seeds: the median over these tasks.

    Tasks without repeated runs take no part; where none has any it is OFFSET, which stands for it
    in the meta-model too.
    """
    columns = load_runs(knowledge, _COLUMNS)
    kept = np.flatnonzero(np.isin(columns["task"], tasks))
    runs = [{name: columns[name][i] for name in _COLUMNS} for i in kept]
    known = [validation.seed_spread for validation, _ in scales(runs).values()]
    repeated = [spread for spread in known if spread > 0]
    return median(repeated) if repeated else OFFSET


def runs_to_be_sure(difference: float, spread: float) -> int | None:
    """Full trainings of two recipes together until the better mean tells the better recipe.

    With n runs each of known standard deviation the difference of the means has a standard
    deviation of spread sqrt(2 / n), so n = 2 (z spread / difference)^2 runs each select the better
    with probability CONFIDENCE = Phi(z) (Bechhofer 1954, section 3, for two populations).

    Args:
        difference: Of the expected regrets, of any sign.
        spread: Standard deviation of regret between seeds.

    Returns:
        2 n, n rounded up and at least 1; None where that is over MOST_RUNS.
    """
    if difference == 0.0:
        return None
    need = 2.0 * (_NORMAL.inv_cdf(CONFIDENCE) * spread / difference) ** 2
    if need > MOST_RUNS // 2:
        return None
    return 2 * max(1, math.ceil(need))


def _as_known(model: MetaModel, recipe: Recipe, batch_size: int) -> Recipe:
    """The recipe as known tasks ran it: a ranking writes the task's batch size out."""
    if recipe.batch_size != batch_size:
        return recipe
    plain = recipe.with_(batch_size=None)
    keys = {known.key for known in model.recipes}
    return recipe if recipe.key in keys and plain.key not in keys else plain


def _runner_up(ranking: Sequence[Candidate]) -> int | None:
    """Index of the best of another optimizer."""
    mine = ranking[0].recipe.optimizer.name
    others = (i for i, one in enumerate(ranking) if one.recipe.optimizer.name != mine)
    return next(others, None)


def _measured(
    model: MetaModel, task: dict[str, float], contributions: Contributions | None
) -> tuple[Measured, ...]:
    """What sets the task apart, facts and what training told: deviations, by weight of the group.

    The groups' weights are their contributions; without these they count alike.
    """
    standard = model.gaussian.task_standard
    away = standard(np.asarray([list(task.values())]))[0]
    groups = TASK_GROUPS if model.booster is None else TASK_MEMBERS  # what the scores go by
    group = {name: key for key, members in groups.items() for name in members}
    found = [
        Measured(
            name=name, value=task[name], unit=unit, typical=float(standard.mean[i]),
            deviations=float(away[i]),
        )
        for i, (name, unit) in enumerate(TASK_UNITS.items())
        if name in group and math.isfinite(task[name]) and away[i] != 0
    ]  # fmt: skip

    def weight(one: Measured) -> float:
        told = 1.0 if contributions is None else abs(contributions.groups[group[one.name]])
        return abs(one.deviations) * told

    found.sort(key=weight, reverse=True)
    trained = [one for one in found if one.name in MEASURED][:_TOLD]
    facts = [one for one in found if one.name not in MEASURED][:_TOLD]
    return (*trained, *facts)


def _compared(advice: Advice, second: int, spread: float) -> RunnerUp:
    first, other = advice.ranking[0], advice.ranking[second]
    difference = other.expected.score - first.expected.score
    seconds = [_seconds(advice, one) for one in (first, other)]
    both = None if None in seconds else [s for s in seconds if s is not None]
    runs = runs_to_be_sure(difference, spread)
    passes = sum(_passes(advice, one) for one in (first, other))
    return RunnerUp(
        rank=second + 1,
        recipe=other.recipe.describe(),
        more_regret=difference,
        more_seconds=None if both is None else both[1] - both[0],
        runs_to_be_sure=runs,
        passes_to_be_sure=None if runs is None else runs / 2 * passes,
        seconds_to_be_sure=None if runs is None or both is None else runs / 2 * sum(both),
        seed_spread=spread,
    )


def _doubt(
    advice: Advice, second: int, model: MetaModel, columns: tuple[int, int],
    near: NDArray[np.intp], spread: float,
) -> float:  # fmt: skip
    """Probability that one training with the runner-up ends better.

    The predicted difference of outcomes over the spread that the difference of the two has over
    similar known tasks, and the noise between seeds of one training of each, of which the means
    that were learned there hold little.
    """
    scores = np.asarray([advice.ranking[i].expected.score for i in (0, second)])
    gap = float(np.diff(outcome_of(scores))[0])
    there = np.diff(outcome_of(model.regrets[near][:, list(columns)]), axis=1)
    noise = math.sqrt(2.0) * spread / (float(scores.mean()) + OFFSET)
    deviation = float(there.std(ddof=1)) if len(there) > 1 else 0.0
    return _NORMAL.cdf(-gap / math.hypot(deviation, noise))


def _steps(advice: Advice, candidate: Candidate) -> int:
    return candidate.recipe.steps_for(advice.task.steps, advice.task.batch_size)


def _seconds(advice: Advice, candidate: Candidate) -> float | None:
    per_step = candidate.cost.seconds_per_step
    return None if per_step is None else per_step * _steps(advice, candidate)


def _passes(advice: Advice, candidate: Candidate) -> float:
    size = advice.task.batch_size
    a_step = candidate.cost.passes_per_step * (candidate.recipe.batch_size or size) / size
    return _steps(advice, candidate) * a_step
