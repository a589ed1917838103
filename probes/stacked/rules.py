"""Which rule does in a stack what an optimizer does alone, and with which settings.

Settings are read from the real optimizer, so a rule does not depend on how a recipe spells them.
An option that a rule does not have refuses the optimizer; no option is passed over.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from probes.recipe.optimizers.adopt import clip_bound
from probes.stacked import library_updates, tensor_updates, updates
from probes.stacked.rule import Columns, Parts, Rule, Settings, States
from probes.stacked.updates import ADAM, AMSGRAD, MOMENTUM, SGD

_LIBRARY = "pytorch_optimizer.optimizer"
_BY_CLASS = {
    "torch.optim.sgd.SGD": MOMENTUM,
    "torch.optim.adam.Adam": ADAM,
    "torch.optim.adamw.AdamW": ADAM,
    "torch.optim.nadam.NAdam": updates.NADAM,
    "torch.optim.radam.RAdam": updates.RADAM,
    "torch.optim.adamax.Adamax": updates.ADAMAX,
    "torch.optim.adadelta.Adadelta": updates.ADADELTA,
    "torch.optim.adagrad.Adagrad": updates.ADAGRAD,
    "torch.optim.rmsprop.RMSprop": updates.RMSPROP,
    "torch.optim.Adafactor": tensor_updates.ADAFACTOR,
    "torch.optim._adafactor.Adafactor": tensor_updates.ADAFACTOR,
    f"{_LIBRARY}.lion.Lion": updates.LION,
    f"{_LIBRARY}.adan.Adan": library_updates.ADAN,
    f"{_LIBRARY}.adopt.ADOPT": library_updates.ADOPT,
    f"{_LIBRARY}.adabound.AdaBound": library_updates.ADABOUND,
    f"{_LIBRARY}.lamb.Lamb": tensor_updates.LAMB,
    f"{_LIBRARY}.lars.LARS": tensor_updates.LARS,
}
_LOOKAHEAD = f"{_LIBRARY}.lookahead.Lookahead"
_REFUSED = ("maximize", "dampening", "centered", "initial_accumulator_value", "fixed_decay",
            "adanorm", "use_gc", "cautious", "differentiable", "stable_adamw", "rectify", "adam",
            "pre_norm")  # fmt: skip
"""Options of these classes that no rule has; unset in every row of the catalogue."""
_NEEDED: dict[str, dict[str, Any]] = {
    "adan": {"weight_decouple": True, "max_grad_norm": 0.0},
    "adopt": {"clip_lambda": clip_bound},
    "adabound": {"adam_debias": None},
    "lamb": {"weight_decouple": False, "adam_debias": True, "grad_averaging": True},
    "lars": {"nesterov": False},
    "adafactor": {"eps": (None, 1e-3), "d": 1.0},
}
"""What a rule takes for granted of its class."""
_READ = ("lr", "momentum", "nesterov", "eps", "momentum_decay", "rho", "lr_decay", "alpha", "k",
         "final_lr", "gamma", "clamp", "trust_coefficient", "beta2_decay")  # fmt: skip


def rule_of(optimizer: torch.optim.Optimizer) -> Rule | str:
    """The rule that does what this optimizer does, or the reason why there is none."""
    kind = type(optimizer)
    place = f"{kind.__module__}.{kind.__qualname__}"
    if place == _LOOKAHEAD:
        if _option(optimizer, "pullback_momentum") != "none":
            return f"no stacked update for {kind.__qualname__} that changes the momentum"
        inner = rule_of(_inner(optimizer))
        return inner if isinstance(inner, str) else _lookahead(inner)
    rule = _BY_CLASS.get(place)
    if rule is None:
        return f"no stacked update for {kind.__qualname__}"
    for option in _REFUSED:
        if _option(optimizer, option):
            return f"no stacked update for {kind.__qualname__} with {option}"
    for option, value in _NEEDED.get(rule.name, {}).items():
        if _option(optimizer, option) != value:
            return f"no stacked update for {kind.__qualname__} with this {option}"
    if _option(optimizer, "ams_bound"):
        return library_updates.AMSBOUND
    if _option(optimizer, "amsgrad"):
        return AMSGRAD if rule is ADAM else f"no stacked update for {kind.__qualname__} of AMSGrad"
    return SGD if rule is MOMENTUM and _option(optimizer, "momentum") == 0 else rule


def decoupled(optimizer: torch.optim.Optimizer) -> bool:
    """Whether weight decay shrinks the weights instead of adding to the gradient."""
    return bool(
        _option(optimizer, "decoupled_weight_decay")
        or _option(optimizer, "weight_decouple")
        or isinstance(_inner(optimizer), torch.optim.AdamW)  # before torch 2.7 it has no flag
    )


def settings_of(optimizers: Sequence[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """What the rules read of each member's optimizer, each (M,) in float64."""
    found: dict[str, list[float]] = {}
    for optimizer in optimizers:
        for name in _READ:
            value = _option(optimizer, name)
            if isinstance(value, (int, float)):
                found.setdefault(name, []).append(float(value))
        for position, beta in enumerate(_option(optimizer, "betas") or ()):
            found.setdefault(f"beta{position + 1}", []).append(float(beta))
        decay = max(float(group["weight_decay"]) for group in optimizer.param_groups)
        found.setdefault("weight_decay", []).append(decay)
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in found.items()}


def _option(optimizer: torch.optim.Optimizer, name: str) -> Any:
    """An option of the first group, else one that the optimizer itself holds, else None."""
    first = optimizer.param_groups[0]
    return first[name] if name in first else getattr(optimizer, name, None)


def _inner(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """What a wrapper steps with."""
    found: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return found


@functools.cache
def _lookahead(inner: Rule) -> Rule:
    """Zhang et al. 2019: every k steps the weights go back a part of the way to slow ones."""

    def table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
        meets = (steps % settings["k"] == 0).double()
        return [*inner.table(settings, rates, steps), meets * (1.0 - settings["alpha"]), meets]

    def update(
        weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
    ) -> None:
        inner.update(weights, gradients, states[:-1], columns[:-2], parts)
        slow, (back, meets) = states[-1], columns[-2:]
        weights.lerp_(slow, back)
        slow.lerp_(weights, meets)

    return Rule(
        f"lookahead {inner.name}", inner.states, table, update, inner.copies + 1, inner.own_decay
    )
