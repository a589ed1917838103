"""The updates that look at each weight tensor as a whole: LAMB, LARS, Adafactor.

Their norms are those of one tensor of one member, so they go through the parts of the rows one by
one, all members at once. Their weight decay goes into the norms, or comes after them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from probes.stacked.rule import Columns, Part, Parts, Rule, Settings, States
from probes.stacked.updates import follow, moments


def _norm(rows: Tensor) -> Tensor:
    """Of each row, as a column."""
    norm: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return norm


def _of(part: Part, *tensors: Tensor) -> list[Tensor]:
    return [tensor[:, part.begin : part.end] for tensor in tensors]


def _lamb_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    columns, _, _ = moments(settings, steps)
    return [*columns, settings["eps"], settings["weight_decay"], settings["clamp"], -rates]


def _lamb(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    follow(gradients, states, columns)
    eps, decay, largest, rate = columns[2:]
    root = torch.sqrt(states[1], out=gradients).add_(eps)
    steps = torch.div(states[0], root, out=gradients)
    for part in parts:
        own, step = _of(part, weights, steps)
        if part.decayed:
            step.addcmul_(own, decay)
        ours, theirs = torch.minimum(_norm(own), largest), _norm(step)
        trust = torch.where((ours != 0.0) & (theirs != 0.0), ours / (theirs + eps), 1.0)
        own.addcmul_(step, rate * trust)


def _lars_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    return [settings["momentum"], settings["trust_coefficient"], settings["weight_decay"], -rates]


def _lars(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    momentum, coefficient, decay, rate = columns
    for part in parts:
        if len(part.shape) < 2:
            continue
        own, step = _of(part, weights, gradients)
        ours = _norm(own)
        theirs = _norm(step) + decay * ours if part.decayed else _norm(step)
        trust = torch.where((ours > 0.0) & (theirs > 0.0), coefficient * ours / theirs, 1.0)
        if part.decayed:
            step.addcmul_(own, decay)
        step.mul_(trust)
    states[0].mul_(momentum).add_(gradients)
    weights.addcmul_(states[0], rate)


_LEAST_SCALE = 1e-3
"""Adafactor's second epsilon: a tensor counts as at least this large."""


def _adafactor_table(settings: Settings, rates: Tensor, steps: Tensor) -> list[Tensor]:
    return [
        steps ** settings["beta2_decay"], torch.minimum(rates, steps.rsqrt()),
        1.0 - rates * settings["weight_decay"],
    ]  # fmt: skip


def _adafactor(
    weights: Tensor, gradients: Tensor, states: States, columns: Columns, parts: Parts
) -> None:
    new, rate, shrink = columns
    tiny = torch.finfo(weights.dtype).eps
    for part in parts:
        own, gradient, first, second = _of(part, weights, gradients, *states)
        root = (part.end - part.begin) ** 0.5
        scale = (_norm(own) / root).clamp_(min=_LEAST_SCALE)
        if part.decayed:
            own.mul_(shrink)
        squares = _squares(part, gradient, first, second, new, tiny)
        step = squares.clamp(min=tiny**2).rsqrt_().mul_(gradient)
        own.addcmul_(step, -scale * rate / (_norm(step) / root).clamp_(min=1.0))


def _squares(
    part: Part, gradient: Tensor, first: Tensor, second: Tensor, new: Tensor, tiny: float
) -> Tensor:
    """The second moment (M, numbers): of a matrix the product of its rows' and columns' means.

    They are kept in the front of the states' places for the matrix.
    """
    members, shape = len(gradient), part.shape
    if len(shape) < 2:
        return first.lerp_(gradient.square(), new)
    matrices = gradient.reshape(members, -1, *shape[-2:]).square()
    means = matrices.mean(3).flatten(1), matrices.mean(2).flatten(1)
    kept = first[:, : means[0].shape[1]], second[:, : means[1].shape[1]]
    for state, mean in zip(kept, means, strict=True):
        state.lerp_(mean, new)
    rows = kept[0].reshape(members, -1, shape[-2], 1)
    columns = kept[1].reshape(members, -1, 1, shape[-1])
    squares = rows * columns / rows.mean(2, keepdim=True).clamp_(min=tiny)
    return squares.view(members, -1)


LAMB = Rule("lamb", 2, _lamb_table, _lamb, own_decay=True)
LARS = Rule("lars", 1, _lars_table, _lars, own_decay=True)
ADAFACTOR = Rule("adafactor", 2, _adafactor_table, _adafactor, own_decay=True)
