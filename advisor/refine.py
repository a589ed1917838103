"""``refine``: an Optuna search that goes on from the ranking, and a fair choice at its end."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.advice import Advice, Tuned
from advisor.pruning import TrialWatcher, out_of_time
from advisor.refine_finals import (
    DIVERGED,
    Entry,
    final_loss,
    run_finals,
    shown,
    try_training,
    unused_seeds,
)
from advisor.refine_space import Neighbourhood
from advisor.refine_study import (
    claim,
    enqueue_ranking,
    fail_stale,
    named,
    of_states,
    open_study,
    quiet,
    study_name,
)
from advisor.refine_task import check_same_task, live_facts
from probes.device import resolve_device
from probes.errors import UserError
from probes.recipe.schema import Recipe
from probes.run import Run
from probes.task import Task

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial

RANKED = 5
"""Entries of the ranking that are tried as they are, and whose neighbourhood is searched."""
_FINALS_SHARE = 0.5
"""Largest part of a timeout that is kept back for the finals."""


def refine(
    advice: Advice,
    task: Task,
    *,
    trials: int = 25,
    timeout: float | None = None,
    storage: str | Path | None = None,
    seed: int = 0,
    progress: bool = False,
    device: str | None = None,
    finalists: int = 3,
    fresh_seeds: int = 3,
) -> Tuned:
    """Search on from a ranking with Optuna, then compare what it found with the ranking's first.

    The first five recipes of the ranking are tried as they are, then TPE searches around them
    (Bergstra et al. 2011; multivariate: Falkner et al. 2018), each trial a training with the same
    seed, ended early where it is worse than the median (Golovin et al. 2017). The best trials and
    the ranking's first recipe are then trained on seeds the search has not seen, and the best
    median of their final validation losses wins, so that one lucky run is not enough.

    What holds: over the fresh seeds compared, the answer's median validation loss is not above that
    of the ranking's first recipe. On other seeds or on test data it may be. Where a timeout leaves
    little time, fewer seeds are compared than asked for, or the ranking's first is trained alone
    and is the answer.

    Args:
        advice: What ``recommend`` answered.
        task: The task it is for; trained on copies.
        trials: Trials that this call adds, pruned and diverged ones included.
        timeout: Seconds for everything, kept within about one training; None for no limit.
        storage: Where trials are kept so that a later call goes on: a database URL as Optuna
            takes it ("sqlite:///trials.db"), or a path to a journal file; None for nowhere.
        seed: Seeds the search and its trainings; the same seed gives the same answer.
        progress: Whether a line for each training is written to stderr.
        device: "auto", "cpu", "cuda", ...; None for where the advice was made, or "auto" where
            this machine has no such device.
        finalists: Distinct recipes of the search that are trained again.
        fresh_seeds: Seeds for each of them.

    Returns:
        The finalists, best first, and what they cost.

    Raises:
        UserError: The advice was made for another task, a number is out of range, the device is
            not there, the storage cannot be opened, or no recipe can serve the task.
        RuntimeError: Every training failed with one.
    """
    _check(trials, timeout, finalists, fresh_seeds)
    begin = time.monotonic()
    deadline = None if timeout is None else begin + timeout
    top = tuple(candidate.recipe for candidate in advice.ranking[:RANKED])
    if not top:
        raise UserError("advice with a ranking", "an empty one", "run recommend again")
    prepared = task.prepared
    check_same_task(advice.task, task)
    where = _device(device, advice.task.device)
    with quiet():
        study = open_study(storage, study_name(task, advice.task), seed)
        # a study goes on in the space it began with, also when new probes ranked otherwise
        if "ranking" not in study.user_attrs:
            study.set_user_attr("ranking", [recipe.plain() for recipe in top])
        began = [Recipe.parse(plain) for plain in study.user_attrs["ranking"]]
        space = Neighbourhood(began, prepared.objective.cross_entropy)
        fail_stale(study)
        enqueue_ranking(study, space, top)
        final_runs = (finalists + 1) * fresh_seeds
        say = _say if progress else _silent
        say(
            f"{trials} trials, the ranking's own recipes first, then at most {final_runs} final "
            f"trainings ({finalists + 1} recipes on {fresh_seeds} fresh seeds)"
        )
        search = _Search(study, space, task, seed, where, progress)
        search.run(trials, begin, timeout, final_runs)
        entries = _entries(study, top, finalists)
        used = [trial.user_attrs.get("seed") for trial in study.get_trials(deepcopy=False)]
        finished, pruned = of_states(study, "COMPLETE", "PRUNED"), of_states(study, "PRUNED")
    ranking, passes = run_finals(
        entries, task, unused_seeds(seed, used, fresh_seeds), device=where, deadline=deadline,
        say=say,
    )  # fmt: skip
    return Tuned(
        task=live_facts(task, where), ranking=ranking, trials=len(finished), pruned=len(pruned),
        passes=search.passes + passes, seconds=time.monotonic() - begin,
    )  # fmt: skip


class _Search:
    """Asks the study for recipes, trains them and tells it what came out."""

    def __init__(
        self, study: Study, space: Neighbourhood, task: Task, seed: int, device: str, progress: bool
    ) -> None:
        self._study, self._space, self._task = study, space, task
        self._seed, self._device = seed, device
        self._say = _say if progress else _silent
        self.passes = 0.0

    def run(self, trials: int, begin: float, timeout: float | None, final_runs: int) -> None:
        """Run so many trials, or as many as leave time for so many final runs."""
        done = 0
        while done < trials:
            limit = self._limit(begin, timeout, final_runs)
            if out_of_time(limit):
                self._say("the time for trials is up")
                return
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
            self._say(f"trial {done}/{trials}: {verdict}; {self._recipe_of(trial).describe()}")

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
        prepared = self._task.prepared
        watcher = TrialWatcher(
            trial, recipe.steps_for(prepared.steps, prepared.batch_size),
            prunable="rank" not in trial.user_attrs, deadline=limit,
        )  # fmt: skip
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
            self._study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
            return "pruned"
        self._study.tell(trial, final_loss(run), skip_if_finished=True)
        return shown(final_loss(run))

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
    def _recipe_of(trial: Trial) -> Recipe:
        return Recipe.parse(trial.user_attrs["recipe"]["plain"])

    def _cut(self, trial: Trial) -> None:
        from optuna.trial import TrialState

        trial.set_user_attr("cut", True)
        self._study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)


def _entries(study: Study, top: tuple[Recipe, ...], finalists: int) -> list[Entry]:
    """The ranking's first recipe, then the best distinct ones of the trials."""
    ranks = {recipe.key: rank for rank, recipe in reversed(list(enumerate(top, start=1)))}
    completed = of_states(study, "COMPLETE")
    good = sorted(
        (trial.value, trial.number, trial.user_attrs["recipe"])
        for trial in completed
        if trial.value is not None and trial.value < DIVERGED and "recipe" in trial.user_attrs
    )
    best: dict[str, Entry] = {}
    for _, number, recipe in good:
        if recipe["key"] not in best and len(best) < finalists:
            rank = ranks.get(recipe["key"])
            origin = f"trial {number}" if rank is None else f"ranking {rank}"
            best[recipe["key"]] = Entry(Recipe.parse(recipe["plain"]), origin)
    first = Entry(top[0], "ranking 1")
    if not good:
        why = "every trial diverged or failed" if completed else "no trial was finished in time"
        first = Entry(top[0], f"ranking 1, as {why}")
    best.pop(top[0].key, None)
    return [first, *best.values()]


def _device(chosen: str | None, advised: str) -> str:
    if chosen is not None:
        return resolve_device(chosen)
    try:
        return resolve_device(advised)
    except UserError:  # the advice comes from another machine
        return resolve_device("auto")


def _check(trials: int, timeout: float | None, finalists: int, fresh_seeds: int) -> None:
    for name, value in (
        ("trials", trials), ("finalists", finalists), ("fresh_seeds", fresh_seeds),
    ):  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UserError(f"{name} as a whole number above 0", repr(value), f"change {name}")
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
        raise UserError("a timeout in seconds above 0, or None", repr(timeout), "change timeout")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _silent(_: str) -> None:
    """Takes the place of ``_say`` where no progress is wanted."""
