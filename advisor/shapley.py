"""Shapley values by exact enumeration, and what feature groups add to a predicted regret.

The players are the groups of task features and of recipe features. A group outside a coalition
has the values of the background: the mean known task, and what people copy (AdamW 1e-3 cosine).
A mixed recipe is built as a recipe and scored by the whole meta-model, so features of a recipe on a
task (rate times sharpness, total decay) follow from the mixture as they would from any recipe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from advisor.feature_table import RECIPE_GROUPS, TASK_GROUPS, TASK_MEMBERS, TASK_UNITS
from advisor.features import Matrix
from advisor.meta_model import MetaModel, outcome_of
from knowledge_base.reference import COPIED
from probes.recipe import catalogue
from probes.recipe.schema import Recipe

Coalitions = NDArray[np.bool_]
GROUPS = (*TASK_GROUPS, *RECIPE_GROUPS)
"""The players: groups of task features, then groups of recipe features."""


def coalitions(players: int) -> Coalitions:
    """(2^n, n) all coalitions; row i holds player j where bit j of i is set."""
    numbers = np.arange(2**players)[:, None]
    members: Coalitions = (numbers >> np.arange(players)) & 1 == 1
    return members


def shapley_values(worth: Callable[[Coalitions], Matrix], players: int) -> Matrix:
    """Exact Shapley values (Shapley 1953; of predictions Lundberg & Lee 2017, equation 4).

    Args:
        worth: From (2^n, n) coalitions to their (2^n,) worth.
        players: n, at least 1; the cost is 2^n evaluations in one call.

    Returns:
        (n,) values; they sum to the worth of all players less that of none.
    """
    members = coalitions(players)
    found = worth(members)
    sizes = members.sum(1)
    share = np.asarray(
        [
            math.factorial(size) * math.factorial(players - size - 1) / math.factorial(players)
            for size in range(players)
        ]
    )
    values = np.zeros(players)
    for player in range(players):
        without = np.flatnonzero(~members[:, player])
        gains = found[without + 2**player] - found[without]
        values[player] = float((share[sizes[without]] * gains).sum())
    return values


def score_contributions(
    model: MetaModel, task: Mapping[str, float], recipe: Recipe
) -> tuple[dict[str, float], float, float]:
    """What each group of features adds to the predicted outcome, log(regret + OFFSET).

    Args:
        model: The meta-model.
        task: Features of the task by name; its steps and batch size are among them.
        recipe: The recipe; its batch size None where it takes the task's.

    Returns:
        Contributions by group on the outcome scale; the outcome predicted for the background; and
        that for the recipe on the task, which is the background's plus all contributions.
    """
    names = list(TASK_UNITS)
    typical = dict(zip(names, model.gaussian.task_standard.mean.tolist(), strict=True))
    task_players = len(TASK_GROUPS)
    halves = [coalitions(task_players), coalitions(len(RECIPE_GROUPS))]
    recipes = [mixed_recipe(recipe, COPIED, dict(zip(RECIPE_GROUPS, row, strict=True)))
               for row in halves[1].tolist()]  # fmt: skip
    table = np.empty((len(halves[0]), len(recipes)))
    for index, row in enumerate(halves[0].tolist()):
        mixed = dict(typical)
        for members, present in zip(TASK_MEMBERS.values(), row, strict=True):
            mixed |= {name: task[name] for name in members if present}
        steps = max(1, round(10 ** mixed["log_steps"]))
        batch_size = max(1, round(2 ** mixed["log_batch"]))
        table[index] = outcome_of(model.scores(mixed, recipes, steps, batch_size))

    def worth(members: Coalitions) -> Matrix:
        bits = 2 ** np.arange(members.shape[1])
        numbers = members @ bits
        worths: Matrix = table[numbers % len(table), numbers // len(table)]
        return worths

    values = shapley_values(worth, len(GROUPS))
    found = dict(zip(GROUPS, values.tolist(), strict=True))
    return found, float(table[0, 0]), float(table[-1, -1])


def mixed_recipe(recipe: Recipe, background: Recipe, present: Mapping[str, bool]) -> Recipe:
    """A recipe that has the groups present from one recipe and the others from the background.

    It need not be a recipe that could train (not all parts go together), only one that has
    features. The rate is carried as a multiple of the optimizer's default, as rates of different
    optimizers mean different things.
    """
    source = {name: recipe if present[name] else background for name in RECIPE_GROUPS}
    method, rated = source["method"].optimizer, source["rate"].optimizer
    kept = source["regularization"]
    rate = rated.number("lr")
    if rated.name != method.name:
        rate *= _default_rate(method.name) / _default_rate(rated.name)
    settings = {**method.settings, "lr": rate}
    decay = float(kept.optimizer.settings.get("weight_decay", 0.0))
    if decay or "weight_decay" in settings:
        settings["weight_decay"] = decay
    timed = source["schedule"]
    averaging = kept.averaging
    if averaging and "cycles" in catalogue.method("extra", averaging.name).needs:
        averaging = timed.averaging  # it counts the cycles of its own schedule
    return recipe.model_copy(
        update={
            "optimizer": method.model_copy(update={"settings": settings}),
            "schedule": timed.schedule, "horizon": timed.horizon, "batch_size": timed.batch_size,
            "clip": kept.clip, "regularization": kept.regularization,
            "normalization": kept.normalization, "averaging": averaging,
        }
    )  # fmt: skip


def _default_rate(optimizer: str) -> float:
    return float(catalogue.method("optimizer", optimizer).hyperparameters[0].default)
