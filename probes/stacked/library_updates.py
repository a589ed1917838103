"""The element-wise updates of ``pytorch_optimizer`` for many members at once."""

from __future__ import annotations

import torch
from torch import Tensor

from probes.stacked.rule import Columns, Parts, Rule, Settings, States
from probes.stacked.updates import follow, moments


def _adan_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    beta2, beta3 = settings["beta2"], settings["beta3"]
    root = (1.0 - beta3**steps).sqrt()  # taken into epsilon and rates
    return [
        1.0 - settings["beta1"], 1.0 - beta2, 1.0 - beta3, beta2,
        (steps > 1.0).double(),  # the first difference is none
        settings["eps"] * root,
        -rates * root / (1.0 - settings["beta1"] ** steps),
        -rates * root * beta2 / (1.0 - beta2**steps),
    ]  # fmt: skip


def _adan(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    mean, changes, squares, last = states
    new, new_change, new_square, share, later, eps, rate, change_rate = columns
    change = (gradients - last).mul_(later)
    last.copy_(gradients)
    mean.lerp_(gradients, new)
    changes.lerp_(change, new_change)
    squares.lerp_(gradients.addcmul_(change, share).square_(), new_square)
    root = torch.sqrt(squares, out=gradients).add_(eps)
    step = torch.mul(mean, rate, out=change).addcmul_(changes, change_rate)
    weights.addcdiv_(step, root)


def _adopt_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    later = (steps > 1.0).double()  # the first step makes no update, and its squares are the mean
    return [
        later * (1.0 - settings["beta1"]), 1.0 - later * settings["beta2"], settings["eps"],
        (steps - 1.0) ** 0.25, -rates * later,
    ]  # fmt: skip


def _adopt(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    (mean, squares), (new, new_square, eps, bound, rate) = states, columns
    root = torch.maximum(squares.sqrt(), eps)
    step = torch.div(gradients, root, out=root)
    torch.minimum(torch.maximum(step, -bound, out=step), bound, out=step)
    mean.lerp_(step, new)
    weights.addcmul_(mean, rate)
    squares.lerp_(gradients.square_(), new_square)


def _adabound_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    columns, first, second = moments(settings, steps)
    final = settings["final_lr"] * rates / settings["lr"]
    slow = settings["gamma"] * steps
    return [
        *columns, settings["eps"], rates * second.sqrt() / first,
        final * (1.0 - 1.0 / (slow + 1.0)), final * (1.0 + 1.0 / slow),
    ]  # fmt: skip


def _bounded(
    weights: Tensor, mean: Tensor, squares: Tensor, memory: Tensor, columns: Columns
) -> None:
    eps, rate, low, high = columns
    torch.add(squares, 1e-15, out=memory).sqrt_().add_(eps)
    torch.div(rate, memory, out=memory)
    torch.minimum(torch.maximum(memory, low, out=memory), high, out=memory)
    weights.sub_(memory.mul_(mean))


def _adabound(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    follow(gradients, states, columns)
    _bounded(weights, states[0], states[1], gradients, columns[2:])


def _amsbound(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    follow(gradients, states, columns)
    torch.maximum(states[2], states[1], out=states[2])
    _bounded(weights, states[0], states[2], gradients, columns[2:])


ADAN = Rule("adan", 4, _adan_table, _adan)
ADOPT = Rule("adopt", 2, _adopt_table, _adopt)
ADABOUND = Rule("adabound", 2, _adabound_table, _adabound)
AMSBOUND = Rule("amsbound", 3, _adabound_table, _amsbound)
