"""Whether a task is the one that advice was made for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.answer import live_facts
from probes.errors import UserError
from probes.measures.base import Context
from probes.measures.data_facts import input_dimensions
from probes.measures.model_facts import ModelFacts
from probes.profile import FACTS_ONLY
from probes.sandbox import sandbox
from probes.task import Task

if TYPE_CHECKING:
    from advisor.advice import Advice

_PARAMETERS = "model.parameters"
_MEASURED = {
    _PARAMETERS: "parameters of the model",
    "data.input_dimensions": "numbers an input",
}
"""What a profile of any tier holds that another model or other data change."""


def check_same_task(advice: Advice, task: Task, device: str = "cpu") -> None:
    """Refuse a task that differs in more than its budget, name and device.

    The model is known by its number of parameters and the data by the numbers of an input: another
    activation, initialization or order of the rows passes. What the advice does not tell (one of
    an older release, a loader that does not know its length) is not compared.

    Args:
        advice: The advice.
        task: The task.
        device: Where a batch of it is run.

    Raises:
        UserError: It has another loss, metric, batch size or number of training samples, or
            another model or other inputs.
    """
    advised, live = advice.task, live_facts(task, advice.task.device)
    for name in ("loss", "train_samples", "batch_size", "metric"):
        before, now = getattr(advised, name), getattr(live, name)
        unknown = name == "train_samples" and None in (before, now)
        if before != now and not unknown:
            raise _another(f"whose {name} is {now} and not {before}")
    values = advice.profile.get("values")
    for name, size in _sizes(task, device).items():
        known = values.get(name) if isinstance(values, dict) else None
        if isinstance(known, (int, float)) and known != size:
            raise _another(f"with {size} {_MEASURED[name]} and not {known:.0f}")


def _sizes(task: Task, device: str) -> dict[str, int]:
    """The values of a profile that tell models and data apart, as they are now.

    Parameters are counted by the probe that counted them for the profile, after a forward: a model
    may make layers in its first. Inputs of a loader may be padded batch by batch, so only those in
    memory are measured.
    """
    found = ModelFacts().measure(Context(task, device, seed=0, tier=FACTS_ONLY))
    sizes = {_PARAMETERS: int(found[_PARAMETERS])}
    with sandbox(task.train, task.validation, task.test):
        numbers = input_dimensions(task.prepared.train)
    return sizes if numbers is None else {**sizes, "data.input_dimensions": numbers}


def _another(how: str) -> UserError:
    return UserError(
        "the task this advice was made for", f"one {how}", "run recommend for this task"
    )
