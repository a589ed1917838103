"""A recipe into PyTorch objects."""

from __future__ import annotations

import copy
import importlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from probes.counts import whole_number
from probes.errors import UserError
from probes.recipe import catalogue
from probes.recipe.normalization import apply_normalization
from probes.recipe.parameter_groups import parameter_groups, split_matrices

if TYPE_CHECKING:
    from probes.recipe.choice import OptimizerChoice, ScheduleChoice
    from probes.recipe.schema import Recipe


def imported(source: str) -> Any:
    """The object an import string "module:name" names."""
    module, _, name = source.partition(":")
    return getattr(importlib.import_module(module), name)


def constructor_arguments(choice: OptimizerChoice) -> dict[str, Any]:
    """Keyword arguments of the optimizer's constructor, weight decay (the groups' own) apart."""
    row = catalogue.method("optimizer", choice.name)
    arguments: dict[str, Any] = dict(row.fixed)
    for setting in row.hyperparameters:
        if setting.name == "weight_decay":
            continue
        place = re.fullmatch(r"(\w+)\[(\d)\]", setting.argument or setting.name)
        if place is None:
            arguments[setting.argument or setting.name] = choice[setting.name]
        else:
            entries = list(arguments.get(place[1], ()))
            arguments[place[1]] = (*entries, choice[setting.name])
    return arguments


def build_groups(choice: OptimizerChoice, model: nn.Module) -> list[dict[str, Any]]:
    """Parameter groups: no decay for norms, biases and embeddings; matrices apart if needed."""
    row = catalogue.method("optimizer", choice.name)
    groups = parameter_groups(model, choice.number("weight_decay"))
    if "matrix split" not in row.needs:
        return groups
    chosen = {id(parameter) for parameter in split_matrices(model)[0]}
    parted: list[dict[str, Any]] = []
    for group in groups:
        for matrix in (True, False):
            members = [p for p in group["params"] if (id(p) in chosen) == matrix]
            if members:
                parted.append({**group, "params": members, "matrix": matrix})
    return parted


def build_optimizer(choice: OptimizerChoice, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer over the model's trainable parameters.

    Raises:
        UserError: The installed torch is too old for it, or the model has nothing to train.
    """
    row = catalogue.method("optimizer", choice.name)
    have = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    if have < tuple(int(part) for part in row.torch.split(".")):
        raise UserError(
            f"torch {row.torch} or newer for {row.name}", f"torch {torch.__version__}",
            "upgrade torch or choose another optimizer",
        )  # fmt: skip
    optimizer: torch.optim.Optimizer = imported(row.source)(
        build_groups(choice, model), **constructor_arguments(choice)
    )
    return optimizer


def schedule_function(choice: ScheduleChoice) -> Callable[[int, int], float]:
    """The schedule as a function of (step, total), warm-up included.

    The warm-up rises linearly over the first ``warmup`` share of the steps; the schedule itself
    runs over the rest.
    """
    row = catalogue.method("schedule", choice.name)
    shape = imported(row.source)
    settings = {key: value for key, value in choice.settings.items() if key != "warmup"}
    share = choice.number("warmup")

    def factor(step: int, total: int) -> float:
        warm = int(share * total)
        if step < warm:
            return (step + 1) / (warm + 1)
        step = min(step, total - 1)  # whoever goes on past the end keeps the last rate
        return float(shape(step - warm, total - warm, **settings))

    return factor


def build(
    recipe: Recipe, model: nn.Module, total_steps: int
) -> tuple[nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """See ``Recipe.build``."""
    if not isinstance(model, nn.Module):
        raise UserError("a model as a torch.nn.Module", type(model).__name__, "pass the module")
    total_steps = whole_number("total_steps", total_steps)
    extra = [
        what
        for what, present in (
            ("gradient clipping", recipe.clip is not None),
            ("weight averaging", recipe.averaging is not None),
            ("label smoothing", recipe.regularization.label_smoothing > 0),
            ("early stopping", recipe.regularization.early_stopping is not None),
        )
        if present
    ]
    if extra:
        raise UserError(
            "a recipe that a plain loop can run", f"one with {' and '.join(extra)}",
            "use recipe.fit(task), or export it to torch",
        )  # fmt: skip
    if recipe.normalization.name != "keep":
        settings = recipe.normalization.settings
        model = apply_normalization(copy.deepcopy(model), recipe.normalization.name, **settings)
    optimizer = build_optimizer(recipe.optimizer, model)
    factor = schedule_function(recipe.schedule)
    total = max(1, int(total_steps * recipe.horizon))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(step, total))
    return model, optimizer, scheduler
