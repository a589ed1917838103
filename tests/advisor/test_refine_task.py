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

from advisor.refine import refine
from probes.errors import UserError
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
