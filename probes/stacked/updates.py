"""Optimizer updates for many members at once, each member with settings of its own.

The weights of M members are the rows of one (M, P) tensor, and so are the gradients and each state.
Every setting is a column (M, 1), so one update serves members that differ in rate, momentum or
decay. What depends on the step alone (rate, bias corrections) is computed before the training in
float64, as a table over all steps; a step then is a few operations on whole tensors.

The rules are those of ``torch.optim`` (and Lion's of ``pytorch_optimizer``); they are linear in
the learning rate. Settings are read from the real optimizer's parameter groups, so a rule does
not depend on how a recipe spells them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Columns = Sequence[Tensor]
"""Settings of one step, each (M, 1)."""
Settings = Mapping[str, Tensor]
"""Settings by name, each (M,) in float64."""


@dataclass(frozen=True)
class Rule:
    """One update rule.

    Attributes:
        name: Members of the same rule share a stack.
        states: State tensors like the weights, zero at the start.
        table: From settings, rates (T, M) and step numbers (T, 1) counted from 1 to the columns of
            all steps, each broadcastable to (T, M).
        update: Changes weights and states in place: (weights, gradients, states, columns). It may
            use up the gradients: new memory for so many numbers costs more than computing them.
    """

    name: str
    states: int
    table: Callable[[Settings, Tensor, Tensor], list[Tensor]]
    update: Callable[[Tensor, Tensor, Sequence[Tensor], Columns], None]


def _sgd_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    return [-rates]


def _sgd(weights: Tensor, gradients: Tensor, states: Sequence[Tensor], columns: Columns) -> None:
    weights.addcmul_(gradients, columns[0])


def _momentum_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    momentum, nesterov = settings["momentum"], settings["nesterov"]
    ahead = torch.where(nesterov > 0, momentum, torch.ones_like(momentum))
    return [momentum, -rates * nesterov, -rates * ahead]


def _momentum(
    weights: Tensor, gradients: Tensor, states: Sequence[Tensor], columns: Columns
) -> None:
    (buffer,), (momentum, now, past) = states, columns
    buffer.mul_(momentum).add_(gradients)
    weights.addcmul_(gradients, now).addcmul_(buffer, past)


def _moments(settings: Settings, steps: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
    """Weights of what is new in both moments, and their bias corrections (T, M)."""
    beta1, beta2 = settings["beta1"], settings["beta2"]
    return [1.0 - beta1, 1.0 - beta2], 1.0 - beta1**steps, 1.0 - beta2**steps


def _follow(gradients: Tensor, states: Sequence[Tensor], columns: Columns) -> None:
    """Running means of the gradient and of its square; of the gradients, their memory is left."""
    states[0].lerp_(gradients, columns[0])
    states[1].lerp_(gradients.square_(), columns[1])


def _adam_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    columns, first, second = _moments(settings, steps)
    return [*columns, second.rsqrt(), settings["eps"], -rates / first]


def _adam(weights: Tensor, gradients: Tensor, states: Sequence[Tensor], columns: Columns) -> None:
    _follow(gradients, states, columns)
    root, eps, rate = columns[2:]
    weights.addcdiv_(states[0] * rate, torch.sqrt(states[1], out=gradients).mul_(root).add_(eps))


def _amsgrad(
    weights: Tensor, gradients: Tensor, states: Sequence[Tensor], columns: Columns
) -> None:
    _follow(gradients, states, columns)
    states[2].copy_(torch.maximum(states[2], states[1]))
    root, eps, rate = columns[2:]
    weights.addcdiv_(states[0] * rate, torch.sqrt(states[2], out=gradients).mul_(root).add_(eps))


def _nadam_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    columns, _, second = _moments(settings, steps)
    decay, beta1 = settings["momentum_decay"], settings["beta1"]
    now = beta1 * (1.0 - 0.5 * 0.96 ** (steps * decay))
    following = beta1 * (1.0 - 0.5 * 0.96 ** ((steps + 1.0) * decay))
    product = now.cumprod(0)
    return [
        *columns, second.rsqrt(), settings["eps"],
        -rates * (1.0 - now) / (1.0 - product),
        -rates * following / (1.0 - product * following),
    ]  # fmt: skip


def _nadam(weights: Tensor, gradients: Tensor, states: Sequence[Tensor], columns: Columns) -> None:
    root, eps, now, past = columns[2:]
    step = gradients * now
    _follow(gradients, states, columns)
    step.addcmul_(states[0], past)
    weights.addcdiv_(step, torch.sqrt(states[1], out=gradients).mul_(root).add_(eps))


def _radam_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    columns, first, second = _moments(settings, steps)
    beta2 = settings["beta2"]
    longest = 2.0 / (1.0 - beta2) - 1.0
    length = longest - 2.0 * steps * beta2**steps / second
    rectified = length > 5.0
    safe = length.clamp(min=5.0)
    factor = (safe - 4.0) * (safe - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * safe)
    plain = -rates / first
    adaptive = plain * (factor.clamp(min=0.0) * second).sqrt()
    nothing = torch.zeros_like(plain)
    return [
        *columns, settings["eps"],
        torch.where(rectified, adaptive, nothing), torch.where(rectified, nothing, plain),
    ]  # fmt: skip


def _radam(weights: Tensor, gradients: Tensor, states: Sequence[Tensor], columns: Columns) -> None:
    _follow(gradients, states, columns)
    eps, adaptive, plain = columns[2:]
    root = torch.sqrt(states[1], out=gradients).add_(eps)
    weights.addcdiv_(states[0] * adaptive, root).addcmul_(states[0], plain)


def _adamax_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    (new, _), first, _ = _moments(settings, steps)
    return [new, settings["beta2"], settings["eps"], -rates / first]


def _adamax(weights: Tensor, gradients: Tensor, states: Sequence[Tensor], columns: Columns) -> None:
    (mean, largest), (new, beta2, eps, rate) = states, columns
    mean.lerp_(gradients, new)
    largest.copy_(torch.maximum(largest * beta2, gradients.abs().add_(eps)))
    weights.addcdiv_(mean * rate, largest)


def _adadelta_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    return [1.0 - settings["rho"], settings["eps"], -rates]


def _adadelta(
    weights: Tensor, gradients: Tensor, states: Sequence[Tensor], columns: Columns
) -> None:
    (squares, changes), (new, eps, rate) = states, columns
    squares.lerp_(gradients.square(), new)
    change = (changes + eps).sqrt_().div_((squares + eps).sqrt_()).mul_(gradients)
    changes.lerp_(change.square(), new)
    weights.addcmul_(change, rate)


def _adagrad_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    return [settings["eps"], -rates / (1.0 + (steps - 1.0) * settings["lr_decay"])]


def _adagrad(
    weights: Tensor, gradients: Tensor, states: Sequence[Tensor], columns: Columns
) -> None:
    (squares,), (eps, rate) = states, columns
    squares.addcmul_(gradients, gradients)
    weights.addcdiv_(gradients * rate, squares.sqrt().add_(eps))


def _rmsprop_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    return [1.0 - settings["alpha"], settings["eps"], settings["momentum"], -rates]


def _rmsprop(
    weights: Tensor, gradients: Tensor, states: Sequence[Tensor], columns: Columns
) -> None:
    (squares, buffer), (new, eps, momentum, rate) = states, columns
    squares.lerp_(gradients.square(), new)
    buffer.mul_(momentum).addcdiv_(gradients, squares.sqrt().add_(eps))
    weights.addcmul_(buffer, rate)


def _lion_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    return [1.0 - settings["beta1"], 1.0 - settings["beta2"], -rates]


def _lion(weights: Tensor, gradients: Tensor, states: Sequence[Tensor], columns: Columns) -> None:
    (mean,), (ahead, new, rate) = states, columns
    step = mean.lerp(gradients, ahead).sign_()
    mean.lerp_(gradients, new)
    weights.addcmul_(step, rate)


SGD = Rule("sgd", 0, _sgd_table, _sgd)
MOMENTUM = Rule("momentum", 1, _momentum_table, _momentum)
ADAM = Rule("adam", 2, _adam_table, _adam)
AMSGRAD = Rule("amsgrad", 3, _adam_table, _amsgrad)
_BY_CLASS = {
    "torch.optim.sgd.SGD": MOMENTUM,
    "torch.optim.adam.Adam": ADAM,
    "torch.optim.adamw.AdamW": ADAM,
    "torch.optim.nadam.NAdam": Rule("nadam", 2, _nadam_table, _nadam),
    "torch.optim.radam.RAdam": Rule("radam", 2, _radam_table, _radam),
    "torch.optim.adamax.Adamax": Rule("adamax", 2, _adamax_table, _adamax),
    "torch.optim.adadelta.Adadelta": Rule("adadelta", 2, _adadelta_table, _adadelta),
    "torch.optim.adagrad.Adagrad": Rule("adagrad", 1, _adagrad_table, _adagrad),
    "torch.optim.rmsprop.RMSprop": Rule("rmsprop", 2, _rmsprop_table, _rmsprop),
    "pytorch_optimizer.optimizer.lion.Lion": Rule("lion", 1, _lion_table, _lion),
}
_REFUSED = ("maximize", "dampening", "centered", "initial_accumulator_value", "fixed_decay",
            "adanorm", "use_gc", "cautious", "differentiable")  # fmt: skip
"""Options of these classes that the rules do not have; unset in every row of the catalogue."""
_READ = ("momentum", "nesterov", "eps", "momentum_decay", "rho", "lr_decay", "alpha")


def rule_of(optimizer: torch.optim.Optimizer) -> Rule | str:
    """The rule that does what this optimizer does, or the reason why there is none."""
    kind = type(optimizer)
    rule = _BY_CLASS.get(f"{kind.__module__}.{kind.__qualname__}")
    if rule is None:
        return f"no stacked update for {kind.__qualname__}"
    for group in optimizer.param_groups:
        for option in _REFUSED:
            if group.get(option) or optimizer.__dict__.get(option):
                return f"no stacked update for {kind.__qualname__} with {option}"
    first = optimizer.param_groups[0]
    if first.get("amsgrad"):
        return AMSGRAD if rule is ADAM else f"no stacked update for {kind.__qualname__} of AMSGrad"
    return SGD if rule is MOMENTUM and first["momentum"] == 0 else rule


def decoupled(optimizer: torch.optim.Optimizer) -> bool:
    """Whether weight decay shrinks the weights instead of adding to the gradient."""
    first = optimizer.param_groups[0]
    return bool(
        first.get("decoupled_weight_decay")
        or first.get("weight_decouple")
        or isinstance(optimizer, torch.optim.AdamW)  # releases before 2.7 have no flag for it
    )


def settings_of(optimizers: Sequence[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """What the rules read, from the first group of each member's optimizer."""
    groups = [optimizer.param_groups[0] for optimizer in optimizers]
    found: dict[str, list[Any]] = {
        name: [float(group[name]) for group in groups] for name in _READ if name in groups[0]
    }
    for position, name in enumerate(("beta1", "beta2")):
        if "betas" in groups[0]:
            found[name] = [float(group["betas"][position]) for group in groups]
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in found.items()}
