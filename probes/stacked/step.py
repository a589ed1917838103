"""One training step of many members: gradients by ``torch.func``, then the update on whole tensors.

The trainable parameters of a member are one row of a flat (M, P) tensor, decayed ones in front, so
clipping, weight decay and the optimizer are a few operations, however many parameters there are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from probes.batch import Batch
from probes.objective import call, split
from probes.recipe.parameter_groups import parameter_groups
from probes.stacked.dropout import with_member_dropout
from probes.stacked.losses import StackLoss
from probes.stacked.rule import Part, Rule


class Layout:
    """Where each trainable parameter of a model lies in a member's row.

    Args:
        model: Any member's model; the others have the same parameters.

    Attributes:
        parts: The places, in order.
        decayed: Columns with weight decay, all in front.
        names: The parameters' names, in order.
    """

    def __init__(self, model: nn.Module) -> None:
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        self.parts: list[Part] = []
        end = self.decayed = 0
        for group in parameter_groups(model, 1.0):
            decayed = bool(group["weight_decay"])
            for parameter in group["params"]:
                begin, end = end, end + parameter.numel()
                part = Part(names[id(parameter)], parameter.shape, begin, end, decayed)
                self.parts.append(part)
            if decayed:
                self.decayed = end
        self.names = [part.name for part in self.parts]

    def row(self, model: nn.Module) -> Tensor:
        """The model's trainable parameters as one vector."""
        return torch.cat([model.get_parameter(name).detach().flatten() for name in self.names])

    def named(self, row: Tensor) -> dict[str, Tensor]:
        """The parameters that a row (P,) holds, as views of it."""
        pieces = torch.split(row, [part.end - part.begin for part in self.parts])
        return {
            part.name: piece.view(part.shape)
            for piece, part in zip(pieces, self.parts, strict=True)
        }


class _Call:
    """Stands for a model whose tensors are given from outside."""

    def __init__(self, skeleton: nn.Module, tensors: dict[str, Tensor]) -> None:
        self._skeleton, self._tensors = skeleton, tensors

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return functional_call(self._skeleton, self._tensors, arguments, named)


@dataclass(frozen=True)
class Kind:
    """What decides the operations of a step, beside the model and the loss.

    Attributes:
        rule: The update.
        clips: Whether any member's gradients are clipped.
        coupled: Whether any member's weight decay is added to its gradient.
        decoupled: Whether any member's weight decay shrinks its weights.
        shared: Whether all members get the same batch.
        redraw: Whether random operations of the model are allowed, each member drawing its own.
        inside: Whether ``vmap`` is over members' gradients, not over their losses alone.
    """

    rule: Rule
    clips: bool
    coupled: bool
    decoupled: bool
    shared: bool
    redraw: bool
    inside: bool


Gradients = Callable[..., tuple[Tensor, Tensor]]
"""Takes weights, rest, batch and smoothing; returns gradients (M, P) and losses (M,)."""
Step = Callable[..., Tensor]
"""Takes all tensors of a step; changes weights, states and buffers, returns the losses (M,)."""


def gradients_of(
    model: nn.Module, layout: Layout, loss: StackLoss, kind: Kind, generators: list[torch.Generator]
) -> Gradients:
    """A function of (weights, rest, batch, smoothing) to gradients (M, P) and losses (M,).

    A compiler makes the most of ``vmap`` over the gradient of a member, and some models run in no
    other form. Without a compiler that spends more time in the layers of ``torch.func`` than in
    arithmetic. Members share no weight, so the gradient of the sum of their losses is the same,
    and autograd takes it on plain tensors.

    Args:
        model: Gives the structure; all its tensors come from outside.
        layout: Where its parameters lie in a row.
        loss: Of the members.
        kind: Whether the batch is shared, random operations are allowed, and which form to take.
        generators: Of each member, for dropout that is not drawn for all of them at once.
    """
    skeleton = copy.deepcopy(model).train()
    for module in skeleton.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd) and module.p == 0.0:
            module.eval()  # draws nothing, but would be refused as a random operation
    dropouts = [] if kind.redraw else with_member_dropout(skeleton, generators)

    def own(row: Tensor, rest: dict[str, Tensor], amount: Tensor) -> Any:
        for dropout in dropouts:
            dropout.member = amount
        return _Call(skeleton, {**layout.named(row), **rest})

    def member(row: Tensor, rest: dict[str, Tensor], batch: Batch, amount: Tensor) -> Tensor:
        return loss.member(own(row, rest, amount), batch, amount)

    def answers(row: Tensor, rest: dict[str, Tensor], batch: Batch, amount: Tensor) -> Any:
        inputs, targets = split(batch)
        return call(own(row, rest, amount), inputs), targets

    def stacked(function: Callable[..., Any]) -> Callable[..., Any]:
        randomness = "different" if kind.redraw else "error"
        over: Callable[..., Any] = vmap(
            function, (0, 0, None if kind.shared else 0, 0), randomness=randomness
        )
        return over

    if kind.inside:
        within: Gradients = stacked(grad_and_value(member))
        return within
    together, losses_of, answers_of = loss.together, stacked(member), stacked(answers)

    def gradients(
        weights: Tensor, rest: dict[str, Tensor], batch: Batch, smoothing: Tensor
    ) -> tuple[Tensor, Tensor]:
        leaf = weights.detach().requires_grad_()
        if together is None:
            losses = losses_of(leaf, rest, batch, smoothing)
        else:
            outputs, targets = answers_of(leaf, rest, batch, smoothing)
            losses = together(outputs, targets, smoothing)
        return torch.autograd.grad(losses.sum(), leaf)[0], losses.detach()

    return gradients


def step_of(gradients_of_all: Gradients, layout: Layout, kind: Kind) -> Step:
    """A step of all members: gradients, clipping, weight decay, update."""
    decayed, parts = layout.decayed, layout.parts

    def step(
        weights: Tensor, states: list[Tensor], rest: dict[str, Tensor], batch: Batch,
        smoothing: Tensor, max_norms: Tensor, columns: tuple[Tensor, ...],
    ) -> Tensor:  # fmt: skip
        gradients, losses = gradients_of_all(weights, rest, batch, smoothing)
        with torch.no_grad():
            if kind.clips:  # as torch.nn.utils.clip_grad_norm_, for each row
                norms = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
                gradients.mul_((max_norms / (norms + 1e-6)).clamp(max=1.0))
            if kind.coupled:
                gradients[:, :decayed].addcmul_(weights[:, :decayed], columns[0])
            if kind.decoupled:
                weights[:, :decayed].mul_(columns[1])
            kind.rule.update(weights, gradients, states, columns[2:], parts)
        return losses

    return step


def compiled_step(step: Step) -> Step:
    """The step through ``torch.compile``.

    The compiler counts the forms of a function by its code object and gives up after a few. Here
    each step has a code object of its own.
    """
    code = step.__code__.replace(co_name=f"step_{id(step)}")
    own = FunctionType(code, step.__globals__, code.co_name, None, step.__closure__)
    made: Step = torch.compile(own, dynamic=False)
    return made
