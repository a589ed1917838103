"""What a pass by a recipe takes over one by AdamW: what goal "fastest" ranks and refines by.

The ratio is predicted from runs of the knowledge base or the table of prices. Seconds of a pass
that a probe measured on the task would raise all recipes' times alike: they are told in an answer's
cost where there are some, and change no order. With goal "fastest" no probe is run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from advisor.features import Matrix
from advisor.shipped import Loaded
from probes.profile import Profile
from probes.recipe.schema import Recipe
from probes.task import Prepared


def order_by_seconds(
    recipes: Sequence[Recipe], shares: Matrix, loaded: Loaded, prepared: Prepared, profile: Profile
) -> list[int]:
    """The order of recipes by predicted time to the target over AdamW's pass, soonest first.

    Args:
        recipes: The recipes.
        shares: (n,) predicted shares of the budget's passes until the target.
        loaded: Knows what an optimizer's step costs.
        prepared: The task.
        profile: Of the task: the model and the device.
    """
    seconds = [
        share * seconds_a_pass(recipe, loaded, prepared, profile)
        for share, recipe in zip(shares, recipes, strict=True)
    ]
    return [int(i) for i in np.argsort(seconds, kind="stable")]


def seconds_a_pass(recipe: Recipe, loaded: Loaded, prepared: Prepared, profile: Profile) -> float:
    """Predicted wall time of a pass by a recipe over that of one by AdamW.

    A pass is one over a batch of the task's size: what a step costs is shared among its passes and
    its samples. A step by a smaller batch counts as long as one by the task's own. How much sooner
    it is done, if at all, depends on the machine, and what is not known may not look like speed:
    otherwise halving the batch would always win.

    Args:
        recipe: The recipe.
        loaded: Knows what an optimizer's step costs.
        prepared: The task.
        profile: Of the task: the model and the device.
    """
    size = (recipe.batch_size or prepared.batch_size) / prepared.batch_size
    a_step = loaded.step_ratio(recipe, prepared, profile) * max(1.0 / size, 1.0)
    return a_step / (recipe.passes_per_step * size)
