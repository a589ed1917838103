"""Candidates: which recipes can serve a task, and the neighbours of promising ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from probes.assembly import assemble
from probes.data import IndexedSamples
from probes.recipe import catalogue
from probes.recipe.choice import NormalizationChoice
from probes.recipe.compatibility import repaired
from probes.recipe.normalization import refuse_normalization
from probes.recipe.parameter_groups import check_trainable
from probes.recipe.schema import Recipe
from probes.recipe.space import STOPPING
from probes.sandbox import differentiable, sandbox
from probes.task import Task

_RATE_FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0)
_SCHEDULES = ("cosine", "one_cycle", "linear", "warmup_stable_decay")


class Applicable:
    """Which recipes can serve a task; a normalization is asked about once.

    Args:
        task: The task.
        max_memory: Bytes that a recipe may take, see ``too_large``; None for no limit.

    Attributes:
        last_failure: Why the last recipe that could not step failed, or None.

    Raises:
        UserError: The model has nothing to train, or lazy parameters.
    """

    def __init__(self, task: Task, max_memory: int | None = None) -> None:
        self._task, self._prepared, self._max_memory = task, task.prepared, max_memory
        self._model = task.make_model()
        self._refused: dict[NormalizationChoice, str | None] = {}
        self.last_failure: str | None = None
        check_trainable(self._model)
        sizes = [(p.numel() * p.element_size(), p.requires_grad) for p in self._model.parameters()]
        self.weight_bytes = sum(size for size, _ in sizes)
        self.trained_bytes = sum(size for size, trained in sizes if trained)

    def state_bytes(self, recipe: Recipe) -> int:
        """Bytes of the optimizer's state, and of averaged weights or an ensemble's members."""
        held = self.trained_bytes * catalogue.method("optimizer", recipe.optimizer.name).state
        if recipe.averaging is not None:
            copies = catalogue.method("extra", recipe.averaging.name).state * recipe.members
            held += self.weight_bytes * copies
        return int(held)

    def reason(self, recipe: Recipe) -> str | None:
        """Why a recipe cannot serve the task, or None."""
        norm = recipe.normalization
        if norm not in self._refused:
            trained = norm.settings.get("trained_weights", "refuse")
            self._refused[norm] = refuse_normalization(
                self._model, norm.name, trained="replace" if trained == "replace" else "refuse"
            )
        if self._refused[norm] is not None:
            return self._refused[norm]
        if recipe.regularization.label_smoothing and not self._prepared.objective.cross_entropy:
            return "label smoothing needs a cross-entropy loss"
        if recipe.batch_size is not None and recipe.batch_size != self._prepared.batch_size:
            if not isinstance(self._prepared.train, IndexedSamples):
                return "the loader decides the batch size"
            if recipe.batch_size > len(self._prepared.train):
                return "fewer samples than its batch size"
        return self.too_large(recipe)

    def too_large(self, recipe: Recipe) -> str | None:
        """Why a recipe exceeds the limit of memory, or None.

        What counts is in ``advisor.memory.COUNTED``. Activations do not: they depend on the batch
        and on what the model keeps for its backward pass, and nothing measures them.
        """
        needed = self.weight_bytes + self.trained_bytes + self.state_bytes(recipe)
        if self._max_memory is None or needed <= self._max_memory:
            return None
        return f"needs {needed} bytes for weights, gradients and state"

    def steps_once(self, recipe: Recipe) -> bool:
        """Whether the optimizer can take a step on this model; costs no pass.

        Some optimizers refuse complex or sparse parameters only when they step, or divide by the
        size of an empty one; ``last_failure`` then says why. An optimizer whose step is of its own
        gets two samples.
        """
        row = catalogue.method("optimizer", recipe.optimizer.name)
        try:
            with sandbox(self._prepared.train), differentiable():
                objective = self._prepared.objective.private("cpu")
                loop = assemble(recipe, self._task.make_model(), objective, "cpu")
                if row.stepper == "plain":
                    for parameter in loop.model.parameters():
                        if parameter.requires_grad:
                            parameter.grad = torch.zeros_like(parameter)
                    loop.optimizer.step()
                else:
                    loop.stepper.step(next(iter(self._prepared.train.ordered(2, 2))))
        except (RuntimeError, ValueError, TypeError, ArithmeticError, IndexError) as error:
            text = " ".join(str(error).split())[:200]
            self.last_failure = f"{recipe.optimizer.name}: {type(error).__name__}: {text}"
            return False
        return True


def applicable(recipes: Iterable[Recipe], test: Applicable) -> list[Recipe]:
    """The recipes that can serve the task."""
    return [recipe for recipe in recipes if test.reason(recipe) is None]


def neighbours(promising: Sequence[Recipe], known: Sequence[Recipe]) -> list[Recipe]:
    """Variations of recipes known to work: rate, schedule, early stopping.

    Only what varies in the reference set is varied: of anything else the model knows nothing.

    Each keeps to the rates between the lowest and the highest that a known recipe of its optimizer
    has: beyond them the model would extrapolate, and a rate twice too high does not train at all.
    Duplicates are left out.

    Args:
        promising: What is varied.
        known: The recipes that known tasks have run.
    """
    tried: dict[str, list[float]] = {}
    for recipe in (*known, *promising):
        tried.setdefault(recipe.optimizer.name, []).append(recipe.optimizer.number("lr"))
    found: dict[str, Recipe] = {}
    for recipe in promising:
        low, high = min(tried[recipe.optimizer.name]), max(tried[recipe.optimizer.name])
        schedules = dict.fromkeys((recipe.schedule.name, *_SCHEDULES))
        stopping = (None, STOPPING)
        for factor in _RATE_FACTORS:
            rate = recipe.optimizer.number("lr") * factor
            if not low <= rate <= high:
                continue
            optimizer = {**recipe.optimizer.model_dump(), "lr": float(f"{rate:.3g}")}
            for name in schedules:
                schedule = recipe.schedule.model_dump() if name == recipe.schedule.name else name
                for stop in stopping:
                    kept = recipe.regularization.model_dump()
                    changed = Recipe.parse(
                        repaired(
                            {
                                **recipe.plain(),
                                "optimizer": optimizer,
                                "schedule": schedule,
                                "regularization": {**kept, "early_stopping": stop},
                            }
                        )
                    )
                    found.setdefault(changed.key, changed)
    return list(found.values())
