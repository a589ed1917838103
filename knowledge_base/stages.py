"""The builder's stages: what is still to do, given what the journal holds."""

from __future__ import annotations

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from knowledge_base.reference import ladder_recipes, landmarks
from knowledge_base.state import State
from knowledge_base.tasks import task_row
from knowledge_base.work import Item, built_task
from probes.recipe.schema import Recipe
from probes.recipe.space import FULL, Space, distributions_of, parameters_of, suggest

if TYPE_CHECKING:
    import optuna

REPEAT_SEEDS = (1, 2)
TOGETHER = 100
"""Runs on one task that a worker gets at once, so that it can stack them."""
BEST = 10
_WORST = 1e6
"""What a search is told of a run that diverged or could not be done."""


PROFILED = 256
"""Tier up to which every task is profiled, however short its own budget: advice on a long training
rests on profiles of the same length, and a probe costs a benchmark task little."""


def tiers_for(steps: int) -> tuple[int, ...]:
    """The profile tiers of a task: those up to PROFILED, and larger ones its budget pays for."""
    from probes.measures.base import TIERS

    return tuple(tier for tier in TIERS if tier <= max(steps, PROFILED))


@dataclass(frozen=True)
class Plan:
    """What a store is to hold.

    Attributes:
        names: Benchmark tasks.
        searched: Recipes searched per task.
        recipes: Recipes every task runs.
        device: Where to train.
        large: Steps of ladders: they run ``ladder_recipes`` and are profiled, and are neither
            searched nor repeated, as they only tell whether advice carries over.
    """

    names: tuple[str, ...]
    searched: int
    recipes: tuple[Recipe, ...]
    device: str = "cpu"
    large: tuple[str, ...] = ()


class Source:
    """Gives work items; told of each result, so that a search can go on from it."""

    def __init__(self, items: list[Item]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def take(self) -> Item | None:
        """The next item, with its neighbours on the same task; None while there is none."""
        if not self._items:
            return None
        first = self._items[0]
        count = 1
        while (
            not first.tier
            and count < min(TOGETHER, len(self._items))
            and self._items[count].task == first.task
        ):
            count += 1
        others = tuple(self._items[1:count])
        del self._items[:count]
        return replace(first, others=others)

    def told(self, item: Item, kind: str, record: dict[str, Any]) -> None:
        """A result came in."""


def _reference(state: State, plan: Plan) -> Source:
    sets = ((plan.names, plan.recipes), (plan.large, ladder_recipes()))
    return Source(
        [
            Item(name, recipe.model_dump_json(by_alias=True), device=plan.device)
            for names, recipes in sets
            for name in names
            for recipe in recipes
            if not state.has(name, recipe.key, 0)
        ]
    )


def _repeats(state: State, plan: Plan) -> Source:
    items: list[Item] = []
    for name in plan.names:
        runs = [run for (task, _, seed), run in state.runs.items() if task == name and seed == 0]
        runs = [run for run in runs if not run["diverged"] and run["final"] == run["final"]]
        best = [run["recipe"] for run in sorted(runs, key=lambda run: run["final"])[:BEST]]
        for key in dict.fromkeys([*best, *(recipe.key for recipe in landmarks())]):
            if key not in state.recipes:
                continue
            text = Recipe.parse(state.recipes[key]).model_dump_json(by_alias=True)
            items.extend(
                Item(name, text, seed, "repeat", device=plan.device)
                for seed in REPEAT_SEEDS
                if not state.has(name, key, seed)
            )
    return Source(items)


def _profiles(state: State, plan: Plan) -> Source:
    return Source(
        [
            Item(name, seed=seed, tier=tier, device=plan.device)
            for name in (*plan.names, *plan.large)
            for tier in tiers_for(task_row(name).steps)
            for seed in (0, 1, 2)
            if not state.has_profile(name, tier, seed)
        ]
    )


class Searches(Source):
    """One Optuna study a task, asked while its trials are out, told as they come in."""

    def __init__(self, state: State, plan: Plan) -> None:
        super().__init__([])
        self._left: dict[str, int] = {}
        self._studies: dict[str, optuna.Study] = {}
        self._spaces: dict[str, Space] = {}
        self._state = state
        self._device = plan.device
        done: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for run in state.runs.values():
            if run["role"] == "searched":
                done[run["task"]].append(run)
        for name in plan.names:
            self._left[name] = max(0, plan.searched - len(done[name]))
        self._done = done
        self._turn = [name for name in plan.names if self._left[name]]
        self._flying: set[str] = set()

    def __len__(self) -> int:
        return sum(self._left.values())

    def _study(self, name: str) -> optuna.Study:
        import optuna

        if name not in self._studies:
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            space = FULL.for_loss(built_task(name).prepared.objective.cross_entropy)
            digest = hashlib.sha256(name.encode()).digest()
            seed = int.from_bytes(digest[:3], "big") + len(self._done[name])
            with warnings.catch_warnings():
                # constant liar and groups are called experimental, and serve
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                sampler = optuna.samplers.TPESampler(
                    seed=seed, multivariate=True, group=True, n_startup_trials=8, constant_liar=True
                )
            study = optuna.create_study(sampler=sampler)
            known = distributions_of(space)
            for run in self._done[name]:
                parameters = parameters_of(Recipe.parse(self._state.recipes[run["recipe"]]), space)
                if parameters is not None:
                    study.add_trial(
                        optuna.trial.create_trial(
                            params=parameters, value=_objective(run),
                            distributions={key: known[key] for key in parameters},
                        )
                    )  # fmt: skip
            self._studies[name], self._spaces[name] = study, space
        return self._studies[name]

    def take(self) -> Item | None:
        """The next trial of a task that has none in flight: a study learns from each of its own."""
        for name in [name for name in self._turn if name not in self._flying]:
            self._turn.remove(name)
            self._left[name] -= 1
            if self._left[name]:
                self._turn.append(name)
            self._flying.add(name)
            trial = self._study(name).ask()
            recipe = suggest(trial, self._spaces[name])
            text = recipe.model_dump_json(by_alias=True)
            return Item(name, text, 0, "searched", trial=trial.number, device=self._device)
        return None

    def told(self, item: Item, kind: str, record: dict[str, Any]) -> None:
        """The study learns how its trial ended."""
        self._flying.discard(item.task)
        value = _objective(record) if kind == "run" else _WORST
        self._studies[item.task].tell(item.trial, min(value, _WORST))


def _objective(run: dict[str, Any]) -> float:
    value = run["final"]
    return float(value) if value == value and not run["diverged"] else _WORST


STAGES: dict[str, Callable[[State, Plan], Source]] = {
    "reference": _reference,
    "searched": Searches,
    "repeat": _repeats,
    "profiles": _profiles,
}
"""The stages by name, in the order that makes sense."""
