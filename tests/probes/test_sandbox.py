"""What the user hands in is as it was after preparing, training and profiling."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from cases import CASES, classes_of, draw, made, mlp
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler, TensorDataset

from probes.profile import take_profile
from probes.recipe.schema import Recipe
from probes.sandbox import differentiable, sandbox
from probes.task import Task
from probes.training import train

INPUTS = draw(80, 6)
LABELS = classes_of(INPUTS)
RECIPE = Recipe.parse({"optimizer": {"name": "adamw", "lr": 1e-2}, "normalization": "batch"})

OPERATIONS: dict[str, Callable[[Task], object]] = {
    "prepare": lambda task: task.prepared,
    "train": lambda task: train(task, Recipe(), seed=11),
    "train with a changed model": lambda task: train(task, RECIPE, seed=11),
    "profile": lambda task: take_profile(task, tier=16, seed=11),
    "facts": lambda task: take_profile(task, tier=0, seed=11),
}


def _global() -> dict[str, Any]:
    """Everything global that training may touch, comparable."""
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state().tolist(),
        "warnings": list(warnings.filters),
        "cache": os.environ.get("TORCHINDUCTOR_CACHE_DIR"),
        "dtype": torch.get_default_dtype(),
        "gradient": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "anomaly": torch.is_anomaly_enabled(),
        "threads": torch.get_num_threads(),
        "precision": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "benchmark": torch.backends.cudnn.benchmark,
        "cudnn": torch.backends.cudnn.enabled,
        "cudnn deterministic": torch.backends.cudnn.deterministic,
        "math attention": torch.backends.cuda.math_sdp_enabled(),
        "flash attention": torch.backends.cuda.flash_sdp_enabled(),
    }


def _of_model(model: nn.Module) -> dict[str, Any]:
    return {
        "state": {key: value.tolist() for key, value in model.state_dict().items()},
        "storage": {key: value.data_ptr() for key, value in model.state_dict().items()},
        "gradients": [None if p.grad is None else p.grad.tolist() for p in model.parameters()],
        "trainable": [p.requires_grad for p in model.parameters()],
        "modes": [(name, module.training) for name, module in model.named_modules()],
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
        "types": [type(module) for module in model.modules()],
    }


@pytest.mark.parametrize(
    ("name", "operation"),
    [(name, operation) for name in CASES for operation in OPERATIONS
     if "changed" not in operation or name in ("classifier", "convolutional", "regression")],
)  # fmt: skip
def test_model_and_everything_global_stay_as_they_were(name: str, operation: str) -> None:
    task = CASES[name].make()
    model = task.model
    assert isinstance(model, nn.Module)
    for position, module in enumerate(model.modules()):  # a mode of its own for each submodule
        module.training = position % 2 == 0
    for position, parameter in enumerate(model.parameters()):
        if position % 2 and parameter.requires_grad:
            parameter.grad = torch.full_like(parameter, 0.5)
    before = _global(), _of_model(model)
    OPERATIONS[operation](task)
    assert _global() == before[0]
    assert _of_model(model) == before[1]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_unusual_settings_stay_and_do_no_harm(operation: str) -> None:
    random.seed(3)
    np.random.seed(4)
    torch.manual_seed(5)
    with torch.no_grad():
        before = _global()
        OPERATIONS[operation](CASES["convolutional"].make())
        assert _global() == before
    with torch.inference_mode():
        before = _global()
        OPERATIONS[operation](CASES["classifier"].make())
        assert _global() == before


def _dirty() -> None:
    warnings.simplefilter("always")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", "somewhere")
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.autograd.set_detect_anomaly(True)
    torch.set_float32_matmul_precision("medium")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic = not torch.backends.cudnn.deterministic


class _Interruption(BaseException):
    """What is not even an Exception, as Ctrl-C."""


@pytest.mark.parametrize("error", [None, ValueError, _Interruption])
def test_the_sandbox_restores_also_when_an_error_passes(error: type[BaseException] | None) -> None:
    def inside() -> None:
        with sandbox():
            _dirty()
            assert _global() != before
            if error is not None:
                raise error

    before = _global()
    if error is None:
        inside()
    else:
        with pytest.raises(error):
            inside()
    assert _global() == before


def test_sandboxes_nest() -> None:
    before = _global()
    with sandbox():
        torch.manual_seed(7)
        middle = _global()
        with sandbox():
            _dirty()
        assert _global() == middle
    assert _global() == before


def test_a_users_own_settings_hold_inside_an_observer_and_after_an_error() -> None:
    """A training step that spoils everything and raises leaves no trace."""
    trained: list[bool] = []

    def spoil(model: nn.Module, batch: Any) -> Tensor:
        if not torch.is_grad_enabled() or torch.get_default_dtype() == torch.float64:
            return model(batch[0]).square().mean()
        if model.training:
            trained.append(True)
            if len(trained) > 1:  # the first is a trial before training
                _dirty()
                raise KeyError("mine")
        return model(batch[0]).square().mean()

    task = Task(made(mlp), (INPUTS, LABELS), steps=3, training_step=spoil)
    before = _global()
    with pytest.raises(KeyError, match="mine"):
        train(task, Recipe())
    assert _global() == before


def test_gradients_are_recorded_inside() -> None:
    with torch.no_grad(), differentiable():
        assert torch.is_grad_enabled()
    with torch.inference_mode():
        with differentiable():
            assert torch.ones(1, requires_grad=True).sum().requires_grad
        assert torch.is_inference_mode_enabled()


class NoisyRows(Dataset[tuple[Tensor, Tensor]]):
    """Augments with generators of its own, of every kind."""

    def __init__(self) -> None:
        self.numpy = np.random.default_rng(1)
        self.legacy = np.random.RandomState(2)
        self.python = random.Random(3)
        self.nested = {"transforms": [NoisyTransform()]}

    def __len__(self) -> int:
        return len(INPUTS)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        noise = self.numpy.normal() + self.legacy.normal() + self.python.gauss(0, 1)
        return self.nested["transforms"][0](INPUTS[index] + noise), LABELS[index]


class NoisyTransform:
    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(4)

    def __call__(self, inputs: Tensor) -> Tensor:
        return inputs + torch.randn((), generator=self.generator)


class GlobalNoiseRows(Dataset[tuple[Tensor, Tensor]]):
    """Augments from the global streams."""

    def __len__(self) -> int:
        return len(INPUTS)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        noise = np.random.normal() + random.gauss(0, 1) + float(torch.randn(()))
        return (INPUTS[index] + noise).float(), LABELS[index]


def _loaders() -> dict[str, Callable[[], DataLoader[Any]]]:
    plain = TensorDataset(INPUTS, LABELS)

    def seeded() -> torch.Generator:
        return torch.Generator().manual_seed(6)

    return {
        "shuffle": lambda: DataLoader(plain, 8, shuffle=True),
        "own generator": lambda: DataLoader(plain, 8, shuffle=True, generator=seeded()),
        "replacement": lambda: DataLoader(
            plain, 8, sampler=RandomSampler(plain, replacement=True, generator=seeded())
        ),
        "noisy rows": lambda: DataLoader(NoisyRows(), 8, shuffle=True),
        "global noise": lambda: DataLoader(GlobalNoiseRows(), 8),
    }


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", _loaders())
def test_the_loaders_next_batch_is_what_it_would_have_been(kind: str, operation: str) -> None:
    def next_batch(loader: DataLoader[Any], between: Callable[[], object]) -> list[Tensor]:
        random.seed(8)
        np.random.seed(8)
        torch.manual_seed(8)
        list(loader)
        begun = iter(loader)
        next(begun)
        between()
        return [*next(begun), *next(iter(loader))]

    loader = _loaders()[kind]()
    task = Task(made(mlp), (loader, (INPUTS, LABELS)), steps=4)
    expected = next_batch(_loaders()[kind](), lambda: None)
    found = next_batch(loader, lambda: OPERATIONS[operation](task))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_the_users_tensors_and_arrays_are_not_written_to() -> None:
    arrays = INPUTS.clone().numpy(), LABELS.clone().numpy()

    def overwrite(model: nn.Module, batch: Any) -> Tensor:
        batch[0].fill_(1.0)
        return model(batch[0]).square().mean()

    train(Task(made(mlp), arrays, steps=5, training_step=overwrite), Recipe())
    assert np.array_equal(arrays[0], INPUTS.numpy())
    tensors = INPUTS.clone(), LABELS.clone()
    train(Task(made(mlp), tensors, steps=5, training_step=overwrite), Recipe())
    assert torch.equal(tensors[0], INPUTS)


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with sandbox():
        yield
