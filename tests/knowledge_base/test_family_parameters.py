"""What can be chosen of each family, and that what joined later changes no older model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from knowledge_base.families import FAMILIES, Signature, build_model
from knowledge_base.families.layers import Residual

DATA = {
    "flat": Signature(input_shape=(7,), output=3),
    "image": Signature(input_shape=(1, 8, 8), output=10),
    "series": Signature(input_shape=(12, 3), output=2),
    "tokens": Signature(input_shape=(12,), tokens=20, output=2),
}
CHOICES = {"activation", "normalization", "residual", "initialization"}
LACKING = {
    "linear": {"activation", "normalization", "residual"},
    "siren": CHOICES,
    "lstm": {"activation"},
    "gru": {"activation"},
    "cnn": {"residual"},
    "conv1d": {"residual"},
    "resnet": {"residual"},
    "tcn": {"residual"},
    "mlp_mixer": {"normalization", "residual"},
    "transformer": {"normalization", "residual"},
}
SUMS: list[tuple[str, dict[str, Any], str, float]] = [
    ("linear", {}, "flat", 4.0610),
    ("mlp", {"normalization": "layer", "residual": True}, "flat", 478.3634),
    ("autoencoder", {"initialization": "kaiming"}, "flat", 492.3726),
    ("siren", {}, "flat", 54.9564),
    ("fourier", {}, "flat", 139.4070),
    ("embedding_bag", {}, "tokens", 706.9076),
    ("factorization", {}, "flat", 373.1384),
    ("cnn", {}, "image", 240.1910),
    ("resnet", {}, "image", 123.0103),
    ("mlp_mixer", {}, "image", 1086.7638),
    ("conv1d", {}, "series", 180.2510),
    ("tcn", {}, "series", 675.4915),
    ("lstm", {"depth": 2, "initialization": "xavier"}, "image", 1348.2194),
    ("gru", {"depth": 2}, "image", 941.8763),
    ("transformer", {}, "image", 1010.9444),
]
HIDDEN = ["mlp", "autoencoder", "fourier", "embedding_bag", "factorization"]
STACKED = [*HIDDEN, "lstm", "gru"]


def data_for(name: str) -> Signature:
    return next(data for data in DATA.values() if FAMILIES[name].takes(data))


def batch(data: Signature) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    if data.tokens is not None:
        return torch.randint(data.tokens, (6, *data.input_shape), generator=generator)
    return torch.randn((6, *data.input_shape), generator=generator)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_every_choice_that_it_is_not_said_to_lack(name: str) -> None:
    assert CHOICES - FAMILIES[name].parameters.model_fields.keys() == LACKING.get(name, set())


@pytest.mark.parametrize(("name", "settings", "data", "total"), SUMS)
def test_models_of_recorded_runs_are_built_as_they_were(
    name: str, settings: dict[str, Any], data: str, total: float
) -> None:
    """Sums of absolute weights, of the code that made the runs; another draw changes them."""
    model = build_model(name, settings, DATA[data], seed=0)
    found = sum(p.detach().double().abs().sum().item() for p in model.parameters())
    assert found == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_a_plain_recurrent_model_is_the_layer_that_users_have(name: str) -> None:
    for settings in ({"depth": 3}, {"depth": 1, "residual": True}):
        model = build_model(name, settings, DATA["series"], seed=0)
        assert isinstance(model.recurrent, nn.RNNBase)
        assert model.recurrent.num_layers == settings["depth"]


@pytest.mark.parametrize("name", STACKED)
def test_a_residual_layer_that_gives_zero_passes_its_input_on(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = batch(data_for(name))
    model = build_model(name, {"depth": 3, "residual": True}, data_for(name), seed=0)
    residual = [module for module in model.modules() if isinstance(module, Residual)]
    assert len(residual) == (4 if name == "autoencoder" else 2)
    with torch.no_grad():
        before = model(inputs)
        for module in residual:
            for parameter in module.parameters():
                parameter.zero_()
        zeroed = model(inputs)
        for module in residual:
            monkeypatch.setattr(module, "forward", lambda hidden: hidden)
        torch.testing.assert_close(zeroed, model(inputs))
    assert not torch.allclose(before, zeroed)
    assert zeroed.std(0).max() > 1e-3, "the first layer is still read"


@pytest.mark.parametrize(
    ("name", "normalization"),
    [*((name, "batch") for name in HIDDEN), *((name, "layer") for name in STACKED)],
)
def test_normalization_is_there_once_a_layer(name: str, normalization: str) -> None:
    settings = {"depth": 2, "normalization": normalization}
    model = build_model(name, settings, data_for(name), seed=0)
    kind = nn.BatchNorm1d if normalization == "batch" else nn.LayerNorm
    found = [module for module in model.modules() if isinstance(module, kind)]
    assert len(found) == (4 if name == "autoencoder" else 2)


@pytest.mark.parametrize("name", ["linear", *HIDDEN])
def test_initialization_reaches_linear_layers_and_no_embeddings(name: str) -> None:
    data = DATA["tokens"] if FAMILIES[name].takes(DATA["tokens"]) else DATA["flat"]
    plain = build_model(name, {}, data, seed=0)
    model = build_model(name, {"initialization": "orthogonal"}, data, seed=0)
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert linears
    for layer in linears:
        weight = layer.weight if layer.out_features <= layer.in_features else layer.weight.T
        torch.testing.assert_close(weight @ weight.T, torch.eye(len(weight)), atol=1e-5, rtol=0)
        assert layer.bias is None or not layer.bias.any()
    for first, second in zip(plain.modules(), model.modules(), strict=True):
        if isinstance(first, nn.Embedding) and isinstance(second, nn.Embedding):
            assert second.weight.std().item() == pytest.approx(first.weight.std().item(), rel=0.3)
