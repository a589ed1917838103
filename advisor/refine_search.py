"""The search of a refinement: asks for recipes, trains them, and ends in time or without gain."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from advisor.attempt import try_training
from advisor.candidates import Applicable
from advisor.expected_gain import expected_gains
from advisor.pruning import TrialWatcher, out_of_time
from advisor.refine_moves import moves, next_move
from advisor.refine_objective import DIVERGED, EndResult, Objective
from advisor.refine_space import Neighbourhood
from advisor.refine_study import claim, named, of_states
from probes.errors import UserError
from probes.recipe.schema import Recipe
from probes.run import Run
from probes.task import Task

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

MOVES = 10
"""Trials of a study up to which, after the ranking's own, moves from the best are made in order. Of
those that come later every second one goes by expected gain and the others to the sampler, which
also finds what differs in much."""
CENTRES = 3
"""Best recipes whose neighbours expected gain looks at: the first may owe its place to luck."""
_LEAST = "least"
_FINALS_SHARE = 0.5
"""Largest part of a timeout that is kept back for the finals."""


class Search:
    """A study at work on a task.

    Args:
        study: Where trials are kept; what is queued there is tried first.
        space: What its sampler draws from.
        task: Trained on copies.
        applicable: Which recipes can serve the task, within the limit of memory.
        further: Recipes that may be tried beside neighbours of the best: the ranking's rest.
        seed: Of the trainings.
        device: "cpu", "cuda", ...
        min_gain: Expected relative fall of the value below which no further trial is run, after
            the first ``MOVES``: what a few trials tell of one more is too little to end by.
        objective: How runs are valued; None for their final validation loss.
        say: Told of each trial.

    Attributes:
        passes: Spent so far.
        gain: Expected relative fall of the best value by one more trial; None while too few trials
            have finished to tell.
        stopped: Why it ended before all its trials, in words; empty where it did not.
    """

    def __init__(
        self,
        study: Study,
        space: Neighbourhood,
        task: Task,
        applicable: Applicable,
        *,
        further: Sequence[Recipe] = (),
        seed: int = 0,
        device: str = "cpu",
        min_gain: float = 0.0,
        objective: Objective | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._study, self._space, self._task, self._further = study, space, task, further
        self._applicable = applicable
        self._seed, self._device, self._min_gain, self._say = seed, device, min_gain, say
        self._objective = objective or EndResult()
        self.passes = 0.0
        self.gain: float | None = None
        self.stopped = ""
        self._promising: Recipe | None = None

    def run(self, trials: int, begin: float, timeout: float | None, final_runs: int) -> None:
        """Run so many trials, or as many as leave time for so many final runs."""
        done = 0
        self._look()
        while done < trials:
            limit = self._limit(begin, timeout, final_runs)
            if out_of_time(limit):
                self.stopped = "the time for trials is up"
                break
            if not of_states(self._study, "WAITING"):
                if self.gain is not None and self._count() >= MOVES and self.gain < self._min_gain:
                    noun = self._objective.noun
                    self.stopped = f"one more trial is expected to lower {noun} by {self._told()}"
                    break
                self._queue_next()
            trial = self._study.ask()
            if not claim(self._study, trial):
                continue
            try:
                trial.set_user_attr("seed", self._seed)
                verdict = self._try(trial, limit)
            except BaseException:
                self._cut(trial)
                raise
            done += verdict != "cut short"
            line = f"trial {done}/{trials}: {verdict}; {self._recipe_of(trial).describe()}"
            self._look()
            more = "" if self.gain is None else f"; expected of one more: {self._told()} lower"
            self._say(line + more)
        if self.stopped:
            self._say(f"stopped: {self.stopped}")

    def _count(self) -> int:
        """Trials of the study that were run."""
        return len(of_states(self._study, "COMPLETE", "PRUNED"))

    def _told(self) -> str:
        """The gain for people."""
        return f"{100 * (self.gain or 0.0):.2g} %"

    def _queue_next(self) -> None:
        """Queue a move from the best, or what promises most, unless it is the sampler's turn."""
        count = self._count()
        chosen, move = None, None
        if count < MOVES:
            chosen, move = self._move()
        elif count % 2 == 0:
            chosen = self._promising
        if chosen is not None:
            self._study.enqueue_trial(
                self._space.nearest(chosen) or {},
                user_attrs={"exact": True, "recipe": named(chosen), "move": move},
            )

    def _move(self) -> tuple[Recipe | None, str | None]:
        """The next neighbour of the best finished recipe, and what is changed."""
        best, failed = None, Counter[str]()
        lowest = DIVERGED
        for trial in of_states(self._study, "COMPLETE", "PRUNED"):
            loss = DIVERGED if trial.state.name == "PRUNED" else trial.value
            if loss is not None and loss < lowest and "recipe" in trial.user_attrs:
                best, lowest = self._recipe_of(trial), loss
            elif move := trial.user_attrs.get("move"):
                failed[move] += 1
        if best is None:
            return None, None
        near = self._near(best)
        move = next_move(near, self._known(), failed)
        return (None, None) if move is None else (near[move], move)

    def _near(self, recipe: Recipe) -> dict[str, Recipe]:
        """The recipe's neighbours that the task can use."""
        return {
            name: one
            for name, one in moves(recipe, self._task.prepared.batch_size).items()
            if self._applicable.reason(one) is None and self._may_help(recipe, one)
        }

    def _may_help(self, recipe: Recipe, changed: Recipe) -> bool:
        """Whether a change is worth a trial: early stopping is where the end counts."""
        stops = changed.regularization.early_stopping is not None
        added = stops and recipe.regularization.early_stopping is None
        return self._objective.stopping_helps or not added

    def _known(self) -> set[str]:
        """Keys of the recipes that were tried or are under way."""
        trials = self._study.get_trials(deepcopy=False)
        return {one.user_attrs["recipe"]["key"] for one in trials if "recipe" in one.user_attrs}

    def _look(self) -> None:
        """Find the recipe with the largest expected gain, and that gain."""
        heard = [(one, _value(one)) for one in of_states(self._study, "COMPLETE", "PRUNED")]
        done = [(one, loss) for one, loss in heard if loss is not None]
        tried = [self._recipe_of(one) for one, _ in done]
        losses = [loss for _, loss in done]
        best = sorted(
            (loss, place)
            for place, (one, loss) in enumerate(done)
            if one.state.name == "COMPLETE" and math.isfinite(loss)
        )[:CENTRES]
        known = self._known()
        near = [one for _, place in best for one in self._near(tried[place]).values()]
        offered = {one.key: one for one in (*near, *self._further) if one.key not in known}
        recipes = list(offered.values())
        gains = expected_gains(tried, losses, recipes)
        self.gain = None if gains is None else float(gains.max())
        self._promising = None if gains is None else recipes[int(gains.argmax())]

    def _limit(self, begin: float, timeout: float | None, final_runs: int) -> float | None:
        """When trials end, as a value of ``time.monotonic()``: the finals need time as well."""
        if timeout is None:
            return None
        seconds = [
            trial.duration.total_seconds()
            for trial in of_states(self._study, "COMPLETE")
            if trial.duration is not None
            and "error" not in trial.user_attrs  # what failed says nothing about a training's time
        ]
        reserve = timeout * _FINALS_SHARE
        if seconds:
            reserve = min(reserve, final_runs * sum(seconds) / len(seconds))
        return begin + timeout - reserve

    def _try(self, trial: Trial, limit: float | None) -> str:
        """Train one trial's recipe; returns in words what came of it."""
        from optuna.trial import TrialState

        recipe = self._recipe(trial)
        prepared, objective = self._task.prepared, self._objective
        best = self._best()
        watcher = TrialWatcher(
            trial, recipe.steps_for(prepared.steps, prepared.batch_size),
            prunable="rank" not in trial.user_attrs, deadline=limit, objective=objective,
            hopeless=lambda step: objective.hopeless(recipe, step, best),
        )  # fmt: skip
        run: Run | UserError | RuntimeError
        # the sampler may take an ensemble from one entry and more of its cycles from another
        if large := self._applicable.too_large(recipe):
            run = UserError("a recipe within max_memory", f"one that {large}", "raise it")
        else:
            run = try_training(
                self._task, recipe, seed=self._seed, device=self._device, watcher=watcher
            )
        if not isinstance(run, Run):
            # as bad as diverged, so that the sampler turns away from it; it counts as a trial
            trial.set_user_attr("error", str(run))
            self._study.tell(trial, DIVERGED, skip_if_finished=True)
            return f"failed ({run})"
        self.passes += run.passes
        trial.set_user_attr("passes", run.passes)
        if watcher.late:
            self._cut(trial)
            return "cut short"
        if watcher.pruned:
            trial.set_user_attr(_LEAST, objective.least(recipe, run.steps))
            self._study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
            return "pruned"
        value = objective.judge(run, recipe).value
        self._study.tell(trial, value, skip_if_finished=True)
        return objective.shown(value)

    def _best(self) -> float:
        """The least value so far."""
        done = of_states(self._study, "COMPLETE")
        return min((one.value for one in done if one.value is not None), default=DIVERGED)

    def _recipe(self, trial: Trial) -> Recipe:
        """The recipe of a trial: as enqueued, or what its parameters stand for."""
        if not trial.user_attrs.get("exact", False):
            recipe = self._space.suggest(trial)
            trial.set_user_attr("recipe", named(recipe))
            return recipe
        recipe = self._recipe_of(trial)
        if self._space.nearest(recipe) is not None:
            self._space.suggest(trial)  # the sampler learns from the nearest point of the space
        return recipe

    @staticmethod
    def _recipe_of(trial: Trial | FrozenTrial) -> Recipe:
        return Recipe.parse(trial.user_attrs["recipe"]["plain"])

    def _cut(self, trial: Trial) -> None:
        from optuna.trial import TrialState

        trial.set_user_attr("cut", True)
        self._study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)


def _value(trial: FrozenTrial) -> float | None:
    """What a trial says of its recipe's value: infinite where it diverged or failed.

    A pruned trial's is what it had reached: more than it would have ended at, and far behind the
    best nevertheless; of a time, how long it had taken. None where nothing is known.
    """
    if "recipe" not in trial.user_attrs:
        return None
    value = trial.value if trial.value is not None else trial.user_attrs.get(_LEAST)
    if value is None and trial.last_step is not None:
        value = trial.intermediate_values[trial.last_step]
    return math.inf if value is not None and value >= DIVERGED else value
