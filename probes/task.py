"""Anything a user has -> Task: model, data, loss, metric and budget as one object."""

from __future__ import annotations

import copy
import inspect
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from probes.data import (
    Batch,
    IndexedSamples,
    LoaderSamples,
    Samples,
    as_samples,
    is_pair_of_sets,
    map_tensors,
)
from probes.errors import UserError
from probes.objective import (
    CLASS_LOSSES,
    IGNORED,
    LossFunction,
    Objective,
    call,
    check_labels,
    class_count,
    make_objective,
    split,
)
from probes.sandbox import differentiable, sandbox

VALIDATION_SHARE = 0.2
DEFAULT_EPOCHS = 20
_EVALUATION_BATCH = 256
_SPLIT_SEED = 0
_MANY = 200_000
"""Samples above which targets are not read ahead."""


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
        for what, value in (("steps", steps), ("batch_size", batch_size)):
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int) or value < 1
            ):
                raise UserError(f"{what} as a whole number above 0", repr(value), f"change {what}")
        if epochs is not None and not (isinstance(epochs, (int, float)) and epochs > 0):
            raise UserError("epochs above 0", repr(epochs), "change epochs")
        if steps is not None and epochs is not None:
            raise UserError("steps or epochs", "both", "leave one out")
        if loss is not None and training_step is not None:
            raise UserError("loss or training_step", "both", "leave one out")
        if loss is not None and not isinstance(loss, str) and not callable(loss):
            raise UserError("a loss as a name or a callable", type(loss).__name__, "see the README")
        if autocast not in (None, "bfloat16"):
            raise UserError("autocast as 'bfloat16' or None", repr(autocast), "change it")
        self.model, self.train, self.validation, self.test = model, train, validation, test
        self.loss, self.metric, self.training_step = loss, metric, training_step
        self.steps, self.epochs, self.batch_size = steps, epochs, batch_size
        self.autocast = autocast
        self._made: weakref.ref[nn.Module] | None = None
        self.name = name or _model_name(model)

    def make_model(self) -> nn.Module:
        """A fresh model, independent of the user's: a deep copy, or a new one from the callable.

        Raises:
            UserError: The module cannot be copied, or the callable makes no module.
        """
        if not isinstance(self.model, nn.Module) or inspect.isclass(self.model):
            made = self.model()
            if not isinstance(made, nn.Module):
                raise UserError(
                    "a callable that makes a torch.nn.Module",
                    f"one that returned {type(made).__name__}", "return the module",
                )  # fmt: skip
            if self._made is not None and self._made() is made:
                raise UserError(
                    "a callable that makes a new module each time", "the same module again",
                    "make the module inside the callable, or pass the module itself",
                )  # fmt: skip
            self._made = weakref.ref(made)
            return made
        try:
            return copy.deepcopy(self.model)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise UserError(
                "a model that copy.deepcopy can copy", f"{type(error).__name__}: {error}",
                "pass a callable that makes the model instead",
            ) from error  # fmt: skip

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
        whole = as_samples(self.train, "train")
        batch_size = self._batch_size(whole, notes)
        test = None if self.test is None else as_samples(self.test, "test")
        if self.validation is not None:
            train, validation = whole, as_samples(self.validation, "validation")
        else:
            train, validation = _hold_out(whole, notes)
        if isinstance(train, IndexedSamples) and batch_size > len(train):
            if self.batch_size or whole.batch_size:
                raise UserError(
                    f"a batch size of at most {len(train)}, the number of training samples",
                    str(batch_size), "lower batch_size",
                )  # fmt: skip
            batch_size = len(train)
        model = self.make_model()
        dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
        sets = [train, validation, *([test] if test else [])]
        first = [_cast_like(samples, dtype, notes) for samples in sets]
        train, validation = first[0], first[1]
        test = first[2] if test else None
        device = next((str(p.device) for p in model.parameters()), "cpu")
        batch = next(train.ordered(min(batch_size, _EVALUATION_BATCH)), None)
        if batch is None:
            raise UserError("a loader with at least one batch", "an empty one", "check its data")
        batch = map_tensors(batch, lambda tensor: tensor.to(device))
        _check_finite(batch)
        model.eval()
        autocast = torch.bfloat16 if self.autocast else None
        objective, said = make_objective(
            model, batch, self.loss, self.metric, self.training_step, autocast
        )
        notes.extend(said)
        if objective.loss_name in CLASS_LOSSES:
            ignored = int(getattr(self.loss, "ignore_index", IGNORED))
            _check_all_labels(model, sets, batch, ignored)
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


def resolve_device(device: str) -> str:
    """Settle "auto" (CUDA where there is one) and check anything else.

    Raises:
        UserError: The device is unknown or not there.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except (RuntimeError, TypeError):
        raise UserError(
            "a device such as auto, cpu, cuda or cuda:0", repr(device), "change device"
        ) from None
    there = {"cpu": True, "cuda": torch.cuda.is_available(),
             "mps": torch.backends.mps.is_available()}  # fmt: skip
    if not there.get(kind, False):
        raise UserError("a device this machine has", repr(device), "use auto or cpu")
    if kind == "cuda" and (torch.device(device).index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"one of {torch.cuda.device_count()} CUDA devices", repr(device), "use cuda:0"
        )
    return device


def _model_name(model: Any) -> str:
    return str(getattr(model, "__name__", type(model).__name__))


def _hold_out(samples: Samples, notes: list[str]) -> tuple[Samples, Samples]:
    """A validation split of a fifth, seeded, stratified for class targets."""
    if isinstance(samples, LoaderSamples):
        loader = samples._loader
        if not isinstance(loader.dataset, torch.utils.data.IterableDataset):
            raise UserError(
                "a (train, validation) pair for a loader with a sampler of its own",
                "one loader", "split the data set and pass two loaders",
            )  # fmt: skip
        every = round(1 / VALIDATION_SHARE)
        notes.append(f"validation: every {every}th batch of the loader is held out")
        return (
            samples.part(lambda position: position % every != every - 1),
            samples.part(lambda position: position % every == every - 1),
        )
    assert isinstance(samples, IndexedSamples)  # noqa: S101 - the two kinds there are
    count = len(samples)
    if count < 2:
        raise UserError("at least two samples to hold one out", str(count), "give validation data")
    generator = torch.Generator().manual_seed(_SPLIT_SEED)
    order = torch.randperm(count, generator=generator)
    labels = _classes(samples)
    wanted = max(1, round(count * VALIDATION_SHARE))
    if labels is None:
        held = order[:wanted]
        how = "seeded"
    else:
        # going through the classes in turn keeps every class's share
        by_class = order[torch.argsort(labels[order], stable=True)]
        positions = ((torch.arange(wanted) + 0.5) * count / wanted).long()
        held = by_class[positions]
        how = "seeded, stratified by class"
    mask = torch.ones(count, dtype=torch.bool)
    mask[held] = False
    notes.append(f"validation: {wanted} of {count} samples held out ({how})")
    return samples.part(mask.nonzero().flatten()), samples.part(held.sort().values)


def _classes(samples: IndexedSamples) -> Tensor | None:
    """One class a sample, or None where targets are something else or nearly all different."""
    parts = [targets for targets in _integer_targets(samples) if targets.dim() == 1]
    if not parts or sum(map(len, parts)) < len(samples):
        return None
    labels = torch.cat(parts).long()
    return labels if len(set(labels.tolist())) <= max(len(labels) // 2, 2) else None


def _integer_targets(samples: IndexedSamples) -> Iterator[Tensor]:
    """Integer targets in order; ends early where they are something else or many to read."""
    if len(samples) > _MANY:
        return
    for batch in samples.ordered(1024):
        try:
            _, targets = split(batch)
        except UserError:
            return
        if not isinstance(targets, Tensor) or targets.is_floating_point():
            return
        yield targets.cpu()


def _check_finite(batch: Batch) -> None:
    def check(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UserError(
                "finite numbers in the data", "NaN or infinity in the first batch",
                "remove or impute it",
            )  # fmt: skip
        return tensor

    map_tensors(batch, check)


def _check_all_labels(model: nn.Module, sets: list[Samples], batch: Batch, ignored: int) -> None:
    """Labels of every set within the model's classes, where reading them is cheap."""
    inputs, targets = split(batch)
    if not isinstance(targets, Tensor) or targets.is_floating_point():
        return
    with torch.no_grad():
        classes = class_count(call(model, inputs), targets)
    for samples in sets:
        if isinstance(samples, IndexedSamples):
            for labels in _integer_targets(samples):
                check_labels(labels, classes, ignored)


def _cast_like(samples: Samples, dtype: torch.dtype, notes: list[str]) -> Samples:
    """The samples with floating-point inputs in the model's precision."""
    batch = next(samples.ordered(1), None)
    found: list[torch.dtype] = []

    def look(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point() and tensor.dtype != dtype:
            found.append(tensor.dtype)
        return tensor

    if batch is None or not isinstance(samples, IndexedSamples):
        return samples
    map_tensors(batch, look)
    if not found:
        return samples
    note = f"data cast from {str(found[0])[6:]} to {str(dtype)[6:]}, the model's precision"
    if note not in notes:
        notes.append(note)
    inner = samples.take
    return IndexedSamples(
        lambda indices: map_tensors(
            inner(indices),
            lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor,
        ),
        len(samples),
        samples.batch_size,
    )
