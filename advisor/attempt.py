"""One training of a refinement, whose error costs that run and not the search."""

from __future__ import annotations

import traceback

from probes.errors import UserError
from probes.recipe.schema import Recipe
from probes.run import Run
from probes.task import Task
from probes.training import Watcher, train


def try_training(
    task: Task, recipe: Recipe, *, seed: int, device: str, watcher: Watcher
) -> Run | UserError | RuntimeError:
    """Train once; an error that costs a run but not the search comes back in the run's place.

    That is a recipe that cannot serve the task, and what PyTorch raises during a run, out of memory
    included. Anything else is raised.
    """
    try:
        return train(task, recipe, seed=seed, device=device, evaluate="validation", watcher=watcher)
    except (UserError, RuntimeError) as error:
        traceback.clear_frames(error.__traceback__)  # they hold the model, and its memory
        return error
