"""What an ablation takes away: a probe, the right profile, or a part of the knowledge base."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from advisor.feature_table import MEASURED, TASK_MEMBERS, TASK_UNITS
from advisor.features import Matrix
from advisor.knowledge import Knowledge
from knowledge_base.tasks import TaskRow
from probes.measures.landmark_run import LANDMARK
from probes.measures.races import RACERS
from probes.recipe.schema import Recipe

FACTS = tuple(name for name in TASK_UNITS if name not in MEASURED)
PROBES: dict[str, tuple[str, ...]] = {
    "landmark course": ("loss_over_chance", *TASK_MEMBERS["course"]),
    "gradient noise scale": ("batch_over_noise",),
    "sharpness": ("sharpness", "sharpness_gradient"),
    "update ratio": ("update_over_weight",),
    "races": tuple(name for name in MEASURED if name.startswith("race_")),
    "range test": tuple(name for name in MEASURED if name.startswith("range_")),
    "facts": FACTS,
}
"""The task features that come from each probe; every feature from one."""
MEASUREMENTS = tuple(probe for probe in PROBES if probe != "facts")
"""The probes that train; facts are known without."""
SHARES = (8, 4, 2, 1)
"""The knowledge base is cut to one over these of its data sets."""
DRAWS = 3
"""Random orders of the data sets that each cut is drawn from."""


def masked(knowledge: Knowledge, features: Sequence[str]) -> Knowledge:
    """The knowledge base as if these task features had never been measured (NaN everywhere)."""
    table = knowledge.features.copy()
    table[:, :, [list(TASK_UNITS).index(name) for name in features]] = np.nan
    return replace(knowledge, features=table)


def was_measured(profile: Matrix, probes: Iterable[str]) -> bool:
    """Whether (..., p) task features have any value of these probes."""
    names = [name for probe in probes for name in PROBES[probe]]
    return bool(np.isfinite(profile[..., [list(TASK_UNITS).index(name) for name in names]]).any())


def strangers(rows: Sequence[TaskRow], draw: int, seed: int) -> list[int]:
    """For each task another one at random, of another leak group.

    Args:
        rows: The tasks, of two leak groups at least.
        draw: Which draw.
        seed: Of all draws.
    """
    random = np.random.default_rng([seed, draw])
    found = []
    for row in rows:
        strange = [i for i, other in enumerate(rows) if other.group != row.group]
        found.append(int(random.choice(strange)))
    return found


def data_set_order(rows: Sequence[TaskRow], draw: int, seed: int) -> list[str]:
    """The leak groups of the tasks in a random order."""
    groups = sorted({row.group for row in rows})
    return [groups[i] for i in np.random.default_rng([seed, draw]).permutation(len(groups))]


def cut(order: Sequence[str], share: int, without: str) -> list[str]:
    """The first leak groups of an order with one left out; a smaller cut lies in a larger one.

    Args:
        order: All groups.
        share: One over which of the remaining groups stays, rounded up.
        without: The group of the task asked about.
    """
    rest = [group for group in order if group != without]
    return rest[: math.ceil(len(rest) / share)]


def raced(task: Mapping[str, float], recipes: Sequence[Recipe]) -> list[int]:
    """Recipes by their short races alone, the best early training loss first.

    A racer stands for the plain recipe of its optimizer with the nearest learning rate and a
    cosine; the landmark run stands for its own, and comes before a racer that did no better. A
    profile whose tier pays for no race knows the landmark alone.

    Args:
        task: Task features.
        recipes: What is chosen among; one at least is a plain form of the landmark's optimizer.

    Returns:
        Positions in `recipes`, each once.
    """
    leads = {name: task[f"race_{name}"] for name in RACERS if math.isfinite(task[f"race_{name}"])}
    entries = [(0.0, LANDMARK), *((lead, RACERS[name]) for name, lead in leads.items())]
    entries.sort(key=lambda entry: -entry[0])  # stable: the landmark is first among equals
    found: dict[int, None] = {}
    for _, racer in entries:
        plain = [
            (abs(math.log(recipe.optimizer.number("lr") / racer.optimizer.number("lr"))), i)
            for i, recipe in enumerate(recipes)
            if recipe.optimizer.name == racer.optimizer.name and recipe == _plain(recipe)
        ]
        if plain:
            found[min(plain)[1]] = None
    return list(found)


def _plain(recipe: Recipe) -> Recipe:
    """An optimizer at that rate with a cosine and nothing else."""
    rate = recipe.optimizer.number("lr")
    return Recipe.parse(
        {"optimizer": {"name": recipe.optimizer.name, "lr": rate}, "schedule": "cosine"}
    )
