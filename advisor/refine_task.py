"""Whether a task is the one that advice was made for, and its facts as they are now."""

from __future__ import annotations

from advisor.answer import TaskFacts
from probes.errors import UserError
from probes.task import Task


def live_facts(task: Task, device: str) -> TaskFacts:
    """The facts of a task as it is now.

    Args:
        task: The task.
        device: Where it is trained.
    """
    from probes.measures.data_facts import known_length

    prepared = task.prepared
    metric = prepared.objective.metric
    return TaskFacts(
        name=task.name, loss=prepared.objective.loss_name,
        metric=None if metric is None else metric.name, batch_size=prepared.batch_size,
        steps=prepared.steps, train_samples=known_length(prepared.train), device=device,
        notes=prepared.notes,
    )  # fmt: skip


def check_same_task(advised: TaskFacts, task: Task) -> None:
    """Refuse a task that differs in more than its budget, name and device.

    Raises:
        UserError: It has another loss, metric, batch size or number of training samples.
    """
    live = live_facts(task, advised.device)
    for name in ("loss", "train_samples", "batch_size", "metric"):
        before, now = getattr(advised, name), getattr(live, name)
        unknown = name == "train_samples" and None in (before, now)
        if before != now and not unknown:
            raise UserError(
                "the task this advice was made for", f"one whose {name} is {now} and not {before}",
                "run recommend for this task",
            )  # fmt: skip
