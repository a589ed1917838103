"""The builder: runs recipes on benchmark tasks in parallel and loses no finished run.

Stages, each resumed from what the journal holds: the reference set on every task; recipes searched
per task; further seeds of each task's best ten and of the landmarks; profiles at every tier that
fits. Workers are one-thread processes without state; the parent alone writes.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge_base.reference import landmarks, reference_recipes
from knowledge_base.store import Journal, Role, RunRecord
from knowledge_base.tasks import make_task, task_row, task_rows
from probes.errors import UserError
from probes.recipe.schema import Recipe
from probes.recipe.space import FULL, Space, parameters_of, suggest

if TYPE_CHECKING:
    import optuna

REPEAT_SEEDS = (1, 2)
BEST = 10
POINTS = 12
_FAILED = float("inf")
_MAX_CRASHES = 3


@dataclass(frozen=True)
class Item:
    """One piece of work: a run, or a profile where ``tier`` is set."""

    task: str
    recipe: str = "{}"
    seed: int = 0
    role: Role = "reference"
    tier: int = 0
    trial: int = -1


_Result = tuple[Item, str, dict[str, Any]]
"""A piece of work, the kind of record it gave, and the record."""


def run_item(item: Item) -> _Result:
    """Do one piece of work in this process; returns (item, kind of record, record).

    A recipe that cannot serve the task gives a record of kind "refused" with the reason.
    """
    import torch

    torch.set_num_threads(1)
    task = _task(item.task)
    if item.tier:
        from probes.profile import take_profile

        profile = take_profile(task, tier=item.tier, seed=item.seed, device="cpu")
        record = {"task": item.task, "tier": item.tier, "seed": item.seed,
                  "profile": profile.model_dump(mode="json")}  # fmt: skip
        return item, "profile", record
    recipe = Recipe.model_validate_json(item.recipe)
    try:
        run = _train(task, recipe, item.seed)
    except UserError as error:
        return item, "refused", {"task": item.task, "recipe": recipe.key, "reason": str(error)}
    metrics = [name for name in run.initial if name != "loss"]
    test = run.test or {}
    record = RunRecord(
        task=item.task, recipe=recipe.key, seed=item.seed, role=item.role,
        initial=run.initial["loss"], final=float("nan") if run.diverged else run.final["loss"],
        test=test.get("loss", float("nan")),
        metric=run.final[metrics[0]] if metrics else float("nan"),
        test_metric=test.get(metrics[0], float("nan")) if metrics else float("nan"),
        steps=run.steps, passes=run.passes, seconds_per_step=run.seconds_per_step,
        diverged=run.diverged, curve_steps=tuple(point.step for point in run.curve),
        curve_validation=tuple(round(point.validation["loss"], 6) for point in run.curve),
        curve_train=tuple(round(point.train_loss, 6) for point in run.curve),
    ).model_dump()  # fmt: skip
    return item, "run", record


def _train(task: Any, recipe: Recipe, seed: int) -> Any:
    from probes.training import train

    return train(task, recipe, seed=seed, device="cpu", points=POINTS)


_TASKS: dict[str, Any] = {}


def _task(name: str) -> Any:
    if name not in _TASKS:
        while len(_TASKS) >= 8:
            _TASKS.pop(next(iter(_TASKS)))
        _TASKS[name] = make_task(task_row(name))
    return _TASKS[name]


@dataclass
class Progress:
    """What a builder has done and still has to do, told to ``report`` after each item."""

    total: int = 0
    done: int = 0
    failed: int = 0
    stage: str = ""
    report: Callable[[Progress], None] = field(default=lambda progress: None, repr=False)

    def advance(self, kind: str) -> None:
        """Count one finished item."""
        self.done += 1
        self.failed += kind == "refused"
        self.report(self)


@dataclass
class State:
    """What a journal holds, indexed for resuming."""

    runs: dict[tuple[str, str, int], dict[str, Any]] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)
    profiles: set[tuple[str, int, int]] = field(default_factory=set)
    damaged: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, journal: Journal) -> State:
        """Read a journal."""
        state = cls()
        for kind, record in journal.read(state.damaged):
            state.add(kind, record)
        for place, run in list(state.runs.items()):
            if run["recipe"] not in state.recipes:  # its recipe's line was damaged
                state.damaged.append(f"run of {' '.join(map(str, place))}: its recipe is lost")
                del state.runs[place]
        return state

    def add(self, kind: str, record: dict[str, Any]) -> None:
        """Take in one record."""
        if kind == "run":
            self.runs[record["task"], record["recipe"], record["seed"]] = record
        elif kind == "refused":
            self.refused.add((record["task"], record["recipe"]))
        elif kind == "recipe":
            self.recipes[record["key"]] = record["recipe"]
        elif kind == "profile":
            self.profiles.add((record["task"], record["tier"], record["seed"]))

    def has(self, task: str, key: str, seed: int) -> bool:
        """Whether this run is done (or known to be impossible)."""
        return (task, key, seed) in self.runs or (task, key) in self.refused


def tiers_for(steps: int) -> tuple[int, ...]:
    """The profile tiers that fit a budget: those of at most half of it (always the smallest)."""
    from probes.measures.base import TIERS

    return tuple(tier for tier in TIERS if tier <= max(steps // 2, TIERS[0]))


@dataclass(frozen=True)
class Plan:
    """What a store is to hold.

    Attributes:
        names: Benchmark tasks.
        searched: Recipes searched per task.
        recipes: Recipes every task runs.
    """

    names: tuple[str, ...]
    searched: int
    recipes: tuple[Recipe, ...]


def build(
    store: Path,
    *,
    tasks: Iterable[str] | None = None,
    searched: int = 30,
    workers: int | None = None,
    stages: Iterable[str] = ("reference", "searched", "repeat", "profiles"),
    retake_profiles: bool = False,
    recipes: Sequence[Recipe] | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> State:
    """Run what is missing in a store and return what it then holds.

    Args:
        store: The journal's path.
        tasks: Names of benchmark tasks; None for all.
        searched: Recipes searched per task.
        workers: Processes; None for one a core.
        stages: Which stages to run.
        retake_profiles: Take profiles again that the store has.
        recipes: The recipes every task runs; None for the reference set.
        report: Told of progress.

    Raises:
        UserError: An unknown task or stage, or a store that another builder holds.
    """
    plan = Plan(
        names=tuple(task_row(name).name for name in (tasks or task_rows())),
        searched=searched,
        recipes=tuple(reference_recipes() if recipes is None else recipes),
    )
    stages = tuple(stages)
    known: dict[str, Callable[[State, Plan], _Source]]
    known = {"reference": _reference, "searched": _searched, "repeat": _repeats,
             "profiles": _profiles}  # fmt: skip
    for stage in stages:
        if stage not in known:
            from probes.errors import unknown_name

            raise unknown_name("a stage of the build", stage, known)
    with Journal(store) as journal:
        state = State.of(journal)
        if retake_profiles:
            state.profiles.clear()
        progress = Progress(report=report)
        pool = _Pool(workers or os.cpu_count() or 1)
        try:
            for stage in stages:
                progress.stage = stage
                source = known[stage](state, plan)
                for item, kind, record in pool.work(source, progress):
                    _store(journal, state, item, kind, record)
                    source.told(item, kind, record)
                    progress.advance(kind)
        finally:
            pool.close()
    return state


def _store(journal: Journal, state: State, item: Item, kind: str, record: dict[str, Any]) -> None:
    if kind == "run" and record["recipe"] not in state.recipes:
        recipe = {"key": record["recipe"],
                  "recipe": Recipe.model_validate_json(item.recipe).plain()}  # fmt: skip
        journal.append("recipe", recipe)
        state.add("recipe", recipe)
    journal.append(kind, record)
    state.add(kind, record)


class _Source:
    """Gives work items; told of each result, so that a search can go on from it."""

    def __init__(self, items: list[Item]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def take(self) -> Item | None:
        """The next item, or None while (or because) there is none."""
        return self._items.pop(0) if self._items else None

    def told(self, item: Item, kind: str, record: dict[str, Any]) -> None:
        """A result came in."""


def _reference(state: State, plan: Plan) -> _Source:
    return _Source(
        [
            Item(name, recipe.model_dump_json(by_alias=True))
            for name in plan.names
            for recipe in plan.recipes
            if not state.has(name, recipe.key, 0)
        ]
    )


def _repeats(state: State, plan: Plan) -> _Source:
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
                Item(name, text, seed, "repeat")
                for seed in REPEAT_SEEDS
                if not state.has(name, key, seed)
            )
    return _Source(items)


def _profiles(state: State, plan: Plan) -> _Source:
    return _Source(
        [
            Item(name, seed=seed, tier=tier)
            for name in plan.names
            for tier in tiers_for(task_row(name).steps)
            for seed in (0, 1, 2)
            if (name, tier, seed) not in state.profiles
        ]
    )


class _searched(_Source):  # noqa: N801 - stands in the table of stages beside functions
    """One Optuna study a task, asked while its trials are out, told as they come in."""

    def __init__(self, state: State, plan: Plan) -> None:
        super().__init__([])
        self._left: dict[str, int] = {}
        self._studies: dict[str, optuna.Study] = {}
        self._spaces: dict[str, Space] = {}
        self._state = state
        done: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for run in state.runs.values():
            if run["role"] == "searched":
                done[run["task"]].append(run)
        for name in plan.names:
            self._left[name] = max(0, plan.searched - len(done[name]))
        self._done = done
        self._turn = [name for name in plan.names if self._left[name]]

    def __len__(self) -> int:
        return sum(self._left.values())

    def _study(self, name: str) -> optuna.Study:
        import optuna

        if name not in self._studies:
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            space = FULL.for_loss(_task(name).prepared.objective.cross_entropy)
            seed = sum(map(ord, name)) + len(self._done[name])
            sampler = optuna.samplers.TPESampler(
                seed=seed, multivariate=True, group=True, n_startup_trials=8, constant_liar=True
            )
            study = optuna.create_study(sampler=sampler)
            from probes.recipe.space import distributions_of

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
        while self._turn:
            name = self._turn[0]
            if not self._left[name]:
                self._turn.pop(0)
                continue
            self._left[name] -= 1
            trial = self._study(name).ask()
            recipe = suggest(trial, self._spaces[name])
            text = recipe.model_dump_json(by_alias=True)
            return Item(name, text, 0, "searched", trial=trial.number)
        return None

    def told(self, item: Item, kind: str, record: dict[str, Any]) -> None:
        value = _objective(record) if kind == "run" else _FAILED
        self._studies[item.task].tell(item.trial, min(value, 1e6))


def _objective(run: dict[str, Any]) -> float:
    value = run["final"]
    return float(value) if value == value and not run["diverged"] else 1e6


def _end_with_the_builder() -> None:
    """In a worker: end when the builder was killed, instead of waiting for work for ever."""
    builder = multiprocessing.parent_process()
    if builder is None:
        return

    def watch() -> None:
        builder.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Pool:
    """A pool of one-thread processes that survives the death of any of them."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = "1"

    def _submit(self, item: Item) -> Future[_Result]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers, mp_context=multiprocessing.get_context("spawn"),
                initializer=_end_with_the_builder,
            )  # fmt: skip
        return self._pool.submit(run_item, item)

    def close(self) -> None:
        """Stop the workers; runs in flight are lost, finished ones are not."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def work(self, source: _Source, progress: Progress) -> Iterator[_Result]:
        """Results as they finish; an item whose worker died is tried again.

        Raises:
            UserError: An item's worker died again and again.
        """
        progress.total, progress.done = len(source), 0
        flying: dict[Future[_Result], Item] = {}
        again: list[Item] = []
        crashes: dict[Item, int] = defaultdict(int)
        while True:
            lost: list[Item] = []
            while not lost and len(flying) < 2 * self._workers:
                item = again.pop() if again else source.take()
                if item is None:
                    break
                try:
                    flying[self._submit(item)] = item
                except BrokenProcessPool:  # a worker died since the last result came in
                    lost.append(item)
            if not flying and not lost:
                return
            # where a worker died all that fly end now, with a result or without
            finished, _ = wait(flying, return_when=ALL_COMPLETED if lost else FIRST_COMPLETED)
            if any(isinstance(future.exception(), BrokenProcessPool) for future in finished):
                finished, _ = wait(flying)
            for future in finished:
                item = flying.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    lost.append(item)
                else:
                    yield result
            if lost:
                self.close()
                _count_crashes(lost, crashes, most=_MAX_CRASHES * 2 * self._workers)
                again.extend(lost)


def _count_crashes(lost: list[Item], crashes: dict[Item, int], most: int) -> None:
    """All that were in flight are suspects: ``most`` is what an innocent item can see at worst."""
    for item in lost:
        crashes[item] += 1
        if crashes[item] > most:
            raise UserError(
                "a worker that outlives its run",
                f"{item.task}, whose workers died {crashes[item]} times",
                "give the builder more memory or fewer workers, or leave the task out",
            )
