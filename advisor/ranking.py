"""From a profile to a ranking: scores, candidates, a short list, evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from advisor.advice import Candidate, Cost, Expected
from advisor.candidate_pool import load_pool
from advisor.candidates import Applicable, applicable
from advisor.evidence import evidence, nearest_reference
from advisor.features import Matrix, recipe_matrix, task_features
from advisor.goal import Goal, wanted_level
from advisor.meta_model import MetaModel
from advisor.shipped import Loaded
from advisor.step_time import order_by_seconds
from advisor.times import load_times
from probes.errors import UserError
from probes.profile import FACTS_ONLY, Profile
from probes.recipe.schema import Recipe
from probes.task import Task

RANKED = 10
_LATE = 0.8
"""Predicted share of the budget above which a target is as good as missed: a run that misses it
counts at its whole budget, and who is soonest among such tells nothing."""
_UNTRIED = (
    "no known task ran exactly this recipe: its score is a prediction, raised for what is known "
    "less of it"
)


class Ranked(NamedTuple):
    """A ranking and what it goes by.

    Attributes:
        candidates: The best first.
        scores: Predicted regret of each, not cut off to [0, 1] as the candidates' own.
        abstained: Whether the meta-model kept out of it.
        reason: Why this ranking, in words.
    """

    candidates: tuple[Candidate, ...]
    scores: tuple[float, ...]
    abstained: bool
    reason: str


def expected_of(model: MetaModel, score: float) -> Expected:
    """A predicted regret with its interval, within [0, 1]."""
    low, high = model.interval(score)
    return Expected(score=min(max(score, 0.0), 1.0), low=low, high=high)


def rank(task: Task, profile: Profile, loaded: Loaded, goal: Goal, memory: int | None) -> Ranked:
    """Rank recipes for a task by its profile.

    Raises:
        UserError: No recipe can serve it.
    """
    model, prepared = loaded.model, task.prepared
    features = task_features(profile.values, prepared.steps, prepared.batch_size)
    similarity = model.similarities(features)
    test = Applicable(task, memory)
    known = applicable(model.recipes, test)
    if not known:
        why = test.reason(model.recipes[0]) or ""
        fix = "raise max_memory" if memory is not None else "change the model as it says"
        raise UserError("a recipe that can serve this task", f"none: {why}", fix)
    abstained = model.abstains(features)

    def score(recipes: Sequence[Recipe], columns: Matrix) -> Matrix:
        if abstained:
            means = {recipe.key: model.means[i] for i, recipe in enumerate(model.recipes)}
            return np.asarray([means[recipe.key] for recipe in recipes])
        return model.scores(features, recipes, prepared.steps, prepared.batch_size, columns)

    if abstained:
        likeness = (
            f"the nearest known task has similarity {similarity.max():.2f}, below {model.floor:.2f}"
        )
    else:
        seen = f"the profile (tier {profile.tier})"
        if profile.tier == FACTS_ONLY:
            seen = "what facts of model and data tell (no training step was paid for)"
        likeness = (
            f"{seen} is most like "
            f"{model.names[int(similarity.argmax())]} (similarity {similarity.max():.2f} of 1)"
        )
    shares: Matrix | None = None
    pool: Sequence[Recipe] = known
    if goal.name == "fastest":
        level, words = wanted_level(goal, profile, loaded, similarity)
        # how soon a recipe is was seen of known ones alone; a shortened schedule is no sooner there
        pool = [recipe for recipe in known if recipe.horizon == 1.0] or known
        columns = recipe_matrix(pool)
        scores = score(pool, columns)
        times = load_times(loaded.folder, model)
        shares = times.predict(model, None if abstained else features, pool, level)
        if shares.min() > _LATE:
            order = [int(i) for i in scores.argsort(kind="stable")]
            how = (
                f"hardly any recipe is predicted to reach {words} within the budget: ranked by "
                "predicted regret (raise the target or the budget)"
            )
        else:
            order = order_by_seconds(pool, shares, loaded, prepared, profile)
            how = f"ranked by predicted seconds until {words}"
    elif abstained:
        portfolio = [model.recipes[i] for i in model.portfolio]
        pool = [recipe for recipe in portfolio if test.reason(recipe) is None] or known
        columns = recipe_matrix(pool)
        scores = score(pool, columns)
        order = list(range(len(pool)))
        how = "the portfolio that serves all known tasks best answers"
    else:
        near = load_pool(loaded.folder, model.recipes)
        pool, columns = near, near.columns
        scores = score(pool, columns)
        order = [int(i) for i in scores.argsort(kind="stable")]
        how = "ranked by predicted regret"
    serving = _distinct(order, pool, test, prepared.batch_size)
    if abstained and shares is None:  # a portfolio's entries complement each other as they are
        chosen = [i for i in serving if test.steps_once(pool[i])][:RANKED]
    else:
        chosen = model.short_list(serving, columns, RANKED, lambda i: test.steps_once(pool[i]))
    if not chosen:
        raise UserError(
            "a model that some optimizer can train",
            f"one on which none could step ({test.last_failure})", "check parameters and dtypes",
        )  # fmt: skip
    ranking = tuple(
        _candidate(
            pool[i], float(scores[i]), None if shares is None else float(shares[i]), loaded,
            similarity, profile, test, task,
        )
        for i in chosen
    )  # fmt: skip
    kept = tuple(float(scores[i]) for i in chosen)
    return Ranked(ranking, kept, abstained, f"{likeness}; {how}")


def _distinct(
    order: Iterable[int], pool: Sequence[Recipe], test: Applicable, batch_size: int
) -> Iterator[int]:
    """Those of an order that can serve; of two that are one at the task's batch size, the first."""
    seen: set[str] = set()
    for index in order:
        recipe = pool[index]
        if test.reason(recipe) is None:
            key = recipe.with_(batch_size=recipe.batch_size or batch_size).key
            if key not in seen:
                seen.add(key)
                yield index


def _candidate(
    recipe: Recipe, score: float, share: float | None, loaded: Loaded, similarity: Matrix,
    profile: Profile, test: Applicable, task: Task,
) -> Candidate:  # fmt: skip
    model, prepared = loaded.model, task.prepared
    per_pass = profile.seconds_per_pass
    ratio = loaded.step_ratio(recipe, prepared, profile)
    _, same = nearest_reference(model, recipe)
    lines = evidence(model, recipe, similarity, profile.values)
    if not same:
        lines = (*lines, _UNTRIED)
    return Candidate(
        recipe=recipe.with_(batch_size=recipe.batch_size or prepared.batch_size),
        expected=expected_of(model, score),
        cost=Cost(
            seconds_per_step=None if per_pass is None else per_pass * ratio,
            passes_per_step=recipe.passes_per_step,
            state_bytes=test.state_bytes(recipe),
            to_target=share,
            step_ratio=ratio,
        ),
        evidence=lines,
    )
