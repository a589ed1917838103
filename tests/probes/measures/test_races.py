"""Races: the racers train as the loop trains, and a racer that blows up is told."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from cases import CASES, draw
from torch import Tensor, nn

from probes.measures import races
from probes.measures.base import TIERS, Context
from probes.measures.landmark_run import LANDMARK, LandmarkRun, curve_shape
from probes.measures.races import RACERS, Races, _racer
from probes.task import Task
from probes.training import Loop, train


def _context(task: Task, tier: int, landmark: list[float] | None = None) -> Context:
    return Context(task, "cpu", 0, tier, landmark=landmark or [])


def _falling(steps: int, drop: float) -> list[float]:
    """Losses whose drop, as the shape of a curve tells it, is this; then it falls on."""
    return [1.0] * (steps // 2) + [math.exp(-drop)] * (steps - steps // 2) + [1e-6] * 20


@pytest.mark.parametrize(("tier", "steps", "racers"), [(64, 12, 3), (256, 24, 5)])
def test_racers_are_short_trainings_from_the_same_start(tier: int, steps: int, racers: int) -> None:
    task = CASES["classifier"].make().with_steps(40)
    context = _context(task, tier, _falling(steps, 0.5))
    found = Races().measure(context)
    assert context.spent == Races().passes(tier) == steps * racers
    names = list(RACERS)[:racers]
    assert set(found) == {
        f"race.{name}.{what}" for name in names for what in ("drop", "lead", "late_slope")
    }
    for name in names:
        losses: list[float] = []

        def observe(loop: Loop, batch: Any, losses: list[float] = losses) -> Tensor:
            loss = loop.stepper.step(batch)
            losses.append(float(loss))
            return loss

        train(task, RACERS[name], observer=observe)
        shape = curve_shape(losses[:steps], "race")
        assert found[f"race.{name}.drop"] == pytest.approx(max(shape["race.drop"], -3))
        assert found[f"race.{name}.late_slope"] == pytest.approx(shape["race.late_slope"])
        assert found[f"race.{name}.lead"] == pytest.approx(found[f"race.{name}.drop"] - 0.5)


def test_a_lead_does_not_depend_on_where_a_loss_crosses_zero() -> None:
    """Both curves are shifted alike: which one is lower is the same wherever zero lies."""
    inputs = draw(80, 4)
    data = (inputs, inputs.sum(1, keepdim=True))

    def leads(offset: float) -> list[float]:
        def loss(outputs: Tensor, targets: Tensor) -> Tensor:
            return ((outputs - targets) ** 2).mean() - offset

        task = Task(nn.Linear(4, 1), data, loss=loss, steps=60)
        context = _context(task, 64, [])
        context.found |= LandmarkRun().measure(context)
        found = Races().measure(context)
        ends = [found[f"race.{name}.lead"] for name in list(RACERS)[:3]]
        return [float(np.sign(lead)) for lead in ends]

    assert leads(0.0) == leads(1.0)


def test_a_racer_that_blows_up_has_the_lowest_drop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RACERS, "momentum", _racer("momentum", 1e4))
    data = (draw(80, 4), draw(80, 4).sum(1))
    found = Races().measure(_context(Task(nn.Linear(4, 1), data, steps=30), 64))
    assert found["race.momentum.drop"] == -3.0
    assert found["race.adamw_high.drop"] > -1.0
    assert all(map(math.isfinite, found.values()))


def test_a_racer_that_ends_in_nan_is_not_judged_by_its_good_beginning() -> None:
    calls: list[nn.Module] = []

    def step(model: nn.Module, batch: Any) -> Tensor:
        calls.append(model)
        mine = sum(other is model for other in calls)
        loss = model(batch[0]).sum() * 0 + 1.0 / mine
        return loss * float("nan") if mine > 8 and model.training else loss

    data = (draw(80, 4), draw(80, 4).sum(1))
    task = Task(nn.Linear(4, 1), data, steps=30, training_step=step)
    found = Races().measure(_context(task, 64))
    assert found["race.momentum.drop"] == found["race.muon.drop"] == -3.0


@pytest.mark.parametrize("landmark", [[], _falling(12, 0.5)[:11]])
def test_there_is_no_lead_without_a_landmark_as_long(landmark: list[float]) -> None:
    found = Races().measure(_context(CASES["classifier"].make(), 64, landmark))
    assert not [name for name in found if name.endswith("lead")]


@pytest.mark.parametrize("case", ["classifier", "regression"])
@pytest.mark.parametrize("tier", [64, 256])
def test_the_landmarks_own_recipe_has_no_lead(
    monkeypatch: pytest.MonkeyPatch, tier: int, case: str
) -> None:
    """The landmark trains longer than a race; only as many of its steps may count."""
    monkeypatch.setitem(RACERS, "momentum", LANDMARK)
    context = _context(CASES[case].make().with_steps(60), tier)
    context.found |= LandmarkRun().measure(context)
    assert len(context.landmark) > races.STEPS[tier][0]
    found = Races().measure(context)
    assert found["race.momentum.lead"] == pytest.approx(0.0, abs=1e-3)
    assert abs(found["race.adamw_high.lead"]) > 0.02
    assert found["race.momentum.drop"] != pytest.approx(context.found["landmark.drop"], abs=1e-3)


@pytest.mark.parametrize("tier", [0, *TIERS])
def test_it_is_skipped_where_the_tier_pays_for_none(tier: int) -> None:
    reason = Races().skip(_context(CASES["classifier"].make(), tier))
    assert (reason is None) == (Races().passes(tier) > 0) == (tier >= 64)
