"""Anything a user has -> Task: model, data, loss, metric and budget as one object."""

from __future__ import annotations

import inspect
import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from probes.batch import Batch
from probes.counts import whole_number
from probes.data import IndexedSamples, LoaderSamples, Samples, as_samples, is_pair_of_sets
from probes.errors import UserError
from probes.inference import make_objective
from probes.losses import CLASS_LOSSES, IGNORED
from probes.model_checks import (
    check_placed,
    copied,
    have_common_tensors,
    lost_hooks,
    made_by,
)
from probes.objective import LossFunction, Objective
from probes.preparation import (
    cast_like,
    check_all,
    check_finite,
    class_labels,
    first_batch,
    hold_out,
)
from probes.sandbox import differentiable, sandbox
from probes.trial import check_sets

DEFAULT_EPOCHS = 20
_EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Prepared:
    """A task with everything inferred: what the training loop works on.

    Attributes:
        train: Samples to train on.
        validation: Samples to choose by.
        test: Samples to report on, or None.
        objective: Loss and metric.
        batch_size: Samples a batch.
        steps: Budget in batches of ``batch_size``.
        notes: In words, what was inferred.
    """

    train: Samples
    validation: Samples
    test: Samples | None
    objective: Objective
    batch_size: int
    steps: int
    notes: tuple[str, ...]

    @property
    def samples_budget(self) -> int:
        """Samples passed in one full training."""
        return self.steps * self.batch_size


class Task:
    """What is to be trained.

    Args:
        model: A module (trained on copies, itself never touched) or a callable that makes one.
        train: A DataLoader, a Dataset, a pair of tensors or NumPy arrays (inputs, targets); a
            (train, validation) pair of these when ``validation`` is left out.
        validation: As ``train``; None holds out a fifth (seeded, stratified for classes).
        test: As ``train``, for reporting only; None for none.
        loss: A callable of (outputs, targets), a name ("cross_entropy", "mse", ...), or None to
            infer it from targets and outputs.
        metric: A callable of (outputs, targets), a name, or None to infer it.
        steps: Budget in optimizer steps at ``batch_size``.
        batch_size: Samples a batch; None takes the loader's, else 64 or what the data allow.
        name: For reports.
        epochs: Budget in passes over the data, instead of ``steps``.
        training_step: ``(model, batch) -> loss`` for what a loss function cannot express.
        autocast: Lower precision of the forward ("bfloat16"), or None.

    Raises:
        UserError: Something does not fit; the message says what to do.

    Example:
        >>> inputs, targets = torch.randn(100, 4), torch.randint(0, 3, (100,))
        >>> task = Task(model=nn.Linear(4, 3), train=(inputs, targets), steps=50)
        >>> task.prepared.objective.loss_name
        'cross_entropy'
    """

    def __init__(
        self,
        model: nn.Module | Callable[[], nn.Module],
        train: Any,
        validation: Any = None,
        test: Any = None,
        loss: str | nn.Module | LossFunction | None = None,
        metric: Any = None,
        steps: int | None = None,
        batch_size: int | None = None,
        name: str | None = None,
        *,
        epochs: float | None = None,
        training_step: Callable[[nn.Module, Batch], Tensor] | None = None,
        autocast: str | None = None,
    ) -> None:
        if not callable(model):
            raise UserError(
                "a model as a torch.nn.Module or a callable that makes one", type(model).__name__,
                "pass the module itself",
            )  # fmt: skip
        if validation is None and is_pair_of_sets(train):
            train, validation = train
        steps = None if steps is None else whole_number("steps", steps)
        batch_size = None if batch_size is None else whole_number("batch_size", batch_size)
        if epochs is not None and not (
            isinstance(epochs, Real) and not isinstance(epochs, bool) and 0 < epochs < math.inf
        ):
            raise UserError("epochs above 0, finite", repr(epochs), "change epochs")
        if name is not None and not isinstance(name, str):
            raise UserError("a name as text", repr(name), "change name")
        if steps is not None and epochs is not None:
            raise UserError("steps or epochs", "both", "leave one out")
        if loss is not None and training_step is not None:
            raise UserError("loss or training_step", "both", "leave one out")
        if loss is not None and not isinstance(loss, str) and not callable(loss):
            raise UserError(
                "a loss as a name or a callable of (outputs, targets)", type(loss).__name__,
                "use a name such as cross_entropy or mse, a callable, or leave it out",
            )  # fmt: skip
        if inspect.isclass(loss):
            kind = f"{'nn.' if loss.__module__.startswith('torch.nn.') else ''}{loss.__name__}"
            raise UserError(
                "a loss as a name or a callable of (outputs, targets)", f"the class {kind}",
                f"make one of it: {kind}()",
            )  # fmt: skip
        if autocast not in (None, "bfloat16"):
            raise UserError("autocast as 'bfloat16' or None", repr(autocast), "change it")
        self.model, self.train, self.validation, self.test = model, train, validation, test
        self.loss, self.metric, self.training_step = loss, metric, training_step
        self.steps, self.epochs, self.batch_size = steps, epochs, batch_size
        self.autocast = autocast
        self._made: weakref.ref[nn.Module] | None = None
        self._shares: bool | None = None  # whether what the callable makes has parts in common
        self.name = name or _model_name(model)

    def make_model(self) -> nn.Module:
        """A fresh model, independent of the user's: a deep copy, or a new one from the callable.

        Where a callable puts the same parts into all that it makes (a backbone that it closes
        over), copies of these are given.

        Raises:
            UserError: The module cannot be copied, or the callable makes no module.
        """
        if not isinstance(self.model, nn.Module) or inspect.isclass(self.model):
            made = made_by(self.model)
            if self._shares is None:
                with sandbox():  # what it draws must not move the random streams
                    self._shares = have_common_tensors(made, made_by(self.model))
            if self._made is not None and self._made() is made:
                raise UserError(
                    "a callable that makes a new module each time", "the same module again",
                    "make the module inside the callable, or pass the module itself",
                )  # fmt: skip
            self._made = weakref.ref(made)
            return copied(made) if self._shares else made
        return copied(self.model)

    def with_steps(self, steps: int) -> Task:
        """The same task with another budget.

        Raises:
            UserError: ``steps`` is not a whole number above 0.
        """
        return Task(
            self.model, self.train, self.validation, self.test, self.loss, self.metric, steps,
            self.batch_size, self.name, training_step=self.training_step, autocast=self.autocast,
        )  # fmt: skip

    @cached_property
    def prepared(self) -> Prepared:
        """The task with splits, loss, metric, batch size and steps settled (computed once)."""
        with sandbox(self.train, self.validation, self.test), differentiable():
            return self._prepare()

    def _prepare(self) -> Prepared:
        notes: list[str] = []
        whole = as_samples(self.train, "train", self.batch_size)
        batch_size = self._batch_size(whole, notes)
        test = None if self.test is None else as_samples(self.test, "test")
        if self.validation is not None:
            train, validation = whole, as_samples(self.validation, "validation")
        else:
            train, validation = hold_out(whole, notes)
        if isinstance(train, IndexedSamples) and batch_size > len(train):
            if self.batch_size or whole.batch_size:
                raise UserError(
                    f"a batch size of at most {len(train)}, the number of training samples",
                    str(batch_size), "lower batch_size",
                )  # fmt: skip
            batch_size = len(train)
        model = self.make_model()
        check_placed(model)
        if said := lost_hooks(self.model):
            notes.append(said)
        dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
        train, validation = (cast_like(part, dtype, notes) for part in (train, validation))
        test = cast_like(test, dtype, notes) if test else None
        sets = {"train": train, "validation": validation, **({"test": test} if test else {})}
        device = next((str(p.device) for p in model.parameters()), "cpu")
        sizes = dict.fromkeys(sets, max(batch_size, _EVALUATION_BATCH))
        sizes["train"] = min(batch_size, _EVALUATION_BATCH)
        first = {role: first_batch(part, role, sizes[role], device) for role, part in sets.items()}
        check_finite(first["train"], "train", train)
        model.eval()
        autocast = torch.bfloat16 if self.autocast else None
        objective, inferred = make_objective(
            model, first["train"], self.loss, self.metric, self.training_step, autocast
        )
        notes.extend(inferred)
        classes, ignored = None, int(getattr(self.loss, "ignore_index", IGNORED))
        if objective.loss_name in CLASS_LOSSES:
            classes = class_labels(model, first["train"])
        check_all(sets, first, classes, ignored)
        check_sets(objective.private(device), model, first, ignored)
        steps = self._steps(train, batch_size, notes)
        return Prepared(train, validation, test, objective, batch_size, steps, tuple(notes))

    def _batch_size(self, samples: Samples, notes: list[str]) -> int:
        if isinstance(samples, LoaderSamples):
            own = samples.batch_size or 1
            if self.batch_size not in (None, own):
                raise UserError(
                    f"the batch size of the loader, {own} (its sampler decides)",
                    str(self.batch_size), "change it in the loader",
                )  # fmt: skip
            return own
        if self.batch_size or samples.batch_size:
            return int(self.batch_size or samples.batch_size or 1)
        size = 64 if len(samples) >= 1280 else 32 if len(samples) >= 320 else 16
        notes.append(f"batch size {size}: none was given")
        return size

    def _steps(self, train: Samples, batch_size: int, notes: list[str]) -> int:
        if self.steps is not None:
            return self.steps
        per_epoch = max(len(train) // batch_size, 1)
        epochs = DEFAULT_EPOCHS if self.epochs is None else self.epochs
        steps = max(int(epochs * per_epoch), 1)
        if self.epochs is None:
            notes.append(f"{steps} steps: {epochs} epochs, as neither steps nor epochs was given")
        return steps


def _model_name(model: Any) -> str:
    return str(getattr(model, "__name__", type(model).__name__))
