"""Conformance of every row: a new optimizer or schedule is tested by being in the table."""

from __future__ import annotations

import copy
import importlib.util
import subprocess
import sys
from typing import Any, get_args

import pytest
import torch
from cases import CASES, classes_of, draw, made
from torch import nn

from probes.errors import UserError
from probes.recipe import catalogue
from probes.recipe.build import build_optimizer, constructor_arguments, imported
from probes.recipe.catalogue import Hyperparameter, Kind, Method
from probes.recipe.choice import OptimizerChoice
from probes.recipe.schema import Recipe
from probes.recipe.steppers import STEPPERS
from probes.training import train

ROWS = [row for kind in get_args(Kind) for row in catalogue.table(kind).values()]
SETTINGS = [(row, setting) for row in ROWS for setting in row.hyperparameters]
OPTIMIZERS = [row.name for row in catalogue.OPTIMIZERS]
INPUTS = draw(48, 6)
LABELS = classes_of(INPUTS)


def _net() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 12), nn.LayerNorm(12), nn.Tanh(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 3)
    )


def _choice(name: str, **settings: Any) -> OptimizerChoice:
    return OptimizerChoice.model_validate({"name": name, **settings})


def _steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> list[float]:
    losses = []
    for step in range(count):
        rows = slice(8 * (step % 6), 8 * (step % 6) + 8)
        loss = nn.functional.cross_entropy(model(INPUTS[rows]), LABELS[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    "case", ["classifier", "convolutional", "transformer", "frozen", "complex"]
)
def test_every_optimizer_lowers_the_loss(name: str, case: str) -> None:
    if case == "complex" and name in ("adafactor",):
        pytest.skip("Adafactor takes no complex parameters")
    lr = {"adadelta": 1.0, "sgd": 0.1, "momentum": 0.03, "nesterov": 0.03}.get(name, 0.01)
    recipe = Recipe.parse({"optimizer": {"name": name, "lr": lr}, "schedule": "cosine"})
    run = train(CASES[case].make(), recipe, steps=60, points=0, seed=1)
    assert run.curve[-1].train_loss < run.initial["loss"]
    assert not run.diverged


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_saving_and_loading_resumes_exactly(name: str, tmp_path: Any) -> None:
    model = made(_net)
    optimizer = build_optimizer(_choice(name), model)
    _steps(model, optimizer, 5)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "s")
    expected = _steps(model, optimizer, 7)
    other = made(_net, seed=9)
    resumed = build_optimizer(_choice(name), other)
    saved = torch.load(tmp_path / "s", weights_only=True)
    other.load_state_dict(saved["model"])
    resumed.load_state_dict(saved["optimizer"])
    assert _steps(other, resumed, 7) == expected
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(),
                                                 strict=True))  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_rate_set_from_outside_acts(name: str) -> None:
    """Schedules set ``group["lr"]``: at 0 nothing moves, also after loading a state."""
    model = made(_net)
    optimizer = build_optimizer(_choice(name), model)
    _steps(model, optimizer, 2)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = [parameter.clone() for parameter in model.parameters()]
    _steps(model, optimizer, 2)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_is_as_large_as_the_row_says(name: str) -> None:
    model = made(lambda: nn.Sequential(nn.Linear(64, 96), nn.Tanh(), nn.Linear(96, 32)))
    optimizer = build_optimizer(_choice(name), model)
    model(draw(4, 64)).square().sum().backward()
    optimizer.step()
    parts = getattr(optimizer, "parts", [optimizer])
    held = sum(value.numel() for part in parts for state in part.state.values()
               for value in state.values() if torch.is_tensor(value))  # fmt: skip
    share = held / sum(parameter.numel() for parameter in model.parameters())
    row = catalogue.method("optimizer", name)
    if "matrix split" in row.needs:  # one number for matrices, two for the rest
        assert 1.0 <= share <= row.state
    else:
        assert share == pytest.approx(row.state, abs=0.1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_setting_reaches_the_optimizer(name: str) -> None:
    row = catalogue.method("optimizer", name)
    model = made(_net)
    default = build_optimizer(_choice(name), model)
    for setting in row.hyperparameters:
        value = setting.high if setting.default != setting.high else setting.low
        changed = build_optimizer(_choice(name, **{setting.name: value}), model)
        before, after = ([{k: v for k, v in group.items() if k != "params"}
                          for group in optimizer.param_groups]
                         for optimizer in (default, changed))  # fmt: skip
        assert before != after, setting.name
    for key, fixed in row.fixed:
        assert all(group[key] == fixed for group in default.param_groups)
    assert default.param_groups[0]["lr"] == row.hyperparameters[0].default


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.kind} {row.name}")
def test_every_row_is_complete(row: Method) -> None:
    assert callable(imported(row.source)) if row.kind != "extra" else True
    module = importlib.util.find_spec(row.source.partition(":")[0])
    assert module is not None
    assert row.summary
    assert row.paper or row.name in ("keep", "none")
    assert row.passes >= 1
    assert row.stepper in STEPPERS
    assert row.name == row.name.lower()
    names = [setting.name for setting in row.hyperparameters]
    assert len(set(names)) == len(names)
    if row.kind == "optimizer":
        assert names[0] == "lr"
        assert "weight_decay" in names
    if row.kind == "schedule":
        assert names[0] == "warmup"


@pytest.mark.parametrize(
    ("row", "setting"), SETTINGS, ids=lambda item: getattr(item, "name", str(item))
)
def test_every_setting_has_a_range_within_what_is_valid(
    row: Method, setting: Hyperparameter
) -> None:
    if setting.scale == "choice":
        assert setting.default in setting.choices
        return
    low, high = setting.valid
    assert low <= setting.low < setting.high <= high
    assert isinstance(setting.default, (int, float))
    assert low <= setting.default <= high
    assert setting.scale != "log" or setting.low > 0
    assert setting.scale != "integer" or isinstance(setting.default, int)


def test_names_are_unique_and_found() -> None:
    tables: dict[Kind, tuple[Method, ...]] = {
        "optimizer": catalogue.OPTIMIZERS,
        "schedule": catalogue.SCHEDULES,
        "normalization": catalogue.NORMALIZATIONS,
        "extra": catalogue.EXTRAS,
    }
    for kind, rows in tables.items():
        assert len(catalogue.table(kind)) == len(rows)
        assert all(catalogue.method(kind, row.name) is row for row in rows)
        assert {row.kind for row in rows} == {kind}


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [("optimizer", "admaw", ("an optimizer", "did you mean", "adamw")),
     ("schedule", "cosin", ("a schedule", "cosine")),
     ("optimizer", "zzz", ("choose one of adadelta",)), ("extra", "agc", ("an extra",))],
)  # fmt: skip
def test_unknown_names_get_near_matches(kind: Kind, name: str, words: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as error:
        catalogue.method(kind, name)
    assert all(word in str(error.value) for word in words)


def test_betas_are_gathered_into_one_argument() -> None:
    arguments = constructor_arguments(_choice("adamw", beta1=0.8, beta2=0.95))
    assert arguments["betas"] == (0.8, 0.95)
    assert "weight_decay" not in arguments  # the groups have their own
    assert constructor_arguments(_choice("nesterov"))["nesterov"] is True


def test_listing_the_catalogue_does_not_import_torch() -> None:
    code = ("import sys; from probes.recipe import catalogue; "
            "assert catalogue.OPTIMIZERS; sys.exit('torch' in sys.modules)")  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
