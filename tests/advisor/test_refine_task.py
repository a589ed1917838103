"""Advice is refined for the task that it was made for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from refine_cases import (
    GOOD,
    STEPS,
    WHOLE_SEARCHES,
    make_advice,
    make_task,
)
from torch import nn

from advisor.advice import Advice
from advisor.refine import refine
from advisor.refine_task import _sizes, check_same_task
from probes.errors import UserError
from probes.profile import take_profile
from probes.task import Task

pytestmark = WHOLE_SEARCHES


def share_of_first(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs.argmax(1) == 0).float().mean()


def other_task(**changes: Any) -> Task:
    """The task of ``make_task`` with something changed."""
    task = make_task()
    settings = {
        "train": task.train, "validation": task.validation, "loss": task.loss,
        "steps": STEPS, "batch_size": 16, **changes,
    }  # fmt: skip
    return Task(model=task.model, name="tiny", **settings)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch_size": 8}, "batch_size is 8 and not 16"),
        ({"loss": "mse", "train": (torch.randn(120, 5), torch.randn(120, 3)),
          "validation": (torch.randn(40, 5), torch.randn(40, 3))}, "loss is mse and not cross_"),
        ({"train": (torch.randn(90, 5), torch.arange(90) % 3)}, "train_samples is 90 and not 120"),
        ({"metric": share_of_first}, "metric is share_of_first and not accuracy"),
    ],
    ids=["batch_size", "loss", "train_samples", "metric"],
)  # fmt: skip
def test_advice_for_another_task_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        refine(make_advice(GOOD), other_task(**changes), trials=1)


def test_a_changed_budget_passes_and_the_answer_tells_the_live_facts() -> None:
    tuned = refine(
        make_advice(GOOD, name="as it was called"), make_task(steps=8), trials=1, fresh_seeds=1
    )
    facts = tuned.task
    assert (facts.name, facts.steps, facts.batch_size, facts.train_samples, facts.device) == (
        "tiny", 8, 16, 120, "cpu",
    )  # fmt: skip


def made_for(model: int, inputs: int) -> Advice:
    """Advice whose profile has these sizes of the model and of an input."""
    values = {"model.parameters": float(model), "data.input_dimensions": float(inputs)}
    return make_advice(GOOD).model_copy(update={"profile": {"tier": 0, "values": values}})


PARAMETERS = 5 * 8 + 8 + 8 * 3 + 3
"""Of the model of ``make_task``, whose inputs are five numbers."""


@pytest.mark.parametrize(
    ("advice", "said"),
    [(made_for(PARAMETERS + 8, 5), f"with {PARAMETERS} parameters of the model and not 83"),
     (made_for(PARAMETERS, 784), "with 5 numbers an input and not 784")],
    ids=["model", "inputs"],
)  # fmt: skip
def test_advice_for_another_model_or_other_inputs_is_refused(advice: Advice, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_same_task(advice, make_task())


@pytest.mark.parametrize(
    "profile", [{}, {"values": {}}, {"values": {"model.parameters": None}}, {"values": None}]
)
def test_what_an_advice_does_not_tell_is_not_compared(profile: dict[str, Any]) -> None:
    check_same_task(make_advice(GOOD).model_copy(update={"profile": profile}), make_task())


def test_what_changes_neither_model_nor_data_passes() -> None:
    task = make_task()
    (inputs, targets), advice = task.train, made_for(PARAMETERS, 5)
    order = torch.arange(len(inputs)).flip(0)
    check_same_task(advice, other_task(train=(inputs[order], targets[order])))
    check_same_task(advice, other_task(train=(inputs.double(), targets)))

    def smooth() -> nn.Module:
        return nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Dropout(0.1), nn.Linear(8, 3))

    task.model = smooth
    check_same_task(advice, task)


def test_the_sizes_are_those_that_a_profile_measures() -> None:
    task = make_task()
    values = take_profile(task, tier=0).values
    sizes = _sizes(task, "cpu")
    assert sizes == {name: values[name] for name in sizes}
    assert len(sizes) == 2


class Growing(nn.Module):
    """Makes its last layer when it sees its first batch."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 8)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        hidden = self.first(inputs).relu()
        if not hasattr(self, "last"):
            self.last = nn.Linear(8, 3)
        return self.last(hidden)


@pytest.mark.parametrize("model", [Growing, Growing()], ids=["callable", "module"])
def test_layers_made_in_the_first_forward_are_counted_on_both_sides(model: Any) -> None:
    task = make_task()
    task.model = model
    values = take_profile(task, tier=0).values
    assert values["model.parameters"] == PARAMETERS
    check_same_task(made_for(PARAMETERS, 5), task)
    with pytest.raises(UserError, match=f"with {PARAMETERS} parameters of the model"):
        check_same_task(made_for(PARAMETERS - 27, 5), task)
