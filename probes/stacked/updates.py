"""The updates of ``torch.optim`` (and of Lion) for many members at once.

What depends on the step alone (rate, bias corrections) is computed before the training in float64,
as a table over all steps; a step then is a few operations on whole tensors.
"""

from __future__ import annotations

import torch
from torch import Tensor

from probes.stacked.rule import Columns, Parts, Rule, Settings, States


def _sgd_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    return [-rates]


def _sgd(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    weights.addcmul_(gradients, columns[0])


def _momentum_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    momentum, nesterov = settings["momentum"], settings["nesterov"]
    ahead = torch.where(nesterov > 0, momentum, torch.ones_like(momentum))
    return [momentum, -rates * nesterov, -rates * ahead]


def _momentum(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    (buffer,), (momentum, now, past) = states, columns
    buffer.mul_(momentum).add_(gradients)
    weights.addcmul_(gradients, now).addcmul_(buffer, past)


def moments(settings: Settings, steps: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
    """Weights of what is new in both moments, and their bias corrections (T, M)."""
    beta1, beta2 = settings["beta1"], settings["beta2"]
    return [1.0 - beta1, 1.0 - beta2], 1.0 - beta1**steps, 1.0 - beta2**steps


def follow(gradients: Tensor, states: States, columns: Columns) -> None:
    """Running means of the gradient and of its square; of the gradients, their memory is left."""
    states[0].lerp_(gradients, columns[0])
    states[1].lerp_(gradients.square_(), columns[1])


def _adam_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    columns, first, second = moments(settings, steps)
    root = second.sqrt()  # of the second moment's correction, taken into epsilon and rate
    return [*columns, settings["eps"] * root, -rates * root / first]


def _adam(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    follow(gradients, states, columns)
    eps, rate = columns[2:]
    root = torch.sqrt(states[1], out=gradients).add_(eps)
    weights.addcmul_(torch.div(states[0], root, out=gradients), rate)


def _amsgrad(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    follow(gradients, states, columns)
    torch.maximum(states[2], states[1], out=states[2])
    eps, rate = columns[2:]
    root = torch.sqrt(states[2], out=gradients).add_(eps)
    weights.addcmul_(torch.div(states[0], root, out=gradients), rate)


def _nadam_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    columns, _, second = moments(settings, steps)
    decay, beta1 = settings["momentum_decay"], settings["beta1"]
    now = beta1 * (1.0 - 0.5 * 0.96 ** (steps * decay))
    following = beta1 * (1.0 - 0.5 * 0.96 ** ((steps + 1.0) * decay))
    product = now.cumprod(0)
    return [
        *columns, second.rsqrt(), settings["eps"],
        -rates * (1.0 - now) / (1.0 - product),
        -rates * following / (1.0 - product * following),
    ]  # fmt: skip


def _nadam(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    root, eps, now, past = columns[2:]
    step = gradients * now
    follow(gradients, states, columns)
    step.addcmul_(states[0], past)
    weights.addcdiv_(step, torch.sqrt(states[1], out=gradients).mul_(root).add_(eps))


def _radam_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    columns, first, second = moments(settings, steps)
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


def _radam(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    follow(gradients, states, columns)
    eps, adaptive, plain = columns[2:]
    root = torch.sqrt(states[1], out=gradients).add_(eps)
    weights.addcdiv_(states[0] * adaptive, root).addcmul_(states[0], plain)


def _adamax_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    (new, _), first, _ = moments(settings, steps)
    return [new, settings["beta2"], settings["eps"], -rates / first]


def _adamax(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    (mean, largest), (new, beta2, eps, rate) = states, columns
    mean.lerp_(gradients, new)
    largest.copy_(torch.maximum(largest * beta2, gradients.abs().add_(eps)))
    weights.addcdiv_(mean * rate, largest)


def _adadelta_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    return [1.0 - settings["rho"], settings["eps"], -rates]


def _adadelta(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    (squares, changes), (new, eps, rate) = states, columns
    squares.lerp_(gradients.square(), new)
    change = (changes + eps).sqrt_().div_((squares + eps).sqrt_()).mul_(gradients)
    changes.lerp_(change.square(), new)
    weights.addcmul_(change, rate)


def _adagrad_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    return [settings["eps"], -rates / (1.0 + (steps - 1.0) * settings["lr_decay"])]


def _adagrad(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    (squares,), (eps, rate) = states, columns
    squares.addcmul_(gradients, gradients)
    weights.addcdiv_(gradients * rate, squares.sqrt().add_(eps))


def _rmsprop_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    return [1.0 - settings["alpha"], settings["eps"], settings["momentum"], -rates]


def _rmsprop(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    (squares, buffer), (new, eps, momentum, rate) = states, columns
    squares.lerp_(gradients.square(), new)
    buffer.mul_(momentum).addcdiv_(gradients, squares.sqrt().add_(eps))
    weights.addcmul_(buffer, rate)


def _lion_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    return [1.0 - settings["beta1"], 1.0 - settings["beta2"], -rates]


def _lion(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    (mean,), (ahead, new, rate) = states, columns
    step = mean.lerp(gradients, ahead).sign_()
    mean.lerp_(gradients, new)
    weights.addcmul_(step, rate)


SGD = Rule("sgd", 0, _sgd_table, _sgd)
MOMENTUM = Rule("momentum", 1, _momentum_table, _momentum)
ADAM = Rule("adam", 2, _adam_table, _adam)
AMSGRAD = Rule("amsgrad", 3, _adam_table, _amsgrad)
NADAM = Rule("nadam", 2, _nadam_table, _nadam)
RADAM = Rule("radam", 2, _radam_table, _radam)
ADAMAX = Rule("adamax", 2, _adamax_table, _adamax)
ADADELTA = Rule("adadelta", 2, _adadelta_table, _adadelta)
ADAGRAD = Rule("adagrad", 1, _adagrad_table, _adagrad)
RMSPROP = Rule("rmsprop", 2, _rmsprop_table, _rmsprop)
LION = Rule("lion", 1, _lion_table, _lion)
