from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from facts_cases import CASES, blobs, context, mlp
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from probes.errors import UserError
from probes.measures.data_facts import DataFacts
from probes.measures.model_facts import ModelFacts
from probes.task import Task


def model_of(model: Any, *shape: int, **options: Any) -> dict[str, float]:
    """Model facts beside random inputs of a shape and as many real targets as the outputs."""
    inputs = torch.randn(*shape)
    with torch.no_grad():
        outputs = model(inputs)
    task = Task(model, (inputs, torch.randn_like(outputs)), steps=5, batch_size=4, **options)
    return ModelFacts().measure(context(task))


@pytest.mark.parametrize("name", CASES)
def test_model_facts_are_those_worked_out_by_hand(name: str) -> None:
    case = CASES[name]
    found = ModelFacts().measure(context(case.make()))
    wanted = {f"model.{key}": value for key, value in case.model.items()}
    if "model.flops" in wanted:
        wanted["model.log_flops_per_sample"] = math.log10(wanted.pop("model.flops"))
    tolerance = {"model.weight_scale": 0.2}
    for key, value in wanted.items():
        assert found[key] == pytest.approx(value, abs=tolerance.get(key, 1e-6)), key
    assert not set(case.absent) & set(found)
    shares = [value for key, value in found.items() if key.startswith("model.share_")]
    assert sum(shares) == pytest.approx(1)


@pytest.mark.parametrize(
    ("layer", "shape", "kind"),
    [
        (nn.BatchNorm1d(6), (12, 6), "batch"), (nn.LayerNorm(6), (12, 6), "layer"),
        (nn.GroupNorm(2, 6), (12, 6), "group"), (nn.RMSNorm(6), (12, 6), "rms"),
        (nn.InstanceNorm1d(6), (12, 6, 5), "instance"),
    ],
)  # fmt: skip
def test_each_normalization_is_told_apart(
    layer: nn.Module, shape: tuple[int, ...], kind: str
) -> None:
    found = model_of(nn.Sequential(nn.Identity(), layer, nn.Flatten(1), nn.LazyLinear(3)), *shape)
    flags = {key: value for key, value in found.items() if key.startswith("model.has_")}
    assert {key for key, value in flags.items() if value} == {
        f"model.has_{kind}_norm",
        "model.has_norm",
    }


def test_a_functional_normalization_counts() -> None:
    class Model(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(functional.layer_norm(x, x.shape[1:]))

    assert model_of(Model(4, 2), 12, 4)["model.has_layer_norm"] == 1


@pytest.mark.parametrize(
    ("layer", "kind"),
    [(nn.MultiheadAttention(8, 2), "attention"),
     (nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), "attention"),
     (nn.GRU(8, 8), "recurrent"), (nn.GRUCell(8, 8), "recurrent"),
     (nn.ConvTranspose1d(5, 5, 1), "convolutional")],
)  # fmt: skip
def test_library_layers_are_recognized(layer: nn.Module, kind: str) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            if isinstance(layer, nn.MultiheadAttention):
                return self.layer(x, x, x)[0].mean((1, 2))
            if isinstance(layer, nn.GRUCell):
                return self.layer(x[:, 0]).mean(1)
            result = self.layer(x)
            return (result[0] if isinstance(result, tuple) else result).mean((1, 2))

    found = model_of(Model(), 12, 5, 8)
    assert found[f"model.{kind}"] == 1
    assert found["model.log_flops_per_sample"] > 0
    assert found["model.depth"] >= 1
    shares = [value for key, value in found.items() if key.startswith("model.share_")]
    assert sum(shares) == pytest.approx(1)
    assert found["model.share_other"] == 0


def test_fused_and_plain_attention_cost_the_same() -> None:
    class Model(nn.Module):
        def __init__(self, fused: bool) -> None:
            super().__init__()
            self.project, self.fused = nn.Linear(8, 8), fused

        def forward(self, x: Tensor) -> Tensor:
            q = self.project(x)
            if self.fused:
                return functional.scaled_dot_product_attention(q, q, q)
            return (q @ q.mT).softmax(-1) @ q

    fused, plain = (model_of(Model(fused), 12, 5, 8) for fused in (True, False))
    for key in ("model.log_flops_per_sample", "model.attention", "model.share_attention"):
        assert fused[key] == pytest.approx(plain[key]), key
    assert fused["model.attention"] == 1
    assert plain["model.share_attention"] == 1


@pytest.mark.parametrize("wrap", [nn.utils.parametrizations.weight_norm, nn.utils.weight_norm])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weight_norm_is_seen_and_keeps_kind_and_scale(wrap: Any) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 2))
    before = model_of(plain, 12, 6)
    wrapped = model_of(
        lambda *x: nn.Sequential(wrap(nn.Linear(6, 10)), nn.ReLU(), nn.Linear(10, 2))(*x)
        if x
        else nn.Sequential(wrap(nn.Linear(6, 10)), nn.ReLU(), nn.Linear(10, 2)),
        12, 6,
    )  # fmt: skip
    assert (before["model.weight_norm"], wrapped["model.weight_norm"]) == (0, 1)
    assert wrapped["model.share_linear"] == 1
    assert wrapped["model.weight_layers"] == 2
    assert wrapped["model.weight_scale"] == pytest.approx(before["model.weight_scale"], abs=0.1)


@pytest.mark.parametrize(
    ("fill", "scale"), [(nn.init.zeros_, 0.0), (nn.init.ones_, 3.0)], ids=["zeros", "ones"]
)
def test_weight_scale_is_relative_to_fan_in(fill: Any, scale: float) -> None:
    layer = nn.Linear(9, 4)
    fill(layer.weight)
    assert model_of(nn.Sequential(layer), 12, 9)["model.weight_scale"] == pytest.approx(scale)


def test_frozen_parameters_and_output_scale() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    model[0].requires_grad_(False)
    nn.init.zeros_(model[1].weight)
    nn.init.constant_(model[1].bias, -5.0)
    found = model_of(model, 12, 4)
    assert found["model.trainable_share"] == pytest.approx(4 / 19)
    assert found["model.output_scale"] == pytest.approx(5)


def test_token_plus_position_is_no_residual() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.places = nn.Embedding(5, 4), nn.Embedding(6, 4)
            self.head = nn.Linear(4, 5)

        def forward(self, ids: Tensor) -> Tensor:
            places = torch.arange(ids.shape[1]).expand_as(ids)
            return self.head(functional.dropout(self.tokens(ids), 0.2, False) + self.places(places))

    ids = torch.arange(5).repeat(20, 2)[:, :7]
    task = Task(Model(), ids, ids, steps=5, batch_size=4)
    found = ModelFacts().measure(context(task))
    assert found["model.residual"] == 0
    assert found["model.dropout"] == 0  # it is switched off


def test_a_training_step_is_traced_within_the_model_only() -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        inputs, targets = batch
        noisy = torch.relu(inputs + torch.randn_like(inputs))
        return functional.cross_entropy(model(noisy), targets)

    plain = blobs()
    task = Task(mlp(), plain.train, plain.validation, steps=5, batch_size=20, training_step=step)
    found = ModelFacts().measure(context(task))
    assert found["model.residual"] == found["model.activation_relu"] == 0
    assert found["model.depth"] == 3
    assert found["model.output_scale"] > 0
    data = DataFacts().measure(context(task))
    assert data["data.classes"] == 3
    assert data["data.target_classification"] == 1


def test_a_training_step_that_never_calls_the_model_as_a_whole() -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        return functional.mse_loss(torch.relu(model[0](batch["x"])), batch["z"])

    rows = [{"x": torch.randn(4), "z": torch.rand(3)} for _ in range(40)]
    loader = DataLoader(rows, batch_size=4)
    model = nn.Sequential(nn.Linear(4, 3))
    task = Task(model, loader, loader, steps=5, training_step=step)
    found = ModelFacts().measure(context(task))
    assert found["model.activation_relu"] == found["model.depth"] == 1
    assert "model.output_scale" not in found
    data = DataFacts().measure(context(task))
    assert data["data.input_dimensions"] == 7
    assert not any(key.startswith("data.target") for key in data)


def test_odd_models_do_not_crash() -> None:
    class Complex(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 3, dtype=torch.complex64))
            self.never = nn.LazyLinear(3)

        def forward(self, x: Tensor) -> Tensor:
            return (x.to(torch.complex64) @ self.weight).abs()

    found = model_of(Complex(), 12, 4)
    assert found["model.parameters"] == 12
    assert found["model.width"] == 3
    none = model_of(nn.Sequential(nn.Softplus()), 12, 4)
    assert none["model.parameters"] == none["model.depth"] == 0
    assert "model.log_parameters" not in none
    assert "model.share_linear" not in none


@pytest.mark.filterwarnings("ignore")
def test_a_model_with_a_scripted_part_says_what_it_can() -> None:
    found = model_of(nn.Sequential(torch.jit.script(mlp())), 12, 5)
    assert found["model.parameters"] == 739
    assert found["model.output_scale"] > 0
    assert not {"model.depth", "model.share_other", "model.activation_saturating"} & set(found)


def test_a_model_that_fails_in_training_mode_is_the_users_error() -> None:
    class Model(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                raise KeyError("aux")
            return super().forward(x)

    with pytest.raises(UserError, match=r"training mode.*KeyError: 'aux'"):
        model_of(Model(4, 2).eval(), 12, 4)
