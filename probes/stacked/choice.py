"""Alone or stacked: both are timed on this machine, and the faster one is taken.

Stacking pays where a step is mostly overhead (tiny nets, small batches), and costs where it is
mostly arithmetic. Where the line lies depends on model, batch and machine, so a few steps of each
form are timed, once for each kind of stack of a task.
"""

from __future__ import annotations

import os
import shutil
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal
from weakref import WeakKeyDictionary

import torch

from probes.device import resolve_device
from probes.recipe.schema import Recipe
from probes.run import Run
from probes.stacked.checks import can_stack, draws, stack_size
from probes.stacked.loop import cut, kind_of_stack, train_stacked
from probes.task import Task
from probes.training import Evaluate, train

Form = Literal["single", "stacked", "compiled"]
Members = Sequence[tuple[Recipe, int]]
_STEPS, _REPEATS = 8, 3
_CLEAR = 1.5
"""A form this many times faster needs no second timing."""
_WHILE = 0.3
"""Seconds of runs one by one that the timing of a stack stands for: of long steps two will do."""
_LONG_STEP = 0.02
"""Seconds: on a CPU a step this long is arithmetic, and timing a whole stack of them costs much."""
_MARGIN = 0.9
"""A form is left for another one only where its steps take at most this share of the time."""
_COMPILATION = 15.0
"""Seconds that a compilation is expected to take; it is tried where stacks would train for more
than twice that, for compiled steps take about half the time.

Measured: 7 to 11 s for small nets on a busy machine, 22 s at worst for the first of a process."""


@dataclass(frozen=True)
class Timing:
    """Seconds that one step of one member takes in each form; infinity where it was not timed.

    Attributes:
        single: In ``probes.training.train``.
        stacked: In a stack.
        compiled: In a compiled stack.
        compilation: Seconds until the compiled steps were there.
    """

    single: float
    stacked: float
    compiled: float = float("inf")
    compilation: float = float("inf")

    @property
    def best(self) -> Form:
        """The fastest form; stacks must be clearly faster."""
        forms: dict[Form, float] = {
            "single": self.single * _MARGIN, "stacked": self.stacked, "compiled": self.compiled,
        }  # fmt: skip
        return min(forms, key=lambda form: forms[form])


_TIMINGS: WeakKeyDictionary[Task, dict[str, Timing]] = WeakKeyDictionary()


def choose(
    task: Task,
    members: Members,
    *,
    device: str = "auto",
    steps: int | None = None,
    size: int | None = None,
    redraw: bool = False,
) -> Form:
    """The form in which these runs end soonest on this machine.

    The members are taken for one kind of stack, that of the first: ``train_many`` sorts them.

    Args:
        task: What to train.
        members: Recipes with seeds.
        device: "auto", "cpu", "cuda", ...
        steps: Budget in batches of the task's batch size; None takes the task's.
        size: Members of one stack, at most; None takes ``checks.stack_size``.
        redraw: See ``train_stacked``.

    Returns:
        "single", "stacked" or "compiled"; "single" where a recipe cannot be stacked.
    """
    if len(members) < 2 or any(can_stack(task, recipe, redraw=redraw) for recipe, _ in members):
        return "single"
    device = resolve_device(device)
    members = [(recipe, seed) for recipe, seed in members]
    most = size or stack_size(task, members[0][0], redraw=redraw)
    sample = cut(members, most)[-1]
    kind, threads = kind_of_stack(task, members[0][0]), torch.get_num_threads()
    key = f"{kind} {len(sample)} {device} {redraw} {threads}"
    known = _TIMINGS.setdefault(task, {})
    if key not in known:
        known[key] = _timing(task, sample, device, redraw)
    prepared = task.prepared
    budget = prepared.steps if steps is None else steps
    left = sum(recipe.steps_for(budget, prepared.batch_size) for recipe, _ in members)
    fastest = min(known[key].single, known[key].stacked)
    worth = left * fastest > 2.0 * _COMPILATION and known[key].compilation == float("inf")
    worth = worth and can_compile(device) and (redraw or not draws(task, members[0][0]))
    if known[key].best == "stacked" and worth:
        known[key] = _with_compilation(known[key], task, sample, device, redraw)
    return known[key].best


def train_many(
    task: Task,
    members: Members,
    *,
    steps: int | None = None,
    device: str = "auto",
    points: int = 16,
    evaluate: Evaluate = "full",
    validation_limit: int | None = None,
    size: int | None = None,
    redraw: bool = False,
) -> list[Run]:
    """Train copies of the task's model, one for each recipe and seed, in the fastest form.

    Args:
        task: What to train.
        members: Recipes with seeds.
        steps: Budget in batches of the task's batch size; None takes the task's.
        device: "auto", "cpu", "cuda", ...
        points: Evaluations, log-spaced, 0 for the end alone; early stopping adds its own.
        evaluate: As in ``probes.training.train``.
        validation_limit: Evaluate on at most so many validation samples.
        size: Members of one stack, at most; None takes ``checks.stack_size``.
        redraw: See ``train_stacked``.

    Returns:
        A run for each member, in their order.

    Raises:
        UserError: A recipe cannot serve the task.
    """
    kinds: dict[str, list[int]] = {}
    for place, (recipe, _) in enumerate(members):
        alone = can_stack(task, recipe, redraw=redraw)
        kind = f"alone {place}" if alone else kind_of_stack(task, recipe)
        kinds.setdefault(kind, []).append(place)
    found: dict[int, Run] = {}
    for places in kinds.values():
        chosen = [members[place] for place in places]
        form = choose(task, chosen, device=device, steps=steps, size=size, redraw=redraw)
        if form == "single":
            runs = [
                train(
                    task, recipe, steps=steps, seed=seed, device=device, points=points,
                    evaluate=evaluate, validation_limit=validation_limit,
                )
                for recipe, seed in chosen
            ]  # fmt: skip
        else:
            runs = train_stacked(
                task, chosen, steps=steps, device=device, points=points, evaluate=evaluate,
                validation_limit=validation_limit, size=size, compiled=form == "compiled",
                redraw=redraw,
            )  # fmt: skip
        found.update(zip(places, runs, strict=True))
    return [found[place] for place in range(len(members))]


def can_compile(device: str) -> bool:
    """Whether ``torch.compile`` has what it needs: on a CPU a C++ compiler."""
    if torch.device(device).type != "cpu":
        return True
    names = (os.environ.get("CXX"), "g++", "clang++", "c++")
    return any(name and shutil.which(name) for name in names)


def _timing(task: Task, sample: Members, device: str, redraw: bool) -> Timing:
    recipe, seed = sample[0]

    def alone() -> float:
        return train(
            task, recipe, seed=seed, device=device, stop_after=_STEPS, points=0, evaluate="nothing"
        ).seconds_per_step

    single = min(alone() for _ in range(2))
    if device == "cpu" and single > _LONG_STEP:
        return Timing(single, float("inf"))
    stacked = float("inf")
    steps = min(max(round(_WHILE / (len(sample) * single)), 2), _STEPS)
    for _ in range(_REPEATS):  # in turn, so that other work on the machine weighs on both
        stacked = min(stacked, _stacked(task, sample, device, redraw, steps=steps))
        single = min(single, alone())
        if not 1.0 / _CLEAR < stacked / single < _CLEAR:
            break
    return Timing(single, stacked)


def _stacked(
    task: Task, sample: Members, device: str, redraw: bool, *, compiled: bool = False,
    steps: int = _STEPS,
) -> float:  # fmt: skip
    runs = train_stacked(
        task, sample, device=device, stop_after=steps, points=0, evaluate="nothing",
        size=max(len(sample), 1), compiled=compiled, redraw=redraw,
    )  # fmt: skip
    return min(run.seconds_per_step for run in runs)


def _with_compilation(
    timing: Timing, task: Task, sample: Members, device: str, redraw: bool
) -> Timing:
    started = time.perf_counter()
    try:
        _stacked(task, sample, device, redraw, compiled=True)
        compilation = time.perf_counter() - started
        compiled = min(_stacked(task, sample, device, redraw, compiled=True) for _ in range(2))
    except RuntimeError as error:  # the compiler's own errors are of this type
        said = str(error).strip().splitlines()[0][:200]
        warnings.warn(f"steps are not compiled on this machine: {said}", stacklevel=3)
        return replace(timing, compilation=time.perf_counter() - started)
    return replace(timing, compiled=compiled, compilation=compilation)
