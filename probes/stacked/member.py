"""One member of a stack: what the training loop keeps for a run, kept beside many others."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from probes.data import Samples
from probes.objective import Objective
from probes.recipe.build import build_optimizer, prepare_model, schedule_function
from probes.recipe.schema import Recipe
from probes.run import Point, Run
from probes.stacked.dropout import generator_in
from probes.stopping import Patience
from probes.task import Prepared, Task
from probes.training import (
    DIVERGED_FACTOR,
    EVALUATION_BATCH,
    Evaluate,
    batch_size_of,
    distances,
    evaluation_steps,
    mover,
    peak_memory,
)


@dataclass(frozen=True)
class Setting:
    """What all runs of one call share: see ``probes.stacked.train_stacked`` for the fields."""

    task: Task
    prepared: Prepared
    budget: int
    device: str
    stop_after: int | None
    points: int
    evaluate: Evaluate
    validation_limit: int | None


class _Apart:
    """A model as early stopping may keep it: copies, not views that hold the whole stack.

    Args:
        model: A member's model.
    """

    def __init__(self, model: nn.Module) -> None:
        self._kept = {
            name: value.clone() if isinstance(value, Tensor) else value
            for name, value in model.state_dict().items()
        }

    def state_dict(self) -> dict[str, Any]:
        """The copies."""
        return self._kept


class Member:
    """A run in the making: the same marks, ends and records as in ``probes.training.train``.

    ``begin``, ``look`` and ``run`` evaluate, and move torch's random stream: they are
    to be called in a sandbox.

    Args:
        setting: What all runs share.
        recipe: How this one trains.
        seed: Its seed.
    """

    def __init__(self, setting: Setting, recipe: Recipe, seed: int) -> None:
        self.setting, self.recipe, self.seed = setting, recipe, seed
        prepared = setting.prepared
        _seed(seed, setting.device)
        model = setting.task.make_model()
        self.batch_size = batch_size_of(prepared, recipe)
        self.total = recipe.steps_for(setting.budget, prepared.batch_size)
        stop = setting.stop_after
        self.last = self.total if stop is None else min(self.total, stop)
        self.model = prepare_model(recipe, model).to(setting.device).train()
        self.generator = generator_in(torch.get_rng_state(), setting.device, seed)
        self.optimizer = build_optimizer(recipe.optimizer, self.model)
        shape, peak = schedule_function(recipe.schedule), self.optimizer.param_groups[0]["lr"]
        self.rates = [peak * shape(step, self.total) for step in range(self.last)]
        self.max_norm = float("inf") if recipe.clip is None else recipe.clip.number("max")
        self.objective: Objective = prepared.objective.private(setting.device)
        self.seconds, self.trained, self.diverged = 0.0, 0.0, False

    def begin(self) -> None:
        """Evaluate before the first step and lay out the curve."""
        started = time.perf_counter()
        validate = self.setting.evaluate != "nothing"
        self.initial = self._validation() if validate else {"loss": float("nan")}
        self.curve = [Point(0, float("nan"), self.initial)]
        self.ceiling = (
            DIVERGED_FACTOR * (abs(self.initial["loss"]) + 1.0) if validate else float("inf")
        )
        marks = set(evaluation_steps(self.total, self.setting.points))
        self.marks = marks & set(range(1, self.last + 1)) | {self.last}
        stopping = self.recipe.regularization.early_stopping
        self._patience = Patience(stopping.patience) if stopping and validate else None
        every = stopping.every if self._patience and stopping else None
        self._stops = distances(every, self.total, self.last)
        self.marks |= self._stops
        self.seconds += time.perf_counter() - started

    def look(self, done: int, latest: float, losses: Tensor) -> bool:
        """Take note after a step that is a mark or a check; returns whether the run is over.

        Args:
            done: Steps done.
            latest: Training loss of the last step.
            losses: Training losses of all steps so far, (done,).
        """
        started = time.perf_counter()
        self.diverged = not latest < self.ceiling  # also true of NaN
        if done not in self.marks and not self.diverged:
            return False
        validate = self.setting.evaluate != "nothing"
        validation = self._validation() if validate else {"loss": latest}
        since = losses[self.curve[-1].step :]
        self.curve.append(Point(done, float(since.double().mean()), validation))
        self.diverged = self.diverged or (validate and not validation["loss"] < self.ceiling)
        over = self.diverged or done == self.last
        if self._patience is not None and not self.diverged and done in self._stops:
            kept = cast("nn.Module", _Apart(self.model))
            over = self._patience.over(validation["loss"], kept) or over
        self.seconds += time.perf_counter() - started
        return over

    def run(self) -> Run:
        """The finished run; the model has memory of its own by now."""
        started = time.perf_counter()
        final, prepared = self.curve[-1].validation, self.setting.prepared
        if self._patience is not None and not self.diverged:
            self._patience.restore(self.model)
            final = self._validation()
        test = None
        if prepared.test is not None and self.setting.evaluate == "full":
            nothing = dict.fromkeys(final, float("nan"))
            test = nothing if self.diverged else self._measure(prepared.test)
        self.model.eval()
        finished = self.curve[-1].step
        passes = finished * self.batch_size * self.recipe.passes_per_step / prepared.batch_size
        self.seconds += time.perf_counter() - started
        return Run(
            initial=self.initial, final=final, test=test, curve=tuple(self.curve), steps=finished,
            passes=passes, seconds=self.seconds + self.trained,
            seconds_per_step=self.trained / finished,
            peak_memory=peak_memory(self.setting.device), diverged=self.diverged,
            model=self.model, seed=self.seed,
        )  # fmt: skip

    def _validation(self) -> dict[str, float]:
        return self._measure(self.setting.prepared.validation, self.setting.validation_limit)

    def _measure(self, samples: Samples, limit: int | None = None) -> dict[str, float]:
        device = self.setting.device
        ordered = samples.ordered(max(self.batch_size, EVALUATION_BATCH), limit)
        _seed(self.seed, device)
        batches = map(mover(device), ordered)
        return self.objective.evaluate(self.model, batches, torch.device(device).type)


def _seed(seed: int, device: str) -> None:
    """Seed what draws; on a CPU at a fraction of what seeding the unused devices would cost."""
    if device == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
