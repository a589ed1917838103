"""The meta-models of a folder, and those that are shipped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic
import torch
from torch import nn

from advisor import boosting, meta_model, shipped
from advisor.feature_table import TASK_UNITS
from advisor.fitted_file import FOLDER
from advisor.knowledge import Knowledge, load_knowledge
from advisor.meta_model import MetaModel
from advisor.shipped import (
    fit_shipped,
    fitted_tiers,
    known_tiers,
    load_shipped,
    tier_within,
)
from knowledge_base.reference import reference_recipes
from knowledge_base.store import SHIPPED, check_hashes, load_profiles, write_profiles
from probes.errors import UserError
from probes.profile import Profile
from probes.recipe import prices
from probes.recipe.schema import Recipe
from probes.task import Task


def first_places(model: MetaModel, knowledge: Knowledge, profiles: list[int]) -> list[int]:
    """The recipe ranked first on each task when it is given the profile of another."""
    found = []
    for row, other in zip(knowledge.rows, profiles, strict=True):
        features = dict(zip(TASK_UNITS, knowledge.features[0, other].tolist(), strict=True))
        scores = model.scores(features, knowledge.recipes, row.steps, row.batch_size)
        found.append(int(scores.argmin()))
    return found


def test_relative_seconds_and_ranges(models_folder: Path) -> None:
    loaded = load_shipped(synthetic.TIER, models_folder)
    assert loaded.relative_seconds["adamw"] == 1.0
    assert loaded.relative_seconds["muon"] == pytest.approx(2.0)
    assert set(loaded.log_ranges) == set(synthetic.TASKS)
    for task, span in loaded.log_ranges.items():
        kind = synthetic.cluster(task)
        lowest = min(synthetic.regret(recipe, kind) for recipe in synthetic.recipes())
        whole = np.log(synthetic.UNTRAINED / synthetic.BEST)
        assert span == pytest.approx((1 - lowest) * whole, abs=0.1)


def test_an_unknown_group_to_leave_out_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean wine"):
        fit_shipped(base, tmp_path / "models", tiers=(0,), without=("digits", "wina"))
    assert not list((tmp_path / "models").glob("*")), "refused before anything is fitted"


@pytest.mark.slow
def test_every_tier_chooses_the_share_of_lightgbm(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[tuple[float, ...]] = []
    shares = iter((0.0, 0.5))

    def choose(outcomes: Any, smooth: Any, boosted: Any, weights: Any, groups: Any) -> float:
        offered.append(tuple(weights))
        return next(shares)

    monkeypatch.setattr(meta_model, "best_weight", choose)
    monkeypatch.setattr(boosting, "ROUNDS", 2)
    summary = fit_shipped(base, tmp_path / "models", tiers=(0, synthetic.TIER))
    assert offered == [meta_model.WEIGHTS, meta_model.WEIGHTS]
    assert [tier["lightgbm_weight"] for tier in summary.values()] == [0.0, 0.5]


# what the package brings


def test_shipped_knowledge_base_is_as_its_manifest_says() -> None:
    check_hashes(SHIPPED)


def test_shipped_models_serve_small_budgets() -> None:
    assert {0, 16} <= set(fitted_tiers(FOLDER))


def test_models_are_shipped_for_the_well_known_tiers() -> None:
    assert fitted_tiers(FOLDER) == known_tiers(SHIPPED)
    assert fitted_tiers(FOLDER)[:3] == (0, 16, 64)


@pytest.mark.parametrize(("passes", "tier"), [(0, 0), (15.9, 0), (16, 16), (40, 16), (1e6, 64)])
def test_the_largest_tier_within_the_passes_is_taken(passes: float, tier: int) -> None:
    assert tier_within(passes, (0, 16, 64)) == tier


@pytest.mark.parametrize(
    "tier",
    [pytest.param(tier, marks=pytest.mark.slow if tier > 16 else ()) for tier in fitted_tiers()],
)
def test_shipped_models_load_and_match_the_knowledge_base(tier: int) -> None:
    model = load_shipped(tier, FOLDER).model
    knowledge = load_knowledge(tier, SHIPPED)
    assert model.tier == tier
    assert model.names == tuple(row.name for row in knowledge.rows)
    assert model.recipes == knowledge.recipes
    assert {recipe.key for recipe in model.recipes} <= {r.key for r in reference_recipes()}
    np.testing.assert_allclose(model.regrets, knowledge.filled().learned, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("tier", [tier for tier in fitted_tiers() if tier > 0])
def test_shipped_models_listen_to_the_profile(tier: int) -> None:
    """Profiles shuffled between tasks change the first place on at least half of the tasks."""
    model, knowledge = load_shipped(tier, FOLDER).model, load_knowledge(tier, SHIPPED)
    count = len(knowledge.rows)
    own = first_places(model, knowledge, list(range(count)))
    shares = []
    for seed in range(5):
        shuffled = np.random.default_rng(seed).permutation(count).tolist()
        other = first_places(model, knowledge, shuffled)
        shares.append(np.mean([mine != theirs for mine, theirs in zip(own, other, strict=True)]))
    assert np.mean(shares) >= 0.5


# which tiers advice may rest on


def test_tiers_that_nearly_every_task_has(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "base")
    profiles = load_profiles(tmp_path / "base")
    half = [{**p, "tier": 64} for p in profiles if p["task"] in synthetic.TASKS[:6]]
    write_profiles(tmp_path / "base", [*profiles, *half])
    assert known_tiers(base) == known_tiers(tmp_path / "base") == (0, synthetic.TIER)


def test_tiers_that_are_fitted(models_folder: Path, tmp_path: Path) -> None:
    assert fitted_tiers(models_folder) == (0, synthetic.TIER)
    with pytest.raises(UserError, match="advisor kb fit"):
        fitted_tiers(tmp_path)


@pytest.mark.parametrize(("passes", "tier"), [(0, 0), (15.9, 0), (16, 16), (1e6, 64)])
def test_the_largest_tier_that_is_paid_for(passes: float, tier: int) -> None:
    assert tier_within(passes, (0, 16, 64)) == tier_within(passes, (64, 16)) == tier


# what a step costs


@pytest.fixture
def priced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A table of prices with known numbers."""

    def section(lion: float) -> dict[str, Any]:
        rows = {
            "optimizer": {"lion": {"seconds": {"mlp": lion, "convolutional": 0.5}}},
            "normalization": {"batch": {"seconds": {"mlp": 3.0}}},
            "extra": {"norm": {"seconds": {"mlp": 5.0}}, "ema": {"seconds": {"mlp": 7.0}}},
        }
        return {"device": "a core", "torch": "2.9", "date": "2026-01-31", "rows": rows}

    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"schema": 1, "cpu": section(0.25), "cuda": section(0.75)}))
    monkeypatch.setattr(prices, "PATH", path)
    prices.shipped_prices.cache_clear()
    yield
    prices.shipped_prices.cache_clear()


def step_ratio(folder: Path, recipe: dict[str, Any], device: str = "cpu", **values: float) -> float:
    """What a step costs where the knowledge base knows AdamW and Muon, in batches of 8."""
    data = (torch.zeros(40, 2), torch.zeros(40, dtype=torch.long))
    prepared = Task(nn.Linear(2, 2), data, steps=10, batch_size=8).prepared
    profile = Profile(
        tier=0, passes=0.0, seconds=0.1, seconds_per_pass=None, seed=0, device=device,
        values={f"model.{name}": value for name, value in values.items()}, missing={},
    )  # fmt: skip
    loaded = replace(
        load_shipped(synthetic.TIER, folder), relative_seconds={"adamw": 1.0, "muon": 2.0}
    )
    return loaded.step_ratio(Recipe.parse(recipe), prepared, profile)


@pytest.mark.parametrize(
    ("recipe", "ratio"),
    [({"optimizer": "muon"}, 2.0), ({"optimizer": "lion"}, 0.25), ({"optimizer": "sam"}, 2.0),
     ({"normalization": "batch"}, 3.0), ({"optimizer": "lion", "normalization": "batch"}, 0.75),
     ({"clip": "norm"}, 5.0), ({"averaging": "ema", "clip": "norm"}, 35.0),
     ({"clip": "value"}, 1.0), ({"batch_size": 32, "optimizer": "lion"}, 1.0)],
    ids=["known", "from the table", "passes of the row", "normalization", "both", "clipping",
         "averaging", "not measured", "batch size"],
)  # fmt: skip
@pytest.mark.usefixtures("priced")
def test_a_step_costs_what_its_parts_cost(
    models_folder: Path, recipe: dict[str, Any], ratio: float
) -> None:
    assert step_ratio(models_folder, recipe) == pytest.approx(ratio)


@pytest.mark.usefixtures("priced")
def test_prices_are_those_of_the_model_and_the_device(models_folder: Path) -> None:
    lion, muon = {"optimizer": "lion"}, {"optimizer": "muon"}
    assert step_ratio(models_folder, lion, convolutional=1.0) == 0.5
    assert step_ratio(models_folder, lion, "cuda") == 0.75
    assert step_ratio(models_folder, muon, "cuda") == 1.0, "the known times are those of a core"
    assert step_ratio(models_folder, muon, "mps") == 2.0, "nothing else is known there"


def test_times_of_few_runs_are_not_believed(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = 1 + synthetic.SEARCHED
    every = shipped._relative_seconds(base)
    monkeypatch.setattr(shipped, "ENOUGH_RUNS", len(synthetic.TASKS) * runs)
    few = shipped._relative_seconds(base)
    assert set(few) == {"adamw"} < set(every), "which every task ran, and searched"
    assert few["adamw"] == 1.0
    monkeypatch.setattr(shipped, "ENOUGH_RUNS", 10**6)
    assert shipped._relative_seconds(base) == {}
