"""One race: a training with its schedule compressed, what it costs and what it told.

It is charged with its steps and with the validations before and after it. Those that a recipe makes
by itself, to stop early or to lower its rate, are part of it and not counted, just as they are not
in the one full training of which a budget is a share.
"""

from __future__ import annotations

import math
import time
import traceback
from dataclasses import dataclass

from advisor.advice import Candidate
from advisor.budget import Budget
from probes.errors import UserError
from probes.profile import Profile
from probes.recipe.schema import Recipe
from probes.task import Task
from probes.training import train

SHARE = 0.25
"""Share of a recipe's own horizon over which it races."""


@dataclass(frozen=True)
class Left:
    """What is left of a budget, or what a race takes of it.

    Attributes:
        passes: Passes; infinite where the budget has no such limit.
        seconds: Wall time, likewise.
    """

    passes: float = math.inf
    seconds: float = math.inf

    @classmethod
    def of(cls, limit: Budget, steps: int, spent: float, begin: float) -> Left:
        """After ``spent`` passes of a budget that began at a ``time.perf_counter()``."""
        if limit.share is not None:
            return cls(passes=limit.share * steps - spent)
        assert limit.seconds is not None  # noqa: S101 - a budget is one of the two
        return cls(seconds=limit.seconds - (time.perf_counter() - begin))

    def pays(self, *costs: Left) -> bool:
        """Whether it pays for all of these."""
        return (
            sum(cost.passes for cost in costs) <= self.passes
            and sum(cost.seconds for cost in costs) <= self.seconds
        )

    def less(self, cost: Left) -> Left:
        """What is left after a cost."""
        return Left(self.passes - cost.passes, self.seconds - cost.seconds)


@dataclass(frozen=True)
class Race:
    """What a race told.

    Attributes:
        initial: Validation loss before it, NaN where it failed.
        loss: Validation loss at its end; infinite where it diverged or failed.
        passes: Passes it cost; all that it may cost where it failed.
        seconds: Wall time.
        error: Why it failed, in words; empty where it did not.
    """

    initial: float
    loss: float
    passes: float
    seconds: float
    error: str = ""


def validation_passes(task: Task) -> float:
    """Passes of one validation: forwards, a third each."""
    return len(task.prepared.validation) / task.prepared.batch_size / 3.0


def _shortened(recipe: Recipe, share: float = SHARE) -> Recipe:
    return recipe.with_(horizon=share * recipe.horizon)


def price_of(task: Task, entrant: Candidate, profile: Profile) -> Left:
    """Passes that a race costs at most, and seconds as predicted."""
    prepared, recipe = task.prepared, _shortened(entrant.recipe)
    steps = recipe.steps_for(prepared.steps, prepared.batch_size)
    size = recipe.batch_size or prepared.batch_size
    validated = 2 * validation_passes(task)
    a_step, a_pass = entrant.cost.seconds_per_step, profile.seconds_per_pass
    untimed = a_step is None or a_pass is None
    return Left(
        passes=steps * size * recipe.passes_per_step / prepared.batch_size + validated,
        seconds=math.inf if untimed else steps * (a_step or 0.0) + validated * (a_pass or 0.0),
    )


def run_race(
    task: Task, recipe: Recipe, price: float, seed: int, device: str, share: float = SHARE
) -> Race:
    """One race; what is wrong with a recipe on this task costs the race, not the answer."""
    begin = time.perf_counter()
    try:
        run = train(
            task, _shortened(recipe, share), seed=seed, device=device, points=0,
            evaluate="validation",
        )  # fmt: skip
    except (UserError, RuntimeError) as error:
        traceback.clear_frames(error.__traceback__)  # they hold the model, and its memory
        said = next(iter(str(error).splitlines()), type(error).__name__)
        return Race(math.nan, math.inf, price, time.perf_counter() - begin, said)
    loss = run.final["loss"]
    return Race(
        initial=run.initial["loss"],
        loss=math.inf if run.diverged or not math.isfinite(loss) else loss,
        passes=run.passes + 2 * validation_passes(task),
        seconds=time.perf_counter() - begin,
    )
