"""``refine``: an Optuna search that goes on from the ranking, and a fair choice at its end."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.advice import Advice
from advisor.answer import live_facts
from advisor.candidates import Applicable
from advisor.curves import load_allowance
from advisor.memory import parse_memory
from advisor.refine_finals import Entry, run_finals, unused_seeds
from advisor.refine_objective import DIVERGED
from advisor.refine_search import Search
from advisor.refine_space import Neighbourhood
from advisor.refine_study import (
    enqueue_ranking,
    fail_stale,
    of_states,
    open_study,
    quiet,
    study_name,
)
from advisor.refine_target import goal_of, objective_of
from advisor.refine_task import check_same_task
from advisor.shipped import models_folder
from advisor.tuned import Tuned
from probes.counts import seed_number
from probes.device import resolve_device
from probes.errors import UserError
from probes.recipe.schema import Recipe
from probes.sandbox import sandbox
from probes.task import Task

if TYPE_CHECKING:
    from optuna import Study

RANKED = 5
"""Entries of the ranking that are tried as they are, and whose neighbourhood is searched."""
MIN_GAIN = 0.001
"""Expected relative fall of the loss, or of the time to the target, below which one more trial is
not worth it."""


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
    min_gain: float = MIN_GAIN,
    models: str | Path | None = None,
    max_memory: int | str | None = None,
) -> Tuned:
    """Search on from a ranking with Optuna, then compare what it found with the ranking's first.

    The first five recipes of the ranking are tried as they are. Up to the tenth trial follow moves
    from the best recipe so far, one setting changed at a time (``advisor.refine_moves``); later
    every second trial has the largest expected improvement (Jones et al. 1998) among the rest of
    the ranking and neighbours of the best three, and the others are drawn by TPE around the ranking
    (Bergstra et al. 2011; multivariate: Falkner et al. 2018). Each trial is a training with the
    same seed, ended early where it lies further behind the best than the curves of the knowledge
    base allow one that would win (``advisor.curves``). The best trials and the ranking's first
    recipe are then trained on seeds the search has not seen, and the best median of their final
    validation losses wins, so that one lucky run is not enough.

    Where the advice was asked with goal "fastest", all of this goes by the time to its target
    (``advisor.refine_objective.TimeToTarget``): the least median time wins, and a run ends where it
    reaches the target or has taken twice as long as the best. Without a target of the user's, one
    more training by AdamW 1e-3 cosine sets it.

    What holds: over the fresh seeds compared, the answer's median validation loss (or time to the
    target) is not above that of the ranking's first recipe. On other seeds or on test data it may
    be. Where a timeout leaves little time, fewer seeds are compared than asked for, or the
    ranking's first is trained alone and is the answer.

    Args:
        advice: What ``recommend`` answered.
        task: The task it is for; trained on copies.
        trials: Trials that this call adds at most, pruned and diverged ones included.
        timeout: Seconds for everything, kept within about one training (two where the target has
            to be measured); None for no limit.
        storage: Where trials are kept so that a later call goes on: a database URL as Optuna
            takes it ("sqlite:///trials.db"), or a path to a journal file; None for nowhere.
        seed: Seeds the search and its trainings; the same seed gives the same answer.
        progress: Whether a line for each training is written to stderr.
        device: "auto", "cpu", "cuda", ...; None for where the advice was made, or "auto" where
            this machine has no such device.
        finalists: Distinct recipes of the search that are trained again.
        fresh_seeds: Seeds for each of them.
        min_gain: No further trial is run once one more is expected to lower the best loss (or
            time) by less than this share of it; never before ten trials of the study. 0 runs all.
        models: Folder of what was fitted on the knowledge base; None for the one that the advice
            rests on, or the shipped one where it was read from a file. The rule by which trials
            are ended early is read from there, and what steps take.
        max_memory: What a recipe may take, as ``recommend`` has it; None for the limit that the
            advice was made with. Nothing that exceeds it is trained: entries of the ranking that
            do are left out.

    Returns:
        The finalists, best first, and what they cost.

    Raises:
        UserError: The advice was made for another task, a number is out of range, the device is
            not there, the storage cannot be opened, no recipe can serve the task, AdamW 1e-3
            cosine cannot set a target on it, or nothing keeps to the limit of memory.
        RuntimeError: Every training failed with one.
    """
    _check(trials, timeout, finalists, fresh_seeds, min_gain)
    seed = seed_number(seed)
    if not isinstance(task, Task):
        raise UserError(
            "the Task that the advice is for", type(task).__name__, "wrap it: Task(model, data)"
        )
    begin = time.monotonic()
    deadline = None if timeout is None else begin + timeout
    memory = advice.max_memory if max_memory is None else parse_memory(max_memory)
    if not advice.ranking:
        raise UserError("advice with a ranking", "an empty one", "run recommend again")
    prepared = task.prepared
    where, goal = _device(device, advice.task.device), goal_of(advice)
    check_same_task(advice, task, where)
    folder = models_folder(advice.models if models is None else models)
    with sandbox(task.train, task.validation, task.test):  # a model is made
        test = Applicable(task, memory)
    recipes = _within(advice, test)
    top = recipes[:RANKED]
    with quiet():
        name = study_name(
            task, advice.task, goal, device=where, models=folder, max_memory=memory
        )  # fmt: skip
        study = open_study(storage, name, seed, load_allowance(folder))
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
        objective, origin, spent = objective_of(
            advice, task, study, test, seed=seed, device=where, models=folder, say=say
        )
        search = Search(
            study, space, task, test, further=recipes[RANKED:], seed=seed, device=where,
            min_gain=min_gain, objective=objective, say=say,
        )  # fmt: skip
        search.run(trials, begin, timeout, final_runs)
        entries = _entries(study, recipes, finalists)
        used = [trial.user_attrs.get("seed") for trial in study.get_trials(deepcopy=False)]
        finished, pruned = of_states(study, "COMPLETE", "PRUNED"), of_states(study, "PRUNED")
    ranking, passes = run_finals(
        entries, task, unused_seeds(seed, used, fresh_seeds), device=where, deadline=deadline,
        say=say, objective=objective,
    )  # fmt: skip
    return Tuned(
        task=live_facts(task, where), ranking=ranking, trials=len(finished), pruned=len(pruned),
        passes=spent + search.passes + passes, seconds=time.monotonic() - begin,
        expected_gain=search.gain, stopped=search.stopped, goal=objective.goal.name,
        target=objective.goal.target, target_origin=origin, max_memory=memory,
    )  # fmt: skip


def _within(advice: Advice, test: Applicable) -> tuple[Recipe, ...]:
    """The ranking without what exceeds the limit of memory."""
    recipes = [candidate.recipe for candidate in advice.ranking]
    kept = tuple(recipe for recipe in recipes if test.too_large(recipe) is None)
    if not kept:
        raise UserError(
            "a max_memory that a recipe of the ranking keeps to",
            f"one below: the first {test.too_large(recipes[0])}",
            "raise it, or run recommend with this limit",
        )  # fmt: skip
    return kept


def _entries(study: Study, ranking: tuple[Recipe, ...], finalists: int) -> list[Entry]:
    """The ranking's first recipe, then the best distinct ones of the trials."""
    ranks = {recipe.key: rank for rank, recipe in reversed(list(enumerate(ranking, start=1)))}
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
    first = Entry(ranking[0], "ranking 1")
    if not good:
        why = "every trial diverged or failed" if completed else "no trial was finished in time"
        first = Entry(ranking[0], f"ranking 1, as {why}")
    best.pop(ranking[0].key, None)
    return [first, *best.values()]


def _device(chosen: str | None, advised: str) -> str:
    if chosen is not None:
        return resolve_device(chosen)
    try:
        return resolve_device(advised)
    except UserError:  # the advice comes from another machine
        return resolve_device("auto")


def _check(
    trials: int, timeout: float | None, finalists: int, fresh_seeds: int, min_gain: float
) -> None:
    for name, value in (
        ("trials", trials), ("finalists", finalists), ("fresh_seeds", fresh_seeds),
    ):  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UserError(f"{name} as a whole number above 0", repr(value), f"change {name}")
    if (
        isinstance(min_gain, bool)
        or not isinstance(min_gain, (int, float))
        or not 0 <= min_gain < 1
    ):
        raise UserError("min_gain from 0 up to 1", repr(min_gain), "change min_gain; 0 never stops")
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
        raise UserError("a timeout in seconds above 0, or None", repr(timeout), "change timeout")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _silent(_: str) -> None:
    """Takes the place of ``_say`` where no progress is wanted."""
