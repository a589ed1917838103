"""The way of the data: task -> profile -> scores -> candidates -> ranking with evidence."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from advisor.advice import Advice, ProbeCost
from advisor.answer import live_facts
from advisor.budget import parse_budget
from advisor.caveats import constant_targets, failed_probes, lacking_tier
from advisor.goal import parse_goal
from advisor.memory import parse_memory
from advisor.profiling import paid_tier, profile_within
from advisor.race import race
from advisor.race_run import Left
from advisor.ranking import rank
from advisor.shipped import fitted_tiers, lacking_tiers, load_shipped, models_folder
from probes.device import resolve_device
from probes.errors import UserError
from probes.sandbox import sandbox
from probes.task import Task

_Say = Callable[[str], None]


def recommend(
    model: nn.Module | Callable[[], nn.Module] | Task,
    data: Any = None,
    loss: Any = None,
    metric: Any = None,
    steps: int | None = None,
    epochs: float | None = None,
    budget: str = "10%",
    goal: str = "best",
    target: float | None = None,
    max_memory: int | str | None = None,
    device: str = "auto",
    seed: int = 0,
    *,
    training_step: Callable[..., Any] | None = None,
    batch_size: int | None = None,
    progress: _Say | None = None,
    models: str | Path | None = None,
    explain: bool = False,
) -> Advice:
    """Recommend a training recipe from short probes on your own model and data.

    Args:
        model: A module, a callable that makes one, or a whole Task (then leave ``data`` out).
        data: A DataLoader, a Dataset, a pair of tensors or arrays, or a (train, validation) pair.
        loss: See ``Task``.
        metric: See ``Task``.
        steps: Budget of one full training in optimizer steps.
        epochs: The same in passes over the data.
        budget: What probing may cost: "10%" of one full training, or "60s". From about "60%" on
            (short runs need more, as validations count; and where seconds allow it) the first
            recipes of the ranking race each other over a quarter of their schedules; shorter races
            do not improve the choice, so a smaller budget pays for none.
        goal: "best" result at the end, or "fastest" to the target: then neither probes nor races
            are run, which would only put it off. Recipes are ordered by the predicted share of the
            budget until the target x the time of a step over AdamW's, which the runs of the
            knowledge base or the table of prices tell: nothing is timed on your machine.
        target: For "fastest": a validation loss; None: what AdamW 1e-3 cosine should reach.
        max_memory: What a recipe may take, in bytes or as "512MB" or "2GiB": parameters, their
            gradients, the optimizer's state, averaged weights and an ensemble's members are
            counted. Activations, buffers, batches and the best weights that early stopping keeps
            are not. Probes are not held to it: they train by AdamW, momentum and Muon.
        device: "auto", "cpu", "cuda", ...
        seed: Of the probes.
        training_step: ``(model, batch) -> loss``, see ``Task``.
        batch_size: Samples a batch, see ``Task``.
        progress: Told in words what is going on.
        models: Folder of the fitted meta-models; None for the shipped ones.
        explain: Fill ``Advice.explanation``, which takes about half a second.

    Returns:
        The ranking with expected regret, cost and evidence. Nothing of yours is changed. Its
        ``reason`` also says where there is nothing to learn because every training target is the
        same, and where ``models`` lacks a meta-model that the budget could pay for.

    Raises:
        UserError: Something handed over is wrong.
    """
    say = progress or (lambda message: None)
    limit = parse_budget(budget)
    aim = parse_goal(goal, target)
    memory = parse_memory(max_memory)
    task = _as_task(model, data, loss, metric, steps, epochs, training_step, batch_size)
    where = resolve_device(device)
    folder = models_folder(models)
    tiers = fitted_tiers(folder)
    start = time.perf_counter()
    _load_optimizers()
    # start-up is told apart, and belongs to a budget only when that is given in seconds
    begin = time.perf_counter() if limit.seconds is None else start
    prepared = task.prepared
    for note in prepared.notes:
        say(note)
    probed = profile_within(task, limit, tiers, aim, where, seed, begin, say)
    profile, passes = probed.profile, probed.passes
    seconds = time.perf_counter() - begin
    loaded = load_shipped(profile.tier, folder)
    say(f"ranking with what {len(loaded.model.names)} known tasks say")
    with sandbox(task.train, task.validation, task.test):  # making models draws random numbers
        ranked = rank(task, profile, loaded, aim, memory)
    left = Left.of(limit, prepared.steps, passes, begin)
    raced = race(task, ranked, aim, loaded.model, profile, left, seed=seed, say=say)
    ranked, passes, seconds = raced[0], passes + raced[1], seconds + raced[2]
    paid = paid_tier(task, limit, lacking_tiers(folder), aim, probed)
    caveats = [
        caveat
        for caveat in (
            failed_probes(profile),
            lacking_tier(profile.tier, paid, folder),
            constant_targets(task, seed),
        )
        if caveat is not None
    ]
    for caveat in caveats:
        say(caveat)
    advice = Advice(
        task=live_facts(task, where),
        profile=profile.model_dump(mode="json", by_alias=True),
        ranking=ranked.candidates,
        probe=ProbeCost(passes=passes, seconds=seconds, share=passes / prepared.steps),
        abstained=ranked.abstained,
        reason="; ".join([ranked.reason, *caveats]),
        goal=aim.name,
        target=aim.target,
        max_memory=memory,
    )  # fmt: skip
    advice.attach(task, folder)
    return advice.explained() if explain else advice


def _as_task(
    model: Any, data: Any, loss: Any, metric: Any, steps: Any, epochs: Any, training_step: Any,
    batch_size: Any,
) -> Task:  # fmt: skip
    if isinstance(model, Task):
        given = {"data": data, "loss": loss, "metric": metric, "epochs": epochs,
                 "training_step": training_step, "batch_size": batch_size}  # fmt: skip
        for name, value in given.items():
            if value is not None:
                raise UserError(f"a Task alone, or a model and its {name}", "both",
                                f"set {name} in the Task")  # fmt: skip
        return model if steps is None else model.with_steps(steps)
    if data is None:
        raise UserError(
            "data beside the model", "none", "call recommend(model, data) or recommend(task)"
        )
    return Task(
        model=model, train=data, loss=loss, metric=metric, steps=steps, epochs=epochs,
        training_step=training_step, batch_size=batch_size,
    )  # fmt: skip


def _load_optimizers() -> None:
    """Take one step with a throwaway optimizer: torch imports seconds' worth of code for the first.

    Without this the first probe of a process would be charged for it.
    """
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.zeros(1)
    torch.optim.AdamW([weight]).step()
