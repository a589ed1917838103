"""What the probes add up to: within its tier, repeatable, complete about what is missing."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from cases import CASES, classes_of, draw, made, mlp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from probes.errors import UserError
from probes.measures.base import TIERS, Context
from probes.measures.data_facts import DataFacts
from probes.measures.device_facts import DeviceFacts
from probes.profile import MEASURES, Profile, take_profile, tier_for, units
from probes.task import Task

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")],
    ),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CASES)
def test_every_case_at_a_small_tier(name: str, device: str) -> None:
    profile = take_profile(CASES[name].make(), tier=16, seed=1, device=device)
    assert 9 <= profile.passes <= 16
    assert set(profile.values) <= set(units())
    assert all(math.isfinite(value) for value in profile.values.values())
    assert {"landmark.drop", "gradient.norm", "noise.scale", "update.ratio"} <= set(profile.values)
    assert "sharpness.initial" in profile.values or "sharpness" in profile.missing
    assert {"race", "range"} <= set(profile.missing)
    assert profile.device == device
    assert profile.seconds_per_pass is not None
    assert 0 < profile.seconds_per_pass * 9 < profile.seconds * 1.01


@pytest.mark.parametrize(
    "tier",
    [pytest.param(tier, marks=pytest.mark.slow if tier > 64 else ()) for tier in (0, *TIERS)],
)
@pytest.mark.parametrize("name", ["classifier", "regression", "convolutional"])
def test_what_is_charged_is_within_the_tier(name: str, tier: int) -> None:
    profile = take_profile(CASES[name].make(), tier=tier)
    assert profile.passes <= max(tier, 1)
    assert profile.passes >= 0.75 * tier  # and what is paid for is used
    promised = sum(measure.passes(tier) for measure in MEASURES)
    assert profile.passes <= max(promised, 1)
    assert ("race.momentum.drop" in profile.values) == (tier >= 64)
    assert ("range.adamw.valley" in profile.values) == (tier >= 256)
    assert ("landmark.drop" in profile.values) == (tier > 0)


@pytest.mark.parametrize("tier", TIERS)
def test_the_promised_passes_fit_every_tier(tier: int) -> None:
    assert sum(measure.passes(tier) for measure in MEASURES) <= tier


class Counting(nn.Module):
    """Counts the samples that pass forward, by mode, over all copies."""

    forwards: float = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.inner = made(mlp)

    def forward(self, inputs: Tensor) -> Tensor:
        Counting.forwards += len(inputs) * (1.0 if self.training and torch.is_grad_enabled()
                                            else 1 / 3)  # fmt: skip
        return self.inner(inputs)


@pytest.mark.parametrize("tier", [16, 64])
def test_no_forward_goes_uncharged(tier: int) -> None:
    inputs = draw(96, 6)
    task = Task(Counting(), (inputs, classes_of(inputs)), steps=12, batch_size=16)
    assert task.prepared.batch_size == 16
    Counting.forwards = 0.0
    profile = take_profile(task, tier=tier)
    assert Counting.forwards / 16 <= profile.passes + 1e-6


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    def __init__(self, count: int) -> None:
        self.inputs = draw(count, 6)

    def __iter__(self) -> Any:
        return iter(zip(self.inputs, classes_of(self.inputs), strict=True))


def test_a_large_validation_batch_is_not_charged_beyond_its_cut() -> None:
    loaders = DataLoader(Stream(90), batch_size=8), DataLoader(Stream(300), batch_size=300)
    task = Task(Counting(), loaders, steps=12)
    assert task.prepared.batch_size == 8
    Counting.forwards = 0.0
    profile = take_profile(task, tier=16)
    assert Counting.forwards / 8 <= profile.passes + 1e-6 <= 16


def test_batches_of_two_are_not_halved_where_a_norm_needs_both() -> None:
    inputs = draw(40, 6)
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    task = Task(model, (inputs, classes_of(inputs)), steps=9, batch_size=2)
    profile = take_profile(task, tier=16)
    assert "landmark" not in profile.missing
    assert "landmark.drop" in profile.values


class _Failing(DeviceFacts):
    def __init__(self, error: Exception) -> None:
        self.error = error

    def measure(self, context: Context) -> dict[str, float]:
        raise self.error


@pytest.mark.parametrize("error", [ValueError, RuntimeError, ZeroDivisionError])
def test_a_probe_that_fails_costs_no_other(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probes.profile.MEASURES", (_Failing(error("odd")), DataFacts()))
    profile = take_profile(CASES["classifier"].make(), tier=16)
    assert profile.missing["device"] == f"{error.__name__}: odd"
    assert profile.values["data.samples"] == 77
    wrong = UserError("a", "b", "c")
    monkeypatch.setattr("probes.profile.MEASURES", (_Failing(wrong),))
    with pytest.raises(UserError, match="expected a, got b"):
        take_profile(CASES["classifier"].make(), tier=16)


def test_a_profiles_seed_is_checked() -> None:
    with pytest.raises(UserError, match="seed"):
        take_profile(CASES["classifier"].make(), tier=0, seed=-1)


def test_profiles_repeat() -> None:
    def values(seed: int) -> dict[str, float]:
        found = take_profile(CASES["convolutional"].make(), tier=16, seed=seed).values
        return {key: value for key, value in found.items() if not key.startswith("device")}

    assert values(3) == values(3)
    assert values(3) != values(4)


def test_a_profile_is_plain_data() -> None:
    profile = take_profile(CASES["classifier"].make(), tier=16)
    text = profile.model_dump_json(by_alias=True)
    assert Profile.model_validate_json(text) == profile
    assert profile.model_dump(mode="json", by_alias=True)["schema"] == 1
    with pytest.raises(ValueError, match="frozen"):
        profile.tier = 3


@settings(deadline=None)
@given(passes=st.floats(0, 5000))
def test_tier_for(passes: float) -> None:
    tier = tier_for(passes)
    assert tier in (0, *TIERS)
    assert tier <= passes
    assert not [better for better in TIERS if tier < better <= passes]


def test_every_unit_belongs_to_one_measure() -> None:
    assert len(units()) == sum(len(measure.units) for measure in MEASURES)
    assert all(unit for unit in units().values())
    assert len({measure.name for measure in MEASURES}) == len(MEASURES)


@pytest.mark.parametrize("tier", [1, 17, -16, 2048])
def test_tiers_that_are_none(tier: int) -> None:
    with pytest.raises(UserError, match=f"16, 64, 256, 1024, got {tier}"):
        take_profile(CASES["classifier"].make(), tier=tier)


class Once(torch.autograd.Function):
    """Twice its input; it can be differentiated as often as ``depth`` says."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, depth: int) -> Tensor:
        ctx.depth = depth
        return inputs * 2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        if ctx.depth == 0:
            raise NotImplementedError("backward of backward")
        return Once.apply(gradient, ctx.depth - 1), None  # type: ignore[no-untyped-call]


class OnceNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = made(mlp)

    def forward(self, inputs: Tensor) -> Tensor:
        return Once.apply(self.inner(inputs), 1)  # type: ignore[no-untyped-call]


def test_a_model_without_second_derivatives_lacks_sharpness_alone() -> None:
    inputs = draw(96, 6)
    profile = take_profile(Task(OnceNet(), (inputs, classes_of(inputs)), steps=9), tier=16)
    assert "second derivative" in profile.missing["sharpness"]
    assert "sharpness.initial" not in profile.values
    assert "landmark.drop" in profile.values


def test_one_probe_that_fails_does_not_cost_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> dict[str, float]:
        raise RuntimeError("out of\n memory")

    monkeypatch.setattr("probes.profile.LandmarkRun.measure", fail)
    profile = take_profile(CASES["classifier"].make(), tier=64)
    assert profile.missing["landmark"] == "RuntimeError: out of memory"
    assert "race.momentum.drop" in profile.values
    assert "race.momentum.lead" not in profile.values
    assert profile.seconds_per_pass is None


def test_a_racer_that_torch_is_too_old_for_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from probes.errors import UserError as Refused
    from probes.measures import short_training

    real = short_training.train

    def old(task: Task, recipe: Any, **settings: Any) -> Any:
        if recipe.optimizer.name == "muon":
            raise Refused("torch 2.9 or newer for muon", "torch 2.6", "upgrade torch")
        return real(task, recipe, **settings)

    monkeypatch.setattr(short_training, "train", old)
    profile = take_profile(CASES["classifier"].make(), tier=64)
    assert "torch 2.9" in profile.missing["race.muon"]
    assert "race.momentum.drop" in profile.values
    assert "race.adamw_high.drop" in profile.values
    assert "race.muon.drop" not in profile.values


def test_the_users_mistakes_are_not_swallowed() -> None:
    inputs = draw(40, 6)
    with pytest.raises(UserError, match="label 3"):
        take_profile(Task(mlp(), (inputs, classes_of(inputs) + 1)), tier=16)
    with pytest.raises(UserError, match="'gpu'"):
        take_profile(CASES["classifier"].make(), tier=16, device="gpu")
