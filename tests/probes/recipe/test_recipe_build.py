"""From a recipe to PyTorch objects: groups, matrices for Muon, the schedule's factor."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases import Transformer, convolutional, draw, half_frozen, ids, made, mlp
from torch import nn

from probes.errors import UserError
from probes.recipe import build as building
from probes.recipe.build import build_groups, build_optimizer, schedule_function
from probes.recipe.choice import OptimizerChoice, ScheduleChoice
from probes.recipe.schema import Recipe


def _optimizer(name: str, **settings: Any) -> OptimizerChoice:
    return OptimizerChoice.model_validate({"name": name, **settings})


def _names(model: nn.Module, group: dict[str, Any]) -> set[str]:
    held = {id(parameter) for parameter in group["params"]}
    return {name for name, parameter in model.named_parameters() if id(parameter) in held}


@pytest.mark.parametrize(
    ("model", "steps", "words"),
    [("net", 3, "torch.nn.Module"), (None, 3, "NoneType"), (mlp(), 2.0, "total_steps"),
     (mlp(), 0, "total_steps"), (mlp(), True, "total_steps")],
)  # fmt: skip
def test_what_cannot_be_built_is_refused(model: Any, steps: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Recipe.parse({}).build(model, steps)


def test_decay_spares_norms_biases_and_embeddings() -> None:
    model = made(Transformer)
    optimizer = build_optimizer(_optimizer("adamw", weight_decay=0.3), model)
    decayed, spared = optimizer.param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.3, 0.0)
    assert _names(model, decayed) == {f"{part}.weight" for part in ("qkv", "out", "up", "down")}
    every = {name for name, _ in model.named_parameters()}
    assert _names(model, spared) == every - _names(model, decayed)


def test_muon_gets_the_matrices() -> None:
    model = made(Transformer)
    groups = build_groups(_optimizer("muon", weight_decay=0.1), model)
    matrices = [group for group in groups if group["matrix"]]
    assert [_names(model, group) for group in matrices] == [
        {f"{part}.weight" for part in ("qkv", "out", "up", "down")}
    ]
    optimizer = build_optimizer(_optimizer("muon", weight_decay=0.1), model)
    muon, adamw = optimizer.parts  # type: ignore[attr-defined]
    assert isinstance(muon, torch.optim.Muon)
    assert isinstance(adamw, torch.optim.AdamW)
    assert [group["weight_decay"] for group in adamw.param_groups] == [0.0]
    assert len(optimizer.param_groups) == 2


@pytest.mark.parametrize("maker", [convolutional, mlp, lambda: nn.Conv1d(2, 2, 3)])
def test_muon_serves_models_of_every_kind(maker: Any) -> None:
    model = made(maker)
    optimizer = build_optimizer(_optimizer("muon"), model)
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


def test_a_muon_update_has_adams_size_and_is_orthogonal() -> None:
    model = made(lambda: nn.Linear(32, 32, bias=False))
    before = model.weight.detach().clone()
    optimizer = build_optimizer(_optimizer("muon", lr=0.01, weight_decay=0.0), model)
    model(draw(64, 32)).square().sum().backward()
    optimizer.step()
    update = (model.weight.detach() - before) / 0.01
    assert float(update.square().mean().sqrt()) == pytest.approx(0.2, rel=0.2)
    singular = torch.linalg.svdvals(update)
    assert float(singular.max() / singular.median()) < 2.0


def test_muon_runs_a_closure() -> None:
    model = made(mlp)
    optimizer = build_optimizer(_optimizer("muon"), model)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = model(draw(8, 6)).square().mean()
        loss.backward()
        return loss

    losses = [float(optimizer.step(closure).detach()) for _ in range(20)]  # type: ignore[attr-defined]
    assert losses[-1] < losses[0]


def test_frozen_and_tied_parameters() -> None:
    frozen = made(half_frozen)
    held = build_optimizer(_optimizer("sgd"), frozen).param_groups
    assert set().union(*(_names(frozen, group) for group in held)) == {"2.weight", "2.bias"}
    with pytest.raises(UserError, match="trainable"):
        build_optimizer(_optimizer("sgd"), frozen.requires_grad_(False))
    tied = made(Transformer)
    count = sum(len(g["params"]) for g in build_optimizer(_optimizer("adamw"), tied).param_groups)
    assert count == len(list(tied.parameters()))


def test_an_old_torch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.8.1+cpu")
    with pytest.raises(UserError, match=r"torch 2\.9 or newer for muon, got torch 2\.8\.1"):
        build_optimizer(_optimizer("muon"), made(mlp))
    assert build_optimizer(_optimizer("adamw"), made(mlp)) is not None
    monkeypatch.setattr(torch, "__version__", "2.10.0")
    assert build_optimizer(_optimizer("muon"), made(mlp)) is not None


@pytest.mark.parametrize(
    "recipe",
    [{"optimizer": "muon", "schedule": {"name": "cosine", "warmup": 0.2}},
     {"optimizer": {"name": "sgd", "lr": 0.3}, "schedule": "one_cycle", "horizon": 0.5},
     {"optimizer": "adamw"}],
)  # fmt: skip
def test_build_serves_a_plain_loop(recipe: dict[str, Any]) -> None:
    parsed = Recipe.parse(recipe)
    model = made(Transformer)
    same, optimizer, scheduler = parsed.build(model, 30)
    assert same is model
    shape = schedule_function(parsed.schedule)
    total = max(1, int(30 * parsed.horizon))
    tokens = ids(4, 6)
    for step in range(30):
        expected = parsed.optimizer.number("lr") * shape(step, total)
        for group in optimizer.param_groups:
            assert group["lr"] == pytest.approx(expected)
        loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    assert scheduler.get_last_lr()[0] >= 0


def test_build_changes_a_copy_where_it_changes_the_normalization() -> None:
    model = made(convolutional)
    changed, optimizer, _ = Recipe.parse({"normalization": "none"}).build(model, 5)
    assert changed is not model
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in changed.modules())
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in changed.parameters()}


@pytest.mark.parametrize(
    ("extra", "word"),
    [({"clip": {"name": "norm", "max": 1.0}}, "gradient clipping"),
     ({"regularization": {"label_smoothing": 0.1}}, "label smoothing"),
     ({"regularization": {"early_stopping": {}}}, "early stopping")],
)  # fmt: skip
def test_what_a_plain_loop_cannot_run_names_fit(extra: dict[str, Any], word: str) -> None:
    with pytest.raises(UserError) as error:
        Recipe.parse(extra).build(mlp(), 10)
    assert word in str(error.value)
    assert "fit(task)" in str(error.value)


@pytest.mark.parametrize("steps", [0, -1, 2.5, "10"])
def test_a_number_of_steps_that_is_none(steps: Any) -> None:
    with pytest.raises(UserError, match="total_steps as a whole number above 0"):
        Recipe().build(mlp(), steps)


def test_the_warm_up_comes_before_the_schedule() -> None:
    choice = ScheduleChoice.model_validate({"name": "linear", "warmup": 0.25})
    factor = schedule_function(choice)
    found = [factor(step, 16) for step in range(16)]
    assert found[:4] == pytest.approx([1 / 5, 2 / 5, 3 / 5, 4 / 5])
    assert found[4:] == pytest.approx([1 - step / 12 for step in range(12)])
    assert factor(100, 16) == factor(15, 16)
    assert building.imported("math:pi") == pytest.approx(3.14159265)
