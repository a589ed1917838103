"""Stacked runs against the same runs trained one by one."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from cases import CLASSES, DictRows, Recurrent, Transformer, TwoInputs, classes_of, draw, ids, made
from torch import nn
from torch.utils.data import DataLoader, WeightedRandomSampler

from probes.errors import UserError
from probes.objective import call, split
from probes.recipe.build import build_optimizer
from probes.recipe.schema import Recipe
from probes.run import Run
from probes.stacked.checks import can_stack
from probes.stacked.choice import Timing, choose, train_many
from probes.stacked.loop import stacks, train_stacked
from probes.stacked.rule import Part
from probes.stacked.rules import rule_of, settings_of
from probes.task import Task
from probes.training import train

OPTIMIZERS = (
    "sgd", "momentum", "nesterov", "adam", "amsgrad", "adamw", "nadam", "nadamw", "radam",
    "adamax", "adadelta", "adagrad", "rmsprop", "lion", "adan", "adopt", "adabound", "amsbound",
    "lamb", "lars", "adafactor", "lookahead",
)  # fmt: skip
INPUTS, HELD, TESTED = draw(60, 6), draw(30, 6, seed=3), draw(20, 6, seed=4)
STEPS, BATCH = 16, 8
Maker = Callable[[], nn.Module]


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(0.0), nn.Linear(16, CLASSES))


def dropping() -> nn.Module:
    return nn.Sequential(
        nn.Dropout(0.1), nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, CLASSES)
    )


class Noisy(nn.Linear):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.dropout(inputs, 0.5, self.training))


def by_function() -> nn.Module:
    return Noisy(6, CLASSES)


def group_normalized() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.Tanh(),
        nn.MaxPool2d((1, 2)), nn.Flatten(), nn.Linear(8, CLASSES),
    )  # fmt: skip


def batch_normalized() -> nn.Module:
    # no bias before a batch norm: its gradient is rounding noise, which Adam makes steps of
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4),
        nn.Tanh(), nn.Flatten(), nn.Linear(24, CLASSES),
    )  # fmt: skip


def half_frozen() -> nn.Module:
    model = perceptron()
    model[0].weight.requires_grad_(False)
    return model


class Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.head = nn.Embedding(12, 8), nn.Linear(8, CLASSES)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.tokens(tokens).mean(1))


class Forgetful(nn.Module):
    """Counts its calls outside of its buffers: not the same thing in a stack."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, CLASSES)
        self.shift = torch.randn(6)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(inputs + self.shift)


def task_of(model: Any = perceptron, **settings: Any) -> Task:
    data = {"train": (INPUTS, classes_of(INPUTS)), "validation": (HELD, classes_of(HELD))}
    return Task(model, **{**data, "steps": STEPS, "batch_size": BATCH, **settings})


def token_task(model: Maker, language: bool = False) -> Task:
    tokens = ids(60, 7)
    targets = tokens.roll(-1, 1) if language else tokens[:, 0] % CLASSES
    return Task(model, (tokens, targets), (tokens[:20], targets[:20]), steps=STEPS,
                batch_size=BATCH)  # fmt: skip


def pair_task() -> Task:
    left, right = draw(60, 4), draw(60, 3, seed=2)
    data = (left, right, classes_of(torch.cat([left, right], 1)))
    return Task(TwoInputs, data, tuple(part[:20] for part in data), steps=STEPS, batch_size=BATCH)


def regression() -> Task:
    return task_of(lambda: nn.Linear(6, 1), train=(INPUTS, INPUTS[:, :1] * 2.0),
                   validation=(HELD, HELD[:, :1] * 2.0))  # fmt: skip


def recipe_of(optimizer: str = "adamw", lr: float = 1e-2, **rest: Any) -> Recipe:
    own = rest.pop("settings", {})
    return Recipe.parse({"optimizer": {"name": optimizer, "lr": lr, **own}, **rest})


def various(optimizer: str) -> list[tuple[Recipe, int]]:
    """Members that differ in all that members of a stack can differ in."""
    return [
        (recipe_of(optimizer), 0),
        (recipe_of(optimizer, 3e-3, settings={"weight_decay": 0.1}, horizon=0.5,
                   schedule={"name": "cosine", "warmup": 0.2}), 1),
        (recipe_of(optimizer, 2e-2, clip={"name": "norm", "max": 0.2},
                   regularization={"label_smoothing": 0.2}), 1),
        (recipe_of(optimizer, 5e-3, regularization={
            "label_smoothing": 0.1, "early_stopping": {"patience": 2, "every": 0.1}}), 2),
    ]  # fmt: skip


def close(stacked: Run, alone: Run, tolerance: float = 2e-5) -> None:
    assert (stacked.steps, stacked.passes, stacked.diverged, stacked.seed) == (
        alone.steps, alone.passes, alone.diverged, alone.seed)  # fmt: skip
    assert [point.step for point in stacked.curve] == [point.step for point in alone.curve]
    for ours, theirs in zip(stacked.curve, alone.curve, strict=True):
        assert ours.train_loss == pytest.approx(
            theirs.train_loss, rel=tolerance, abs=tolerance, nan_ok=True
        )
        assert ours.validation == pytest.approx(
            theirs.validation, rel=tolerance, abs=tolerance, nan_ok=True
        )
    for name in ("initial", "final", "test"):
        ours, theirs = getattr(stacked, name) or {}, getattr(alone, name) or {}
        assert ours == pytest.approx(theirs, rel=tolerance, abs=tolerance, nan_ok=True)


def compare(task: Task, members: list[tuple[Recipe, int]], **settings: Any) -> list[Run]:
    found = train_stacked(task, members, device="cpu", **settings)
    settings.pop("size", None), settings.pop("compiled", None)
    batch = next(task.prepared.validation.ordered(16))
    for run, (recipe, seed) in zip(found, members, strict=True):
        alone = train(task, recipe, seed=seed, device="cpu", **settings)
        close(run, alone)
        if not run.diverged:  # outputs: weights without a gradient may drift by rounding
            with torch.no_grad():
                ours, theirs = (call(each.model, split(batch)[0]) for each in (run, alone))
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    return found


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rules_in_double_precision(name: str) -> None:
    """Twenty updates from the same gradients: what a curve's tolerance would hide."""
    choices = [recipe_of(name, lr).optimizer for lr in (1e-2, 3e-2)]
    models = [made(lambda: nn.Linear(5, 4)).double() for _ in choices]
    optimizers = [build_optimizer(*pair) for pair in zip(choices, models, strict=True)]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["weight_decay"] = 0.0
            if "momentum_decay" in group:
                group["momentum_decay"] = 0.5
    rule = rule_of(optimizers[0])
    assert not isinstance(rule, str)
    weights = torch.stack([model.weight.detach().flatten() for model in models])
    states = [torch.zeros_like(weights) for _ in range(rule.states)]
    states += [weights.clone() for _ in range(rule.copies)]
    parts = [Part("weight", torch.Size((4, 5)), 0, 20, True)]
    rates = torch.tensor([[1e-2, 3e-2]], dtype=torch.float64).expand(20, 2)
    steps = torch.arange(1, 21, dtype=torch.float64)[:, None]
    columns = [
        column.expand(rates.shape) for column in rule.table(settings_of(optimizers), rates, steps)
    ]
    gradients = draw(20, 2, 20).double()
    for step in range(20):
        for member, (model, optimizer) in enumerate(zip(models, optimizers, strict=True)):
            model.bias.grad = torch.zeros_like(model.bias)
            model.weight.grad = gradients[step, member].view(4, 5).clone()
            optimizer.step()
        rule.update(
            weights, gradients[step].clone(), states,
            [column[step][:, None] for column in columns], parts,
        )  # fmt: skip
    alone = torch.stack([model.weight.detach().flatten() for model in models])
    # torch keeps NAdam's product in float32
    torch.testing.assert_close(weights, alone, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_update_is_that_of_its_optimizer(optimizer: str) -> None:
    compare(task_of(), various(optimizer), points=6)


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        ("momentum", {"momentum": 0.5, "weight_decay": 0.1}),
        ("nesterov", {"momentum": 0.8}),
        ("adam", {"beta1": 0.8, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.1}),
        ("nadamw", {"beta1": 0.85, "beta2": 0.97, "weight_decay": 0.5}),
        ("radam", {"beta2": 0.9}),
        ("rmsprop", {"alpha": 0.9, "momentum": 0.7}),
        ("adadelta", {"rho": 0.8, "eps": 1e-4}),
        ("adamax", {"beta2": 0.9}),
        ("adan", {"beta1": 0.9, "beta3": 0.95, "weight_decay": 0.5}),
        ("adopt", {"beta2": 0.95, "weight_decay": 0.5}),
        ("adabound", {"final_lr": 0.5, "beta1": 0.8, "weight_decay": 0.1}),
        ("lamb", {"beta1": 0.8, "eps": 1e-3, "weight_decay": 0.5}),
        ("lars", {"momentum": 0.5, "weight_decay": 0.1}),
        ("adafactor", {"beta2_decay": -0.5, "weight_decay": 0.5}),
        ("lookahead", {"k": 3, "alpha": 0.8, "weight_decay": 0.5}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_settings_are_each_members_own(optimizer: str, settings: dict[str, Any]) -> None:
    members = [(recipe_of(optimizer), 0), (recipe_of(optimizer, settings=settings), 0)]
    compare(task_of(), members, points=3)


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(lambda: task_of(group_normalized), id="convolution, group norm"),
        pytest.param(lambda: task_of(batch_normalized), id="convolution, batch norm"),
        pytest.param(lambda: task_of(dropping), id="dropout"),
        pytest.param(lambda: task_of(half_frozen), id="frozen parameters"),
        pytest.param(lambda: task_of(made(perceptron)), id="a module, not a callable"),
        pytest.param(lambda: task_of(test=(TESTED, classes_of(TESTED))), id="test set"),
        pytest.param(lambda: token_task(Bag), id="embeddings"),
        pytest.param(lambda: token_task(Transformer, language=True), id="transformer, tied"),
        pytest.param(pair_task, id="two inputs"),
        pytest.param(regression, id="regression"),
    ],
)
@pytest.mark.parametrize("optimizer", ["momentum", "adamw", "adafactor"])
def test_every_kind_of_model(task: Callable[[], Task], optimizer: str) -> None:
    members = [(recipe_of(optimizer, 1e-2 / (1 + seed)), seed) for seed in range(3)]
    compare(task(), members, points=4)


@pytest.mark.parametrize("normalization", ["layer", "group", "none", "weight"])
def test_changed_normalization(normalization: str) -> None:
    members = [(recipe_of(normalization=normalization, lr=lr), 0) for lr in (1e-2, 1e-3)]
    compare(task_of(group_normalized), members, points=3)


@pytest.mark.parametrize(
    "settings",
    [
        {"evaluate": "nothing", "points": 0},
        {"evaluate": "validation", "validation_limit": 7},
        {"stop_after": 5},
        {"steps": 9},
        {"size": 2},
    ],
    ids=str,
)
def test_settings_of_the_call(settings: dict[str, Any]) -> None:
    compare(task_of(test=(TESTED, classes_of(TESTED))), various("adamw")[1:4], **settings)


def test_a_member_that_diverges_ends_alone() -> None:
    members = [(recipe_of("sgd", lr), 0) for lr in (1e-2, 1e4, 2e-2, 5e3)]
    runs = compare(regression(), members)
    assert [run.diverged for run in runs] == [False, True, False, True]
    runs = compare(regression(), members, steps=40, points=0)  # found between evaluations
    assert [run.steps for run in runs] == [40, 16, 40, 16]


def test_early_stopping_restores_the_best() -> None:
    stopping = {"early_stopping": {"patience": 1, "every": 0.05}}
    members = [(recipe_of("sgd", lr, regularization=stopping), 1) for lr in (3.0, 1e-2, 2.0)]
    task = task_of(validation=(HELD, classes_of(HELD).roll(1)), steps=40)
    ends = [run.steps for run in compare(task, members)]
    assert min(ends) < 40


def test_members_of_several_kinds_keep_their_places() -> None:
    members = [
        (recipe_of("adamw"), 0), (recipe_of("sgd"), 1), (recipe_of("adam"), 2),
        (recipe_of("adamw", batch_size=16), 3), (recipe_of("adamw", horizon=0.3), 4),
    ]  # fmt: skip
    task = task_of()
    compare(task, members, points=2)
    assert sorted(map(sorted, stacks(task, members, 8))) == [[0, 2, 4], [1], [3]]


def test_runs_own_their_models_and_leave_the_users_alone() -> None:
    model = made(perceptron)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    stream = torch.get_rng_state()
    runs = train_stacked(task_of(model), various("adamw"), device="cpu", points=2)
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    for run in runs:
        assert not run.model.training
        for tensor in run.model.state_dict().values():
            assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


def test_dropout_goes_on_as_members_end() -> None:
    ends = (0.2, 0.3, 1.0, 0.6)  # the first two leave, and the others move up
    members = [(recipe_of(horizon=share), seed) for seed, share in enumerate(ends)]
    compare(task_of(dropping), members, points=3)
    with pytest.raises(UserError, match="redraw"):
        train_stacked(task_of(dropping), members, compiled=True)


def test_redrawn_dropout_is_each_members_own() -> None:
    task, recipe = task_of(dropping), recipe_of(lr=3e-2)
    runs = train_stacked(task, [(recipe, 0), (recipe, 0)], device="cpu", redraw=True)
    losses = [run.curve[-1].train_loss for run in runs]
    assert losses[0] != losses[1]
    assert all(run.final["loss"] < run.initial["loss"] for run in runs)


@pytest.mark.parametrize(
    ("task", "recipe", "reason"),
    [
        pytest.param(lambda: task_of(by_function), {}, "randomness", id="random function"),
        pytest.param(lambda: token_task(Recurrent), {}, "recurrent", id="recurrent"),
        pytest.param(lambda: task_of(Forgetful), {}, "something else", id="hidden state"),
        pytest.param(task_of, {"optimizer": "muon"}, "muon", id="optimizer"),
        pytest.param(regression, {"regularization": {"label_smoothing": 0.1}}, "smoothing",
                     id="smoothing"),
        pytest.param(lambda: task_of(training_step=lambda model, batch: model(batch[0]).sum()), {},
                     "training step", id="training step"),
        pytest.param(lambda: task_of(autocast="bfloat16"), {}, "autocast", id="autocast"),
        pytest.param(lambda: Task(TwoInputs, DictRows(), steps=4, batch_size=8), {}, "in memory",
                     id="data set"),
        pytest.param(lambda: task_of(train=DataLoader(
            torch.utils.data.TensorDataset(INPUTS, classes_of(INPUTS)), batch_size=BATCH,
            sampler=WeightedRandomSampler([1.0] * 60, 60))), {}, "in memory", id="sampler"),
        pytest.param(task_of, {"batch_size": 61}, "larger than", id="batch size"),
    ],
)  # fmt: skip
def test_why_not(task: Callable[[], Task], recipe: dict[str, Any], reason: str) -> None:
    parsed, made_task = Recipe.parse(recipe), task()
    assert reason in (can_stack(made_task, parsed) or "")
    with pytest.raises(UserError, match="can be stacked"):
        train_stacked(made_task, [(parsed, 0)])


def test_an_unknown_part_of_a_recipe_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.stacked.checks._RECIPE", {"optimizer"})
    assert can_stack(task_of(), recipe_of(horizon=0.5)) == "horizon"


def test_many_gives_each_member_its_run() -> None:
    members = [(recipe_of("adamw"), 0), (recipe_of("muon"), 1), (recipe_of("adamw", 1e-3), 2)]
    task = task_of()
    for run, (recipe, seed) in zip(
        train_many(task, members, device="cpu", points=3), members, strict=True
    ):
        close(run, train(task, recipe, seed=seed, device="cpu", points=3))


@pytest.mark.parametrize(
    ("timing", "best"),
    [
        (Timing(1.0, 0.5), "stacked"),
        (Timing(1.0, 0.95), "single"),
        (Timing(1.0, math.inf), "single"),
        (Timing(1.0, 0.5, 0.2, 9.0), "compiled"),
        (Timing(0.1, 0.5, 0.2, 9.0), "single"),
    ],
    ids=str,
)
def test_the_fastest_form_is_chosen(timing: Timing, best: str) -> None:
    assert timing.best == best


def test_the_choice_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    task, members = task_of(), [(recipe_of(), seed) for seed in range(4)]
    assert choose(task, members[:1]) == "single"
    first = choose(task, members, device="cpu")
    monkeypatch.setattr("probes.stacked.choice._timing", None)
    assert choose(task, members, device="cpu") == first
    assert choose(task_of(by_function), members) == "single"


@pytest.mark.parametrize(("stacked", "times"), [(0.001, 1), (0.009, 3), (0.1, 1)])
def test_a_clear_timing_is_not_repeated(
    stacked: float, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def timed(*rest: object, **settings: object) -> float:
        calls.append(1)
        return stacked

    alone = SimpleNamespace(seconds_per_step=0.01)
    monkeypatch.setattr("probes.stacked.choice.train", lambda *rest, **settings: alone)
    monkeypatch.setattr("probes.stacked.choice._stacked", timed)
    choose(task_of(), [(recipe_of(), seed) for seed in range(4)], device="cpu", steps=1)
    assert len(calls) == times


def test_timings_decide_about_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def compiling(timing: Timing, *rest: object) -> Timing:
        tried.append(1)
        return Timing(timing.single, timing.stacked, 0.01, 5.0)

    monkeypatch.setattr("probes.stacked.choice._timing", lambda *rest: Timing(1.0, 0.1))
    monkeypatch.setattr("probes.stacked.choice._with_compilation", compiling)
    monkeypatch.setattr("probes.stacked.choice.can_compile", lambda device: True)
    task, members = task_of(), [(recipe_of(), seed) for seed in range(4)]
    assert choose(task, members, device="cpu", steps=10) == "stacked"
    assert not tried
    assert choose(task, members, device="cpu", steps=10_000) == "compiled"
    assert choose(task, members, device="cpu", steps=10) == "compiled"
    assert len(tried) == 1


@pytest.mark.slow
def test_compiled_stacks_are_the_same() -> None:
    compare(task_of(), various("adamw")[:2], compiled=True, points=3)
