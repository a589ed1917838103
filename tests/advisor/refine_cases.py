"""A small task, advice for it, and the recipes that refinement is tried on."""

from __future__ import annotations

import optuna
import pytest
import torch
from torch import nn

from advisor import refine_study
from advisor.advice import Advice, Candidate, Cost, Expected, ProbeCost
from advisor.answer import TaskFacts
from advisor.goal import Goal
from advisor.refine_study import study_name
from probes.profile import FACTS_ONLY, take_profile
from probes.recipe.schema import Recipe
from probes.task import Task

WHOLE_SEARCHES = [pytest.mark.slow, pytest.mark.usefixtures("one_thread", "no_wait")]
"""Marks of a test file whose tests refine."""
STEPS = 24
GOOD = Recipe.parse({"optimizer": {"name": "adamw", "lr": 0.01}, "schedule": "cosine"})
ODD = Recipe.parse(  # much that the space does not search
    {
        "optimizer": {"name": "momentum", "lr": 0.05, "momentum": 0.8},
        "schedule": {"name": "warmup_stable_decay", "decay": 0.5, "warmup": 0.1},
        "regularization": {"early_stopping": {"patience": 7, "every": 0.1}},
        "batch_size": 8,
        "horizon": 0.75,
    }
)
CLIPPED = Recipe.parse(
    {"optimizer": {"name": "adamw", "lr": 0.03}, "schedule": "linear",
     "clip": {"name": "norm", "max": 2.0}}
)  # fmt: skip
WILD = Recipe.parse({"optimizer": {"name": "sgd", "lr": 9000.0}, "schedule": "constant"})
UNFIT = GOOD.with_(batch_size=4096)  # more than there are samples


def make_task(steps: int = STEPS, name: str = "tiny") -> Task:
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(160, 5, generator=generator)
    targets = (inputs[:, 0] + inputs[:, 1] > 0).long() + (inputs[:, 2] > 0).long()

    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))

    return Task(
        model=model, train=(inputs[:120], targets[:120]), validation=(inputs[120:], targets[120:]),
        loss="cross_entropy", steps=steps, batch_size=16, name=name,
    )  # fmt: skip


def make_advice(
    *recipes: Recipe, name: str = "tiny", steps: int = STEPS, train_samples: int | None = 120,
    batch_size: int = 16,
) -> Advice:  # fmt: skip
    facts = TaskFacts(
        name=name, loss="cross_entropy", metric="accuracy", batch_size=batch_size,
        steps=steps, train_samples=train_samples, device="cpu",
    )  # fmt: skip
    ranking = tuple(
        Candidate(
            recipe=recipe, expected=Expected(score=0.1, low=0.0, high=0.2),
            cost=Cost(seconds_per_step=1e-3, passes_per_step=1.0, state_bytes=0), evidence=(),
        )
        for recipe in recipes
    )  # fmt: skip
    return Advice(
        task=facts, profile={}, ranking=ranking, abstained=False, reason="by hand",
        probe=ProbeCost(passes=0.0, seconds=0.0, share=0.0),
    )  # fmt: skip


def soonest(advice: Advice, task: Task, target: float | None = None) -> Advice:
    """The same advice, asked with goal "fastest"."""
    profile = take_profile(task, tier=FACTS_ONLY, seed=0, device="cpu")
    changed = {"goal": "fastest", "target": target, "profile": profile.model_dump(by_alias=True)}
    return advice.model_copy(update=changed)


def trials_of(
    storage: str, task: Task | None = None, goal: Goal | None = None
) -> list[optuna.trial.FrozenTrial]:
    task = task or make_task()
    name = study_name(task, make_advice(GOOD, name=task.name).task, goal)
    return optuna.load_study(
        study_name=name, storage=refine_study._open_storage(storage)
    ).get_trials()  # fmt: skip


SMALL = {"finalists": 2, "fresh_seeds": 2, "device": "cpu", "min_gain": 0.0}
