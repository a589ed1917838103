"""The only training loop: probes, builder, refine and evaluation all train through it."""

from __future__ import annotations

import copy
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from probes.batch import Batch, map_tensors
from probes.counts import seed_number, whole_number
from probes.data import LoaderSamples, Samples
from probes.device import resolve_device
from probes.errors import UserError
from probes.objective import Objective
from probes.recipe import catalogue
from probes.recipe.build import build_optimizer, schedule_function
from probes.recipe.normalization import apply_normalization
from probes.recipe.schema import Recipe
from probes.recipe.steppers import Stepper, make_stepper
from probes.run import Point, Run
from probes.sandbox import differentiable, sandbox
from probes.task import Prepared, Task

DIVERGED_FACTOR = 100.0
"""A training loss this many times the first validation loss (plus one) counts as diverged."""
_CHECK_EVERY = 16
_EVALUATION_BATCH = 256


@dataclass
class Loop:
    """What an observer sees between steps: everything the loop works on."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    stepper: Stepper
    objective: Objective
    device: str
    step: int = 0


Observer = Callable[[Loop, Batch], Tensor]
"""Takes the place of ``stepper.step(batch)``: measures around it and returns the loss."""
Watcher = Callable[[Point], bool]
"""Told of each point; True ends the run (pruning)."""
Evaluate = Literal["full", "validation", "nothing"]
"""What is evaluated: validation and test, validation alone, or nothing (training loss only)."""


def evaluation_steps(total: int, points: int = 16) -> list[int]:
    """Log-spaced steps, strictly rising, the last being ``total``."""
    steps = {total}
    for position in range(points):
        steps.add(max(1, round(total ** (position / max(points - 1, 1)))))
    return sorted(steps)


def train(
    task: Task,
    recipe: Recipe,
    *,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    stop_after: int | None = None,
    points: int = 16,
    evaluate: Evaluate = "full",
    validation_limit: int | None = None,
    observer: Observer | None = None,
    watcher: Watcher | None = None,
    factor: Callable[[int, int], float] | None = None,
) -> Run:
    """Train a copy of the task's model by a recipe.

    Same seed, same machine, CPU: the same curve bit for bit. Batches come in the order
    ``torch.randperm`` gives from a generator of that seed, one permutation an epoch, the
    incomplete batch at its end dropped; ``torch.manual_seed(seed)`` comes before the model is made.

    Args:
        task: What to train.
        recipe: How.
        steps: Budget in batches of the task's batch size; None takes the task's.
        seed: Of weights (of a callable model), batch order and dropout.
        device: "auto", "cpu", "cuda", ...
        stop_after: End after so many steps, though the schedule is laid out for all of them.
        points: Evaluations, log-spaced, 0 for the end alone; early stopping adds its own.
        evaluate: "nothing" leaves out validation (the result has the training loss instead).
        validation_limit: Evaluate on at most so many validation samples.
        observer: Called in place of each step.
        watcher: Told of each point, may end the run.
        factor: Takes the place of the recipe's schedule.

    Raises:
        UserError: The recipe cannot serve this task.
    """
    steps = None if steps is None else whole_number("steps", steps)
    stop_after = None if stop_after is None else whole_number("stop_after", stop_after)
    seed = seed_number(seed)
    prepared = task.prepared
    device = resolve_device(device)
    with sandbox(task.train, task.validation, task.test), differentiable():
        torch.manual_seed(seed)
        model = task.make_model()
        return _train(
            prepared, recipe, model, steps or prepared.steps, seed, device, stop_after, points,
            evaluate, validation_limit, observer, watcher, factor,
        )  # fmt: skip


def _train(
    prepared: Prepared,
    recipe: Recipe,
    model: nn.Module,
    budget: int,
    seed: int,
    device: str,
    stop_after: int | None,
    points: int,
    evaluate: Evaluate,
    validation_limit: int | None,
    observer: Observer | None,
    watcher: Watcher | None,
    factor: Callable[[int, int], float] | None,
) -> Run:
    kind = torch.device(device).type
    batch_size = _batch_size(prepared, recipe)
    total = recipe.steps_for(budget, prepared.batch_size)
    last = total if stop_after is None else min(total, stop_after)
    model = apply_normalization(
        model, recipe.normalization.name, **recipe.normalization.settings
    ).to(device)
    optimizer = build_optimizer(recipe.optimizer, model)
    shape = factor or schedule_function(recipe.schedule)
    factors = [shape(step, total) for step in range(last)]
    own = prepared.objective.private(device)
    objective = own.smoothed(recipe.regularization.label_smoothing)
    row = catalogue.method("optimizer", recipe.optimizer.name)
    max_norm = None if recipe.clip is None else recipe.clip.number("max")
    model.train()
    stepper = make_stepper(row.stepper, model, objective, optimizer, max_norm, kind)
    loop = Loop(model, optimizer, stepper, objective, kind)
    move = _mover(device)
    batches = prepared.train.stream(batch_size, seed)
    if device != "cpu":
        batches = map(move, batches)

    def measure(samples: Samples, limit: int | None = None) -> dict[str, float]:
        ordered = samples.ordered(max(batch_size, _EVALUATION_BATCH), limit)
        with sandbox():  # evaluating must not move the random streams that training draws from
            torch.manual_seed(seed)
            return own.evaluate(model, map(move, ordered), kind)

    if kind == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    validate = evaluate != "nothing"
    begin = time.perf_counter()
    initial = measure(prepared.validation, validation_limit) if validate else {"loss": float("nan")}
    curve = [Point(0, float("nan"), initial)]
    stopping = recipe.regularization.early_stopping
    patience = _Patience(stopping.patience) if stopping and validate else None
    marks = set(evaluation_steps(total, points)) & set(range(1, last + 1)) | {last}
    stops: set[int] = set()
    if patience and stopping:  # patience counts these alone, however many points the curve has
        distance = max(1, round(stopping.every * total))
        stops = set(range(distance, last + 1, distance)) | {last}
        marks |= stops
    ceiling = DIVERGED_FACTOR * (abs(initial["loss"]) + 1.0) if validate else float("inf")
    groups = [(group, group["lr"]) for group in optimizer.param_groups]
    losses: list[Tensor] = []
    diverged, trained = False, 0.0
    for step in range(last):
        started = time.perf_counter()
        for group, peak in groups:
            group["lr"] = peak * factors[step]
        batch = next(batches)
        if observer is None:
            losses.append(stepper.step(batch))
        else:
            loop.step = step
            losses.append(observer(loop, batch))
        done = step + 1
        at_mark = done in marks
        if at_mark or done % _CHECK_EVERY == 0:
            latest = float(losses[-1])
            diverged = not latest < ceiling  # also true of NaN
        trained += time.perf_counter() - started
        if not (at_mark or diverged):
            continue
        validation = (
            measure(prepared.validation, validation_limit) if validate else {"loss": latest}
        )
        curve.append(Point(done, float(torch.stack(losses).double().mean()), validation))
        losses = []
        diverged = diverged or (validate and not validation["loss"] < ceiling)
        if diverged or (watcher is not None and watcher(curve[-1])):
            break
        if patience is not None and done in stops and patience.over(validation["loss"], model):
            break
    if kind == "cuda":
        torch.cuda.synchronize(device)
    final = curve[-1].validation
    if patience is not None and not diverged:
        patience.restore(model)
        final = measure(prepared.validation, validation_limit)
    finished = curve[-1].step
    test = None
    if prepared.test is not None and evaluate == "full":
        test = dict.fromkeys(final, float("nan")) if diverged else measure(prepared.test)
    model.eval()
    passes = finished * batch_size * recipe.passes_per_step / prepared.batch_size
    return Run(
        initial=initial, final=final, test=test, curve=tuple(curve), steps=finished,
        passes=passes, seconds=time.perf_counter() - begin, seconds_per_step=trained / finished,
        peak_memory=_peak_memory(device), diverged=diverged, model=model, seed=seed,
    )  # fmt: skip


class _Patience:
    """Early stopping (Prechelt 1998): remembers the best weights and counts the misses."""

    def __init__(self, patience: int) -> None:
        self._patience, self._misses, self._best = patience, 0, float("inf")
        self._weights: dict[str, Any] | None = None

    def over(self, loss: float, model: nn.Module) -> bool:
        if loss < self._best:
            self._best, self._misses = loss, 0
            self._weights = copy.deepcopy(model.state_dict())
        else:
            self._misses += 1
        return self._misses >= self._patience

    def restore(self, model: nn.Module) -> None:
        if self._weights is not None:
            model.load_state_dict(self._weights)


def _batch_size(prepared: Prepared, recipe: Recipe) -> int:
    size = recipe.batch_size or prepared.batch_size
    own = prepared.train.batch_size
    if isinstance(prepared.train, LoaderSamples):
        if size != own:
            raise UserError(
                f"batch size {own}, which the loader's sampler decides", str(size),
                "leave batch_size out of the recipe",
            )  # fmt: skip
    elif size > len(prepared.train):
        raise UserError(
            f"a batch size of at most {len(prepared.train)}, the number of training samples",
            str(size), "lower the recipe's batch_size",
        )  # fmt: skip
    return size


def _mover(device: str) -> Callable[[Batch], Batch]:
    """Brings a batch to the device; on the CPU a batch is there already."""
    if device == "cpu":
        return lambda batch: batch
    return lambda batch: map_tensors(batch, lambda tensor: tensor.to(device, non_blocking=True))


def _peak_memory(device: str) -> int:
    if torch.device(device).type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
