"""Many runs of one task at once: members with other recipes and seeds as one tensor program.

A tiny net spends most of a step on the way to the arithmetic. Stacked, M members take one such way
together. The runs are those of ``probes.training.train``: the same batches, steps, evaluations and
endings, and the same numbers up to float32 rounding.

Whether it is faster depends on model and machine: ``probes.stacked.choice`` measures and chooses.
"""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar, cast
from weakref import WeakKeyDictionary

import torch

from probes.counts import seed_number, whole_number
from probes.data import IndexedSamples
from probes.device import resolve_device
from probes.errors import UserError
from probes.recipe.schema import Recipe
from probes.run import Run
from probes.sandbox import differentiable, sandbox
from probes.stacked.batches import Batches
from probes.stacked.checks import (
    can_stack,
    draws,
    model_changes,
    only_inside,
    stack_size,
    stacked_rule,
)
from probes.stacked.losses import stack_loss
from probes.stacked.member import Member, Setting
from probes.stacked.program import Program
from probes.stacked.step import Kind, Step
from probes.task import Task
from probes.training import CHECK_EVERY, Evaluate

_COMPILED: WeakKeyDictionary[Task, dict[str, dict[Kind, Step]]] = WeakKeyDictionary()
Item = TypeVar("Item")


def train_stacked(
    task: Task,
    members: Sequence[tuple[Recipe, int]],
    *,
    steps: int | None = None,
    device: str = "auto",
    stop_after: int | None = None,
    points: int = 16,
    evaluate: Evaluate = "full",
    validation_limit: int | None = None,
    size: int | None = None,
    compiled: bool = False,
    redraw: bool = False,
) -> list[Run]:
    """Train copies of the task's model, one for each recipe and seed, many at a time.

    Members that share update rule, normalization and batch size form stacks. In
    a run's record the wall time of its stack's steps is shared out among the members still
    training, so ``seconds_per_step`` tells what a run cost here, not what it costs alone.

    Args:
        task: What to train.
        members: Recipes with seeds.
        steps: Budget in batches of the task's batch size; None takes the task's.
        device: "auto", "cpu", "cuda", ...
        stop_after: End after so many steps, though schedules are laid out for all of them.
        points: Evaluations, log-spaced, 0 for the end alone; early stopping adds its own.
        evaluate: As in ``probes.training.train``.
        validation_limit: Evaluate on at most so many validation samples.
        size: Members of one stack, at most; None takes ``checks.stack_size``.
        compiled: Send steps through ``torch.compile``: seconds of compilation for each kind of
            stack of this task, then steps of about half the time. Needs a C++ compiler on a CPU.
        redraw: Draw dropout for the whole stack: faster, and all that can be compiled. Such runs
            are as good as any, but other ones than ``train`` gives for the seed. Without it they
            are the same on a CPU; elsewhere each member draws numbers of its own.

    Returns:
        A run for each member, in their order.

    Raises:
        UserError: A recipe cannot be stacked, or cannot serve the task.
    """
    for recipe, _ in members:
        if reason := can_stack(task, recipe, redraw=redraw):
            raise UserError(
                "recipes that can be stacked", f"{recipe.describe()}: {reason}",
                "train it alone",
            )  # fmt: skip
        if compiled and not redraw and draws(task, recipe):
            raise UserError(
                "a model without dropout in compiled stacks", "one with dropout",
                "set redraw, or leave compiled out",
            )  # fmt: skip
    prepared = task.prepared
    setting = Setting(
        task, prepared, prepared.steps if steps is None else whole_number("steps", steps),
        resolve_device(device),
        None if stop_after is None else whole_number("stop_after", stop_after),
        points, evaluate, validation_limit,
    )  # fmt: skip
    size = None if size is None else whole_number("size", size)
    found: dict[int, Run] = {}
    _keep_memory()
    with sandbox(task.train, task.validation, task.test), differentiable():
        # an operation that vmap runs member by member is slow, which is found by timing
        warnings.filterwarnings("ignore", message="There is a performance drop")
        parts = stacks(task, members, size, redraw=redraw)
        kinds = [kind_of_stack(task, members[places[0]][0]) for places in parts]
        for kind, places in zip(kinds, parts, strict=True):
            chosen = [members[place] for place in places]
            alike = [len(part) for other, part in zip(kinds, parts, strict=True) if other == kind]
            padding = max(alike) - len(chosen) if compiled else 0  # a compiled program has one size
            runs = _train_stack(setting, chosen, compiled, redraw, padding)
            found.update(zip(places, runs, strict=True))
    return [found[place] for place in range(len(members))]


def stacks(
    task: Task, members: Sequence[tuple[Recipe, int]], size: int | None, *, redraw: bool = False
) -> list[list[int]]:
    """Places of the members of each stack; runs of similar length are put together."""
    prepared = task.prepared
    kinds: dict[str, list[int]] = defaultdict(list)
    for place, (recipe, _) in enumerate(members):
        kinds[kind_of_stack(task, recipe)].append(place)
    found: list[list[int]] = []
    for places in kinds.values():
        places.sort(
            key=lambda place: members[place][0].steps_for(prepared.steps, prepared.batch_size)
        )
        most = size or stack_size(task, members[places[0]][0], redraw=redraw)
        found += cut(places, most)
    return found


def cut(items: Sequence[Item], size: int) -> list[list[Item]]:
    """The items in order, in as few parts of at most ``size`` as do, none much shorter than others.

    A stack of few costs more for each of its members: 100 runs are two stacks of 50, rather than
    one of 64 and one of 36.
    """
    count = max(1, -(-len(items) // size))
    bounds = [len(items) * part // count for part in range(count + 1)]
    return [list(items[begin:end]) for begin, end in pairwise(bounds) if end > begin]


def _keep_memory() -> None:
    """Have the C library keep what a step frees: handed back, it is fetched anew page by page.

    glibc's allocator raises its thresholds by itself once a block of up to 32 MiB is freed, as
    mallopt(3) tells, and then keeps up to 64 MiB. Without it a third of a step of a stack of small
    convolutional nets went into page faults. Elsewhere this does nothing; no page is touched.
    """
    torch.empty(2**25 - 2**13, dtype=torch.uint8)


def kind_of_stack(task: Task, recipe: Recipe) -> str:
    """What members of one stack have in common, as text."""
    rule = stacked_rule(recipe)
    size = recipe.batch_size or task.prepared.batch_size
    smooth = recipe.regularization.label_smoothing > 0.0
    name = rule if isinstance(rule, str) else rule.name
    return f"{name} {model_changes(recipe)} batch {size} smoothing {smooth}"


def _train_stack(
    setting: Setting, chosen: list[tuple[Recipe, int]], compiled: bool, redraw: bool, padding: int
) -> list[Run]:
    begun = time.perf_counter()
    filled = chosen + [chosen[-1]] * padding
    members = [Member(setting, recipe, seed_number(seed)) for recipe, seed in filled]
    asked = members[: len(chosen)]
    program, batches = _program(setting, members, compiled, redraw)
    torch.manual_seed(members[0].seed)
    share = (time.perf_counter() - begun) / len(asked)
    with sandbox():
        for member in asked:
            member.seconds += share
            member.begin()
    alive = list(range(len(asked)))  # places in the program as it is now
    losses = program.weights.new_zeros(len(program.table), len(members))
    spent = 0.0
    for step in range(len(losses)):
        started = time.perf_counter()
        losses[step] = program.step(next(batches), step)
        done = step + 1
        noted = done % CHECK_EVERY == 0 or any(done in members[place].marks for place in alive)
        latest = losses[step].tolist() if noted else []
        spent += (time.perf_counter() - started) / len(alive)
        if not noted:
            continue
        with sandbox():  # evaluating must not move the random stream that dropout draws from
            over = [
                place for place in alive
                if (done % CHECK_EVERY == 0 or done in members[place].marks)
                and members[place].look(done, latest[place], losses[:done, place])
            ]  # fmt: skip
        for place in over:
            members[place].trained = spent
            program.release(place)
            alive.remove(place)
        if not alive:
            break
        if not compiled and 2 * len(alive) <= len(members):
            program.keep(alive)
            batches.keep(alive)
            losses = losses[:, alive].contiguous()
            members = [members[place] for place in alive]
            alive = list(range(len(members)))
    with sandbox():
        return [member.run() for member in asked]


def _program(
    setting: Setting, members: list[Member], compiled: bool, redraw: bool
) -> tuple[Program, Batches]:
    longest = max(member.last for member in members)
    rates = torch.tensor(
        [member.rates + [0.0] * (longest - member.last) for member in members],
        dtype=torch.float64,
    ).T  # fmt: skip
    smoothing = [member.recipe.regularization.label_smoothing for member in members]
    samples = cast("IndexedSamples", setting.prepared.train)  # can_stack has seen to it
    batches = Batches(
        samples, members[0].batch_size, [member.seed for member in members], setting.device
    )
    kinds = _COMPILED.setdefault(setting.task, {})
    place = f"{kind_of_stack(setting.task, members[0].recipe)} {len(members)} {setting.device}"
    steps = kinds.setdefault(place, {}) if compiled else None
    program = Program(
        [member.model for member in members], [member.optimizer for member in members], rates,
        stack_loss(members[0].objective, any(smoothing)), smoothing,
        [member.max_norm for member in members], [member.generator for member in members],
        shared=batches.shared, redraw=redraw, compiled=steps,
        inside=compiled or only_inside(setting.task, members[0].recipe, redraw=redraw),
    )  # fmt: skip
    return program, batches
