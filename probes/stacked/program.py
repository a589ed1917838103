"""Many models of one architecture as one tensor program: their weights in rows, stepped together.

Each member's own module keeps working all the time: its parameters and buffers are views of its
row, so that it is evaluated, saved and copied like any other.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from probes.batch import Batch
from probes.stacked.losses import StackLoss
from probes.stacked.rule import Rule
from probes.stacked.rules import decoupled, rule_of, settings_of
from probes.stacked.step import Kind, Layout, Step, compiled_step, gradients_of, step_of


class Program:
    """The stacked training of M members that share model, batch size and update rule.

    Args:
        models: The members' models on their device; they become views of the stack.
        optimizers: The members' real optimizers, read for their settings alone.
        rates: Learning rate of each step and member, (T, M), float64.
        loss: Loss of the members.
        smoothing: Label smoothing of each member.
        max_norms: Norm that each member's gradients are scaled down to, infinity for none.
        generators: Each member's, for its dropout.
        shared: Whether all members get the same batch.
        redraw: Whether random operations of the model are allowed, each member drawing its own.
        inside: Whether ``vmap`` is over members' gradients, which is slower but for compiled steps.
        compiled: Compiled steps of earlier programs for the same model and loss; this one's is
            taken from here or added. None runs the step as it is.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        optimizers: Sequence[torch.optim.Optimizer],
        rates: Tensor,
        loss: StackLoss,
        smoothing: Sequence[float],
        max_norms: Sequence[float],
        generators: Sequence[torch.Generator],
        *,
        shared: bool,
        redraw: bool = False,
        inside: bool = False,
        compiled: dict[Kind, Step] | None = None,
    ) -> None:
        rule = rule_of(optimizers[0])
        if isinstance(rule, str):
            raise TypeError(rule)
        self.models = list(models)
        self.layout = Layout(models[0])
        self.weights = torch.stack([self.layout.row(model) for model in models])
        self.states = [torch.zeros_like(self.weights) for _ in range(rule.states)]
        self.states += [self.weights.clone() for _ in range(rule.copies)]
        trained = set(self.layout.names)
        self.rest = {  # buffers and frozen parameters
            name: torch.stack([_tensor(model, name).detach() for model in models])
            for name, _ in [*models[0].named_buffers(), *models[0].named_parameters()]
            if name not in trained
        }
        like = self.weights
        self.smoothing = torch.tensor(smoothing, dtype=like.dtype, device=like.device)
        self.max_norms = torch.tensor(max_norms, dtype=like.dtype, device=like.device)[:, None]
        table, coupled, loose = _table(rule, optimizers, rates)
        self.table = table.to(like.device, like.dtype)
        clips = any(norm < float("inf") for norm in max_norms)
        kind = Kind(rule, clips, coupled, loose, shared, redraw, inside)
        self._generators = list(generators)
        self._gradients = gradients_of(models[0], self.layout, loss, kind, self._generators)
        self._step = step_of(self._gradients, self.layout, kind)
        if compiled is not None:
            if kind not in compiled:
                compiled[kind] = compiled_step(self._step)
            self._step = compiled[kind]
        self._attach()

    def step(self, batch: Batch, position: int) -> Tensor:
        """One update of all members.

        Args:
            batch: Tensors with a leading dimension of members, or without where it is shared.
            position: Number of steps done before.

        Returns:
            Each member's loss before the update, (M,).
        """
        columns = self.table[position].unbind(0)
        return self._step(
            self.weights, self.states, self.rest, batch, self.smoothing, self.max_norms, columns
        )

    def gradients(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Gradients (M, P) and losses (M,) on a batch, nothing updated but the models' buffers."""
        return self._gradients(self.weights, self.rest, batch, self.smoothing)

    def keep(self, members: list[int]) -> None:
        """Go on with these members alone; the others must have been released."""
        chosen = torch.tensor(members, device=self.weights.device)
        self.models = [self.models[position] for position in members]
        self.weights = self.weights[chosen]
        self.states = [state[chosen] for state in self.states]
        self.rest = {name: stacked[chosen] for name, stacked in self.rest.items()}
        self.smoothing, self.max_norms = self.smoothing[chosen], self.max_norms[chosen]
        self.table = self.table[:, :, chosen]
        self._generators[:] = [self._generators[position] for position in members]
        self._attach()

    def release(self, member: int) -> None:
        """Give a member's module memory of its own: further steps leave it as it is."""
        model = self.models[member]
        for name in [*self.layout.names, *self.rest]:
            tensor = _tensor(model, name)
            tensor.data = tensor.data.clone()

    def _attach(self) -> None:
        for position, model in enumerate(self.models):
            for name, view in self.layout.named(self.weights[position]).items():
                model.get_parameter(name).data = view
            for name, stacked in self.rest.items():
                _tensor(model, name).data = stacked[position]


def _tensor(model: nn.Module, name: str) -> Tensor:
    path, _, attribute = name.rpartition(".")
    found: Tensor = getattr(model.get_submodule(path), attribute)
    return found


def _table(
    rule: Rule, optimizers: Sequence[torch.optim.Optimizer], rates: Tensor
) -> tuple[Tensor, bool, bool]:
    """All columns of all steps, (T, columns, M, 1); whether any decay is coupled, or decoupled."""
    settings = settings_of(optimizers)
    decays = torch.zeros(len(optimizers), dtype=torch.float64)
    if not rule.own_decay:
        decays = settings["weight_decay"]
    apart = torch.tensor([decoupled(one) for one in optimizers])
    coupled = torch.where(apart, 0.0, decays)
    loose = torch.where(apart, decays, 0.0)
    steps = torch.arange(1, len(rates) + 1, dtype=torch.float64)[:, None]
    columns = [
        coupled, 1.0 - rates * loose,
        *rule.table(settings, rates, steps),
    ]  # fmt: skip
    table = torch.stack([column.expand(rates.shape) for column in columns], 1)
    return table[..., None], bool(coupled.any()), bool(loose.any())
