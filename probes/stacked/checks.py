"""Whether a recipe's runs on a task can be stacked, and if not, why."""

from __future__ import annotations

import copy
import functools
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from probes.batch import Batch, map_tensors
from probes.data import IndexedSamples
from probes.errors import UserError
from probes.objective import Objective
from probes.recipe import catalogue
from probes.recipe.build import build_optimizer, prepare_model
from probes.recipe.choice import OptimizerChoice
from probes.recipe.schema import Recipe, Regularization
from probes.sandbox import differentiable, sandbox
from probes.stacked.dropout import has_dropout
from probes.stacked.losses import stack_loss
from probes.stacked.program import Program
from probes.stacked.rule import Rule
from probes.stacked.rules import rule_of
from probes.task import Task

_RECIPE = {"schema_version", "optimizer", "schedule", "normalization", "clip", "averaging",
           "regularization", "batch_size", "horizon"}  # fmt: skip
_REGULARIZATION = {"label_smoothing", "early_stopping", "dropout", "insert_dropout"}
_CLOSE = 1e-3
"""Largest difference of stacked gradients from a member's own, relative to their norm."""
_SEEN_TO = {"real parameters"}
"""Needs of an optimizer that every model in a stack meets."""
_CACHE = 2**21
"""Bytes of weights that a stack may have: gradients and states are as large again, each."""
_RNN = "its recurrent layers run outside of what torch.vmap knows"


@dataclass(frozen=True)
class _Trial:
    """What came of a model's trial: why it cannot be stacked, what it needs, how large it is."""

    reason: str | None
    inside: bool = False
    weights: int = 0  # bytes that are trained


_TRIALS: WeakKeyDictionary[Task, dict[str, _Trial]] = WeakKeyDictionary()


def can_stack(task: Task, recipe: Recipe, *, redraw: bool = False) -> str | None:
    """Why runs of this recipe on this task cannot be stacked, or None where they can.

    What depends on the model is found by trial, once for each task and normalization: the
    gradients of two stacked members against those of each alone.

    Args:
        task: What to train.
        recipe: How.
        redraw: Whether random operations may draw other numbers than they do in a run alone.
    """
    return _of_recipe(recipe) or _of_task(task, recipe) or _of_model(task, recipe, redraw).reason


def only_inside(task: Task, recipe: Recipe, *, redraw: bool = False) -> bool:
    """Whether ``vmap`` must be over the model's gradients (of a recipe that can be stacked)."""
    return _of_model(task, recipe, redraw).inside


def stack_size(task: Task, recipe: Recipe, *, redraw: bool = False) -> int:
    """Members of one stack, at most, for a recipe that can be stacked: 32, of tiny nets 64.

    With more of them a step's overhead is shared by more, and less of it stays in a core's cache.
    """
    return 64 if 64 * _of_model(task, recipe, redraw).weights <= _CACHE else 32


def draws(task: Task, recipe: Recipe) -> bool:
    """Whether the model has dropout under this recipe (which must be one that can be stacked)."""
    with sandbox(task.train, task.validation, task.test):
        return has_dropout(prepare_model(recipe, task.make_model()))


def stacked_rule(recipe: Recipe) -> Rule | str:
    """The stacked update rule of the recipe's optimizer, or the reason why there is none."""
    return _rule_of_choice(recipe.optimizer)


@functools.lru_cache(maxsize=1024)
def _rule_of_choice(choice: OptimizerChoice) -> Rule | str:
    row = catalogue.method("optimizer", choice.name)
    if row.stepper != "plain" or set(row.needs) - _SEEN_TO:
        return f"no stacked update for {row.name}"
    try:
        any_model = nn.utils.skip_init(nn.Linear, 2, 2)  # type: ignore[no-untyped-call]  # draws no numbers
        optimizer = build_optimizer(choice, any_model)
    except UserError as error:
        return str(error)
    if len({group["lr"] for group in optimizer.param_groups}) > 1:
        return f"{row.name} has several learning rates"
    return rule_of(optimizer)


def model_changes(recipe: Recipe) -> str:
    """What the recipe does to the model, as text: members of a stack have it in common."""
    rates = (recipe.regularization.dropout, recipe.regularization.insert_dropout)
    return json.dumps([recipe.normalization.model_dump(mode="json"), *rates])


def _of_recipe(recipe: Recipe) -> str | None:
    if recipe.averaging is not None:
        return "weight averaging"
    if recipe.clip is not None and recipe.clip.name != "norm":
        return f"{recipe.clip.name} clipping"
    # a field that this module has never heard of must not be passed over
    for part, known in ((recipe, _RECIPE), (recipe.regularization, _REGULARIZATION)):
        plain = (Recipe() if part is recipe else Regularization()).model_dump()
        for name, value in part.model_dump().items():
            if name not in known and value != plain[name]:
                return name.replace("_", " ")
    if "validation" in catalogue.method("schedule", recipe.schedule.name).needs:
        return f"the schedule {recipe.schedule.name}, which follows the validation loss"
    rule = stacked_rule(recipe)
    return rule if isinstance(rule, str) else None


def _of_task(task: Task, recipe: Recipe) -> str | None:
    prepared = task.prepared
    objective = prepared.objective
    if not isinstance(prepared.train, IndexedSamples) or not prepared.train.in_memory:
        return "training data that are not tensors in memory"
    if objective.training_step is not None:
        return "a training step of the task's own"
    if objective.autocast is not None:
        return "autocast"
    if recipe.regularization.label_smoothing and not objective.cross_entropy:
        return "label smoothing without a cross-entropy"
    if (recipe.batch_size or prepared.batch_size) > len(prepared.train):
        return "a batch larger than the training data"
    return None


def _of_model(task: Task, recipe: Recipe, redraw: bool) -> _Trial:
    trials = _TRIALS.setdefault(task, {})
    key = f"{model_changes(recipe)} {redraw}"
    if key not in trials:
        with sandbox(task.train, task.validation, task.test), differentiable():
            trials[key] = _trial(task, recipe, redraw)
    return trials[key]


def _trial(task: Task, recipe: Recipe, redraw: bool) -> _Trial:
    prepared = task.prepared
    try:
        models = [prepare_model(recipe, task.make_model()).cpu().train() for _ in range(2)]
    except UserError as error:
        return _Trial(str(error))
    if any(isinstance(module, nn.RNNBase) for module in models[0].modules()):
        return _Trial(_RNN)
    trained = [p for p in models[0].parameters() if p.requires_grad]
    if len({p.dtype for p in trained}) > 1 or not trained[0].is_floating_point():
        return _Trial("parameters of several types, or complex ones")
    objective = prepared.objective.private("cpu")
    batch = next(prepared.train.stream(min(prepared.batch_size, 8), 0))
    alone = []
    for model in map(copy.deepcopy, models):
        torch.manual_seed(0)
        loss = objective(model, batch)
        torch.autograd.backward(loss)
        alone.append((float(loss.detach()), {name: p.grad for name, p in model.named_parameters()}))
    names = [name for name, p in models[0].named_parameters() if p.requires_grad]
    if any(alone[0][1][name] is None for name in names):
        return _Trial("parameters that get no gradient")
    for inside in (False, True):
        copies = [copy.deepcopy(model) for model in models]
        reason = _difference(recipe, copies, objective, batch, alone, redraw, inside)
        if reason is None:
            return _Trial(None, inside, sum(p.nbytes for p in trained))
    return _Trial(reason)


def _difference(
    recipe: Recipe, models: list[nn.Module], objective: Objective, batch: Batch,
    alone: Sequence[tuple[float, dict[str, Tensor | None]]], redraw: bool, inside: bool,
) -> str | None:  # fmt: skip
    """What is wrong with losses and gradients of a stack of two, against each member's own."""
    random = has_dropout(models[0])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of vmap, that an operation runs member by member
            program = Program(
                models, [build_optimizer(recipe.optimizer, model) for model in models],
                torch.zeros(1, 2, dtype=torch.float64), stack_loss(objective, False),
                [0.0, 0.0], [float("inf")] * 2,
                [torch.Generator().manual_seed(0) for _ in models], shared=False, redraw=redraw,
                inside=inside,
            )  # fmt: skip
            stacked = map_tensors(batch, lambda tensor: torch.stack([tensor, tensor]))
            gradients, losses = program.gradients(stacked)
    except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
        return f"a model that torch.vmap cannot run: {str(error).strip().splitlines()[0][:200]}"
    if random and redraw:
        return None  # nothing to compare with
    for member, (loss, found) in enumerate(alone):
        own = torch.cat([found[name].flatten() for name in program.layout.names])  # type: ignore[union-attr]
        far = float((gradients[member] - own).norm()) > _CLOSE * (float(own.norm()) + _CLOSE)
        if far or abs(float(losses[member]) - loss) > _CLOSE * (1.0 + abs(loss)):
            return "a model that computes something else in a stack"
    return None
