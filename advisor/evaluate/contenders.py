"""Who takes part in the live evaluation: a table, and what each one does on a task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from typing import Literal

from advisor.evaluate.contest import Ask, Entry, Play, Standing, Tracker
from advisor.evaluate.fixed_guesses import FIXED_GUESSES
from advisor.evaluate.peers import FLAML, SYNE_TUNE, PeerSearch, blend_search, conformal
from advisor.evaluate.results import LiveTask
from advisor.evaluate.searches import (
    Search,
    gaussian_process,
    quasi_random,
    search_seed,
    tpe,
    uniform,
)
from advisor.evaluate.spaces import EXPERT
from probes.recipe.schema import Recipe
from probes.recipe.space import FULL, Space

LISTED = 10
"""Entries of a ranking or a list that are tried."""
Need = Literal["advice", "fastest", "refine", "rate", "portfolio", "opt_list", "transfer"]


@dataclass(frozen=True)
class Prepared:
    """Recipes that were chosen before the contest, and what choosing them cost.

    Attributes:
        recipes: In order of use.
        passes: Passes spent on choosing, in batches.
        runs: Full trainings they were chosen by.
        seconds: Wall time spent on choosing; NaN where it is not known.
    """

    recipes: tuple[Recipe, ...]
    passes: float = 0.0
    runs: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Setting:
    """A contender's view of a task.

    Attributes:
        task: The task.
        cross_entropy: Whether its loss is one.
        trials: Trainings of a cold search.
        seed: Of the evaluation.
        prepared: What was chosen before the contest, by what it is.
    """

    task: LiveTask
    cross_entropy: bool
    trials: int
    seed: int
    prepared: dict[Need, Prepared] = field(default_factory=dict)


@dataclass(frozen=True)
class Contender:
    """One way of choosing a recipe.

    Attributes:
        name: Its name in the results.
        entry: Its part in the contest on a task, in its n-th repetition.
        repeated: Whether it depends on chance and is repeated.
        needs: What has to be prepared for it.
        long: Whether it takes part only when asked for.
        packages: What it imports that this package does not require.
    """

    name: str
    entry: Callable[[Setting, int], Entry]
    repeated: bool = False
    needs: tuple[Need, ...] = ()
    long: bool = False
    packages: tuple[str, ...] = ()


def in_order(
    recipes: Sequence[Recipe], steps: int, charged: float = 0.0, seconds: float = 0.0
) -> Play:
    """Try recipes in their order and stand for the best so far."""
    tracker = Tracker(steps, charged, seconds)
    for recipe in recipes:
        tracker.add((yield Ask(recipe)))
    return tracker.standings


def chosen_before(prepared: Prepared, steps: int) -> Play:
    """Stand for a recipe that was chosen, by trainings, before the contest."""
    yield from ()
    spent = prepared.passes / steps
    return [Standing(max(prepared.runs, 1), spent, prepared.recipes[0], prepared.seconds)]


def _fixed(name: str, recipe: Recipe) -> Contender:
    def entry(setting: Setting, study: int) -> Entry:
        return _listed(name, setting, study, Prepared((recipe,)))

    return Contender(name, entry)


def _list(name: str, need: Need, count: int = LISTED) -> Contender:
    def entry(setting: Setting, study: int) -> Entry:
        return _listed(name, setting, study, setting.prepared[need], count)

    return Contender(name, entry, needs=(need,))


def _listed(
    name: str, setting: Setting, study: int, prepared: Prepared, count: int = LISTED
) -> Entry:
    steps, recipes = setting.task.steps, prepared.recipes[:count]
    keys = " ".join(recipe.key for recipe in recipes)
    return Entry(
        setting.task.name, name, study, steps,
        partial(in_order, recipes, steps, prepared.passes, prepared.seconds),
        size=4 * len(recipes), basis=f"{keys} after {prepared.passes:g} of {steps} passes",
        probed=prepared.passes / steps, probed_seconds=prepared.seconds,
    )  # fmt: skip


def _refine(setting: Setting, study: int) -> Entry:
    steps, prepared = setting.task.steps, setting.prepared["refine"]
    return Entry(
        setting.task.name, "refine", study, steps, partial(chosen_before, prepared, steps),
        size=3, basis=f"{prepared.recipes[0].key} after {prepared.passes:g} of {steps} passes",
    )  # fmt: skip


def _search(
    name: str, space: Space, how: str, sampler: Callable[..., object] = tpe, *, long: bool = False
) -> Contender:
    """A cold search; ``how`` names the method of ``Search`` that it goes by."""

    def entry(setting: Setting, study: int) -> Entry:
        import optuna

        task = setting.task
        searched = space.for_loss(setting.cross_entropy)
        seed = search_seed(name, task.name, study, setting.seed)
        play = getattr(Search(searched, sampler), how)
        return Entry(
            task.name, name, study, task.steps, partial(play, task.steps, setting.trials, seed),
            size=setting.trials + (0 if how == "draws" else 20),
            basis=f"{setting.trials} trials of {task.steps} steps, seed {seed}, "
            f"optuna {optuna.__version__}, {searched}",
            resampled=how == "draws", kept=how != "draws",
        )  # fmt: skip

    return Contender(name, entry, repeated=how != "draws", long=long)


def _peer(name: str, search: PeerSearch, packages: tuple[str, ...]) -> Contender:
    """A cold search of the expert space by a tuner of another library."""

    def entry(setting: Setting, study: int) -> Entry:
        task = setting.task
        searched = EXPERT.for_loss(setting.cross_entropy)
        seed = search_seed(name, task.name, study, setting.seed)
        return Entry(
            task.name, name, study, task.steps,
            partial(search, searched, task.steps, setting.trials, seed),
            size=setting.trials + 20,
            basis=f"{setting.trials} trials of {task.steps} steps, seed {seed}, "
            f"{packages[0]} {version(packages[0])}, optuna {version('optuna')}, {searched}",
            kept=True,
        )  # fmt: skip

    return Contender(name, entry, repeated=True, long=True, packages=packages)


_TABLE = (
    _list("advice", "advice"),
    _list("advice, fastest", "fastest", 1),
    *(_fixed(name, recipe) for name, recipe in FIXED_GUESSES.items()),
    _list("learning-rate finder + one-cycle", "rate", 1),
    _fixed(
        "Schedule-Free defaults",
        Recipe.parse(
            {"optimizer": {"name": "schedule_free_adamw", "lr": 2.5e-3, "weight_decay": 0.0}}
        ),
    ),
    _fixed(
        "Prodigy defaults",
        Recipe.parse({"optimizer": {"name": "prodigy", "lr": 1.0, "weight_decay": 0.0}}),
    ),
    _list("opt_list", "opt_list"),
    _list("portfolio", "portfolio"),
    _search("random, full space", FULL, "draws", uniform),
    _search("TPE, full space", FULL, "play"),
    _search("TPE, expert space", EXPERT, "play"),
    Contender("refine", _refine, needs=("refine",)),
    _search("GP, expert space", EXPERT, "play", gaussian_process, long=True),
    _search("QMC, expert space", EXPERT, "play", quasi_random, long=True),
    _search("Hyperband, expert space", EXPERT, "hyperband", long=True),
    _peer("CQR, expert space", conformal, SYNE_TUNE),
    _peer("BlendSearch, expert space", blend_search, FLAML),
    replace(_list("zero-shot transfer", "transfer"), long=True, packages=SYNE_TUNE),
)
CONTENDERS = {contender.name: contender for contender in _TABLE}
"""All contenders by name. Defaults are those of the packages that have the optimizers."""
