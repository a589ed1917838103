"""The losses, the cuts and the rules of stacks, each beside what it stands for."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_optimizer
import torch
from cases import draw
from torch import Tensor, nn

from probes.losses import IGNORED, token_cross_entropy
from probes.objective import Objective
from probes.recipe.schema import Recipe
from probes.stacked.checks import only_inside, stack_size
from probes.stacked.loop import cut
from probes.stacked.losses import cross_entropies, stack_loss
from probes.stacked.rules import rule_of
from probes.task import Task

MEMBERS, COUNT = 3, 8


def labels(classes: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    targets = torch.randint(0, classes, (MEMBERS, *shape), generator=generator)
    targets[:, 1] = IGNORED
    return targets


@pytest.mark.parametrize("smoothed", [False, True])
@pytest.mark.parametrize(
    ("outputs", "targets"),
    [
        pytest.param(draw(MEMBERS, COUNT, 5), labels(5, COUNT), id="few classes"),
        pytest.param(draw(MEMBERS, COUNT, 40), labels(40, COUNT), id="many classes"),
        pytest.param(draw(MEMBERS, COUNT, 5), labels(5, COUNT).int(), id="labels of int32"),
        pytest.param(draw(MEMBERS, COUNT, 5, 3, 2), labels(5, COUNT, 3, 2), id="maps"),
        pytest.param(draw(MEMBERS, COUNT, 6, 5), labels(5, COUNT, 6), id="tokens"),
        pytest.param(
            draw(MEMBERS, COUNT, 5), draw(MEMBERS, COUNT, 5, seed=4).softmax(2), id="probabilities"
        ),
    ],
)
def test_losses_and_gradients_are_each_members_own(
    outputs: Tensor, targets: Tensor, smoothed: bool
) -> None:
    amounts = torch.tensor([0.0, 0.1, 0.3]) if smoothed else None
    together = outputs.clone().requires_grad_()
    losses = cross_entropies(together, targets, amounts)
    (gradients,) = torch.autograd.grad(losses.sum(), together)
    for member in range(MEMBERS):
        own = outputs[member].clone().requires_grad_()
        amount = 0.0 if amounts is None else float(amounts[member])
        loss = token_cross_entropy(own, targets[member], smoothing=amount)
        (gradient,) = torch.autograd.grad(loss, own)
        torch.testing.assert_close(losses[member], loss)
        torch.testing.assert_close(gradients[member], gradient)


def test_only_the_cross_entropy_is_taken_together() -> None:
    assert stack_loss(Objective("cross_entropy", token_cross_entropy), False).together is not None
    other = Objective("mine", lambda outputs, targets: outputs.mean(), cross_entropy=False)
    assert stack_loss(other, False).together is None


@pytest.mark.parametrize(
    ("count", "size", "lengths"),
    [(100, 32, [25, 25, 25, 25]), (100, 64, [50, 50]), (33, 32, [16, 17]), (5, 8, [5]), (0, 8, [])],
)
def test_cuts_are_few_and_even(count: int, size: int, lengths: list[int]) -> None:
    parts = cut(range(count), size)
    assert [len(part) for part in parts] == lengths
    assert [item for part in parts for item in part] == list(range(count))


class LayoutReader(nn.Module):
    """Asks for a memory format, which ``torch.vmap`` answers in one of its forms alone."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.body = nn.Conv2d(1, width, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        maps = self.body(inputs).movedim(1, -1).movedim(-1, 1)
        maps.is_contiguous() or maps.is_contiguous(memory_format=torch.channels_last)
        return maps.mean((2, 3))


def task_of(model: Any) -> Task:
    images, targets = draw(24, 1, 3, 3), torch.arange(24) % 4
    return Task(model, (images, targets), (images, targets), steps=4, batch_size=8)


def test_the_form_that_a_model_needs_is_found() -> None:
    recipe = Recipe.parse({"optimizer": "adamw"})
    assert only_inside(task_of(LayoutReader), recipe)
    assert not only_inside(task_of(lambda: nn.Sequential(nn.Flatten(), nn.Linear(9, 4))), recipe)


def test_stacks_of_tiny_nets_are_larger() -> None:
    recipe = Recipe.parse({"optimizer": "adamw"})
    sizes = [
        stack_size(
            task_of(
                lambda width=width: nn.Sequential(
                    nn.Flatten(), nn.Linear(9, width), nn.ReLU(), nn.Linear(width, 4)
                )
            ),
            recipe,
        )
        for width in (16, 1024)
    ]
    assert sizes == [64, 32]


WEIGHT = nn.Parameter(torch.zeros(2, 2))


@pytest.mark.parametrize(
    ("optimizer", "reason"),
    [
        (torch.optim.SGD([WEIGHT], 0.1, momentum=0.9, dampening=0.5), "dampening"),
        (torch.optim.Adam([WEIGHT], maximize=True), "maximize"),
        (torch.optim.Adafactor([WEIGHT], d=2.0), "this d"),
        (pytorch_optimizer.Adan([WEIGHT], weight_decouple=True, max_grad_norm=1.0), "max_grad"),
        (pytorch_optimizer.ADOPT([WEIGHT]), "clip_lambda"),
        (pytorch_optimizer.Lamb([WEIGHT], weight_decouple=False), "adam_debias"),
        (pytorch_optimizer.LARS([WEIGHT], nesterov=True), "nesterov"),
        (pytorch_optimizer.Lookahead(torch.optim.Rprop([WEIGHT])), "Rprop"),
        (
            pytorch_optimizer.Lookahead(
                torch.optim.SGD([WEIGHT], 0.1), pullback_momentum="pullback"
            ),
            "momentum",
        ),
    ],
)
def test_an_option_without_a_rule_is_refused(optimizer: Any, reason: str) -> None:
    found = rule_of(optimizer)
    assert isinstance(found, str)
    assert reason in found
