"""Evidence in words: what speaks for a recipe, from runs on similar tasks and from the probes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from advisor.features import Matrix, recipe_matrix, update_of
from advisor.meta_model import MetaModel
from knowledge_base.reference import COPIED
from probes.measures.landmark_run import LANDMARK
from probes.measures.races import RACERS
from probes.recipe.schema import Recipe

SIMILAR = 5
DIVERGED_LEAD = 2.5
"""A lead this far below zero, on the log scale, is told as having fallen far behind."""
_RACERS = {"matrices": "muon", "gradient": "momentum"}
"""The racer that stands for optimizers of one kind of update."""


def nearest_reference(model: MetaModel, recipe: Recipe) -> tuple[int, bool]:
    """Index of the reference recipe nearest to this one, and whether it is this one."""
    for index, known in enumerate(model.recipes):
        if known.key == recipe.key:
            return index, True
    standard = model.gaussian.recipe_standard
    here = standard(recipe_matrix([recipe]))[0]
    known_rows = standard(recipe_matrix(model.recipes))
    return int(((known_rows - here) ** 2).sum(1).argmin()), False


def evidence(
    model: MetaModel, recipe: Recipe, similarity: Matrix, values: Mapping[str, float]
) -> tuple[str, ...]:
    """Sentences that speak for (or against) a recipe.

    Args:
        model: The meta-model, with the runs it knows.
        recipe: The recipe.
        similarity: (T,) similarity of the task to the known ones.
        values: The profile's values.
    """
    order = similarity.argsort()[::-1][:SIMILAR]
    index, same = nearest_reference(model, recipe)
    mine = model.regrets[order, index]
    subject = "this recipe" if same else f"its nearest relative ({model.recipes[index].describe()})"
    names = ", ".join(model.names[i] for i in order)
    lines = [
        f"on the {len(order)} most similar known tasks ({names}) {subject} ended at a mean regret "
        f"of {mine.mean():.2f}" + _beside_copied(model, order)
    ]
    ranks = model.regrets[order].argsort(1).argsort(1)[:, index] + 1
    lines.append(
        f"there it ranked {', '.join(str(int(rank)) for rank in ranks)} of {len(model.recipes)}"
    )
    racer = _RACERS.get(update_of(recipe.optimizer.name))
    if racer and f"race.{racer}.lead" in values:
        lines.append(_race(racer, values[f"race.{racer}.lead"]))
    return tuple(lines)


def _race(racer: str, lead: float) -> str:
    """What a racer did beside the landmark, in words."""
    racing, landmark = RACERS[racer].describe(), LANDMARK.describe()
    if lead <= -DIVERGED_LEAD:
        return f"in a short race on your task {racing} diverged or fell far behind {landmark}"
    word = "lower" if lead > 0 else "higher"
    return (
        f"in a short race on your task {racing} had a training loss {word} by {abs(lead):.2f} on "
        f"the log scale than {landmark} after the same steps"
    )


def _beside_copied(model: MetaModel, order: NDArray[np.intp]) -> str:
    keys = [known.key for known in model.recipes]
    if COPIED.key not in keys:
        return ""
    column = keys.index(COPIED.key)
    return f" (AdamW 1e-3 cosine: {np.mean(model.regrets[order, column]):.2f})"
