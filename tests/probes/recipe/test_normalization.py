import copy
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from probes.errors import UserError
from probes.recipe.normalization import (
    KINDS,
    NORMALIZATIONS,
    apply_normalization,
    normalization_layers,
    refuse_normalization,
    standalone_source,
)

torch.set_num_threads(1)


class OwnRMSNorm(nn.Module):
    def __init__(self, width: int, start: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((width,), start))
        self.eps = 1e-6

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)


class OwnMapNorm(nn.Module):
    """Layer norm over the channels of a map (N, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-6).sqrt()
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class LayerScale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.gamma * x


class Saturating(LayerScale):
    def forward(self, x: Tensor) -> Tensor:
        return self.gamma * torch.tanh(x)


class LanguageModel(nn.Module):
    """Pre-norm blocks, token embedding tied to the head; (N, T) -> (N, T, 16)."""

    def __init__(self, norm: Callable[[int], nn.Module] = nn.LayerNorm) -> None:
        super().__init__()
        self.embed = nn.Embedding(16, 12)
        self.attention = nn.MultiheadAttention(12, 2, batch_first=True)
        self.norm1, self.norm2, self.final = norm(12), norm(12), norm(12)
        self.mlp = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))
        self.head = nn.Linear(12, 16, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        y = self.norm1(x)
        x = x + self.attention(y, y, y)[0]
        return self.head(self.final(x + self.mlp(self.norm2(x))))


class LSTMClassifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(16, 8)
        self.lstm = nn.LSTM(8, 12, batch_first=True)
        self.hidden = nn.Linear(12, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(torch.relu(self.hidden(self.lstm(self.embed(tokens))[0][:, -1])))


class Shared(nn.Module):
    """One layer used twice and registered twice; its weight is read too."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.again = self.first
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.again(torch.relu(self.first(x))))
        return self.head(x) + 0 * self.first.weight.sum()


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)
    )


def nested() -> nn.Module:
    block = nn.Sequential(nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8)), nn.Tanh())
    return nn.Sequential(block, nn.Sequential(nn.Sequential(nn.Linear(8, 3))))


def cnn(*norm: nn.Module) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(2, 8, 3), *norm, nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)),
    )


def conv1d() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv1d(2, 8, 3), nn.BatchNorm1d(8), nn.ReLU(), nn.ConvTranspose1d(8, 4, 3)),
        *(nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(36, 3)),
    )


def conv3d() -> nn.Module:
    return nn.Sequential(nn.Conv3d(2, 8, 2), nn.ReLU(), nn.Conv3d(8, 4, 2), nn.Flatten())


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Linear(8, 3))


def convnext() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(2, 8, 3), OwnMapNorm(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
        *(nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 3)),
    )


FEATURES, MAP, TOKENS = (6, 8), (6, 2, 9, 9), (6, 5)
MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (mlp, FEATURES),
    "mlp on sequences": (mlp, (6, 5, 8)),
    "cnn with batch norm": (lambda: cnn(nn.BatchNorm2d(8)), MAP),
    "cnn with map layer norm": (lambda: cnn(nn.LayerNorm((8, 7, 7))), MAP),
    "cnn": (cnn, MAP),
    "conv1d": (conv1d, (6, 2, 9)),
    "conv3d": (conv3d, (6, 2, 4, 4, 4)),
    "language model": (LanguageModel, TOKENS),
    "language model, own norm": (lambda: LanguageModel(OwnRMSNorm), TOKENS),
    "encoder": (encoder, (6, 5, 8)),
    "lstm": (LSTMClassifier, TOKENS),
    "nested": (nested, FEATURES),
    "shared": (Shared, FEATURES),
    "convnext": (convnext, MAP),
}


def make(name: str) -> tuple[nn.Module, Tensor]:
    builder, shape = MODELS[name]
    torch.manual_seed(0)
    inputs = torch.randint(16, shape) if shape == TOKENS else torch.randn(shape)
    return builder(), inputs


@pytest.mark.parametrize("kind", NORMALIZATIONS)
@pytest.mark.parametrize("name", MODELS)
def test_every_model_with_every_normalization(name: str, kind: str) -> None:
    model, inputs = make(name)
    before = model(inputs)
    kinds = {found for _, _, found in normalization_layers(model)}
    if refuse_normalization(model, kind) is not None:
        with pytest.raises(UserError, match="expected a model that can take"):
            apply_normalization(model, kind)
        assert torch.equal(model(inputs), before)
        return
    random_state = torch.get_rng_state()
    assert apply_normalization(model, kind) is model
    assert torch.equal(torch.get_rng_state(), random_state)

    output = model(inputs)
    assert output.shape == before.shape
    assert output.isfinite().all()
    if kind in ("keep", "weight"):
        torch.testing.assert_close(output, before, atol=1e-6, rtol=1e-6)
    else:
        assert torch.equal(output, before) == (kinds == {kind})
    if kind in KINDS:
        assert {found for _, _, found in normalization_layers(model)} == {kind}

    output.pow(2).sum().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name

    twin = copy.deepcopy(model)
    fresh = apply_normalization(make(name)[0], kind)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    fresh.load_state_dict(model.state_dict())
    assert not torch.equal(twin.eval()(inputs), model.eval()(inputs))
    assert torch.equal(fresh.eval()(inputs), model(inputs))


def test_what_is_refused_in_the_table() -> None:
    refused = {
        (name, kind)
        for name in MODELS
        for kind in NORMALIZATIONS
        if refuse_normalization(make(name)[0], kind) is not None
    }
    without_norm = {"mlp", "mlp on sequences", "cnn", "conv3d", "lstm", "shared"}
    with_positions = {name for name in MODELS if name.startswith("c")}  # cnn, conv1d, convnext...
    without_positions = MODELS.keys() - with_positions
    expected = {(name, "none") for name in without_norm}
    assert refused == expected | {(name, "instance") for name in without_positions}


def statistics(kind: str, layer: nn.Module, x: Tensor, feature_dim: int) -> tuple[Tensor, Tensor]:
    """Mean and mean square of the output over what `kind` averages."""
    y = layer(x).movedim(feature_dim, 1)
    dims = {"batch": [0, *range(2, x.dim())], "instance": [*range(2, x.dim())]}.get(kind, [1])
    return y.mean(dims), y.pow(2).mean(dims)


@pytest.mark.parametrize("kind", ["batch", "layer", "instance", "rms"])
@pytest.mark.parametrize(
    ("layer", "shape", "feature_dim"),
    [
        (nn.Conv1d(3, 8, 3), (4, 3, 9), 1),
        (nn.Conv2d(3, 8, 3), (4, 3, 9, 9), 1),
        (nn.Conv3d(3, 8, 2), (4, 3, 4, 4, 4), 1),
        (nn.Linear(3, 8), (40, 3), -1),
        (nn.Linear(3, 8), (4, 10, 3), -1),
    ],
)
def test_inserted_layer_normalizes_what_its_name_says(
    kind: str, layer: nn.Module, shape: tuple[int, ...], feature_dim: int
) -> None:
    model = nn.Sequential(layer, nn.ReLU(), nn.Conv1d(8, 2, 1))
    if kind == "instance" and isinstance(layer, nn.Linear):
        assert refuse_normalization(model, kind) is not None
        return
    apply_normalization(model, kind)
    mean, square = statistics(kind, model[0], 5 * torch.randn(shape) + 3, feature_dim)
    torch.testing.assert_close(square, torch.ones_like(square), atol=0.02, rtol=0)
    if kind != "rms":
        torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-4, rtol=0)


def test_group_norm_on_sequences_does_not_look_ahead() -> None:
    model = apply_normalization(
        nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2)), "group"
    )
    x = torch.randn(2, 6, 4)
    changed = torch.cat([x[:, :3], torch.randn(2, 3, 4)], 1)
    assert torch.equal(model(x)[:, :3], model(changed)[:, :3])


@pytest.mark.parametrize(
    ("channels", "asked", "conv", "linear"),
    [(16, 8, 8, 4), (12, 8, 6, 3), (7, 8, 7, 1), (64, 8, 8, 8), (64, 5, 4, 4), (8, 1, 1, 1)],
)
def test_number_of_groups_divides_the_features(
    channels: int, asked: int, conv: int, linear: int
) -> None:
    model = nn.Sequential(nn.Conv1d(1, channels, 1), nn.Linear(9, channels), nn.Linear(channels, 2))
    apply_normalization(model, "group", num_groups=asked)
    assert [m.num_groups for _, m, _ in normalization_layers(model)] == [conv, linear]


@pytest.mark.parametrize("kind", KINDS)
def test_new_layers_take_over_eps_type_mode_and_gradients(kind: str) -> None:
    old = nn.BatchNorm2d(8, eps=1e-3).double()
    model = cnn(old).double().eval()
    old.requires_grad_(False)
    apply_normalization(model, kind)
    ((_, new, found),) = normalization_layers(model)
    assert found == kind
    assert (new is old) == (kind == "batch")
    assert new.eps == 1e-3
    assert not new.training
    assert new.weight.dtype == torch.float64
    assert not new.weight.requires_grad
    plain = apply_normalization(cnn().to(torch.bfloat16).eval(), kind)
    for _, module, _ in normalization_layers(plain):
        assert module.weight.dtype == torch.bfloat16
        assert not module.training


@pytest.mark.parametrize("kind", ["weight", *KINDS])
def test_new_parameters_are_on_the_device_of_the_model(kind: str) -> None:
    for model in (cnn(), cnn(nn.GroupNorm(2, 8, affine=False))):
        apply_normalization(model.to("meta"), kind)
        assert all(t.is_meta for t in [*model.parameters(), *model.buffers()])


def test_norm_without_parameters_stays_without() -> None:
    model = cnn(nn.InstanceNorm2d(8))
    apply_normalization(model, "batch")
    ((_, new, _),) = normalization_layers(model)
    assert not list(new.parameters())
    assert new.running_mean is not None


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (OwnRMSNorm(7), "rms"),
        (OwnRMSNorm(3, start=0.0), "rms"),
        (OwnMapNorm(5), "layer"),
        (OwnMapNorm(3), "layer"),
        (nn.RMSNorm(4), "rms"),
        (nn.LayerNorm(4, elementwise_affine=False), "layer"),
        (nn.SyncBatchNorm(4), "batch"),
        (LayerScale(4), None),
        (Saturating(4), None),
        (nn.PReLU(4), None),
        (nn.Linear(4, 1, bias=False), None),
        (nn.LocalResponseNorm(2), None),
    ],
)
def test_norms_are_found_by_type_and_behaviour(module: nn.Module, expected: str | None) -> None:
    found = normalization_layers(nn.Sequential(nn.Linear(4, 4), module))
    assert [(name, kind) for name, _, kind in found] == ([("1", expected)] if expected else [])


def test_subclass_of_layer_norm_with_features_first_keeps_its_layout() -> None:
    class MapLayerNorm(nn.LayerNorm):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input.movedim(1, -1)).movedim(-1, 1)

    model = nn.Sequential(nn.Conv2d(3, 8, 3), MapLayerNorm(8), nn.Flatten(), nn.Linear(8 * 49, 2))
    apply_normalization(model, "rms")
    assert model(torch.randn(2, 3, 9, 9)).shape == (2, 2)


def test_insertion_leaves_outputs_attention_and_frozen_layers_alone() -> None:
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frozen = nn.Linear(4, 8).requires_grad_(False)
            self.attn = nn.ModuleDict({"query": nn.Linear(8, 8), "key": nn.Linear(8, 8)})
            self.hidden, self.narrow = nn.Linear(8, 8), nn.Linear(8, 1)
            self.trunk = nn.Linear(8, 8)
            self.policy, self.value = nn.Linear(8, 5), nn.Linear(8, 1)

    model = apply_normalization(TwoHeads(), "layer")
    assert [name for name, _, _ in normalization_layers(model)] == [
        "hidden.normalization",
        "trunk.normalization",
    ]


def test_layer_attributes_are_found_through_its_normalization() -> None:
    model = mlp()
    first = model[0]
    apply_normalization(model, "batch")
    assert model[0].weight is first.weight
    assert model[0].in_features == 8
    with pytest.raises(AttributeError, match="nothing_like_this"):
        model[0].nothing_like_this  # noqa: B018
    with pytest.raises(AttributeError):
        model[0].__deepcopy__  # noqa: B018


@pytest.mark.parametrize("kind", ["none", "rms", "group"])
def test_fused_inference_of_the_encoder_is_not_taken(kind: str) -> None:
    model = apply_normalization(make("encoder")[0], kind)
    inputs = torch.randn(6, 5, 8)
    padding = torch.zeros(6, 5, dtype=torch.bool)
    padding[:, 4] = True
    with torch.no_grad():
        trained = [model(inputs), model[0](inputs, src_key_padding_mask=padding)]
        model.eval()
        evaluated = [model(inputs), model[0](inputs, src_key_padding_mask=padding)]
    torch.testing.assert_close(evaluated, trained)


def test_weight_norm_skips_what_it_would_break() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(5, 4), nn.Linear(4, 5)
            self.head.weight = self.embed.weight
            self.zero, self.frozen = nn.Linear(4, 4), nn.Linear(4, 4).requires_grad_(False)
            nn.init.zeros_(self.zero.weight)
            self.spectral = parametrizations.spectral_norm(nn.Linear(4, 4))
            self.lazy = nn.LazyLinear(3)
            self.lstm = nn.LSTM(4, 4)
            self.plain, self.transposed = nn.Linear(4, 4), nn.ConvTranspose2d(4, 6, 3)

    model = Tied()
    apply_normalization(model, "weight")
    magnitudes = {n: tuple(p.shape) for n, p in model.named_parameters() if "original0" in n}
    assert magnitudes == {
        "plain.parametrizations.weight.original0": (4, 1),
        "transposed.parametrizations.weight.original0": (1, 6, 1, 1),
    }
    assert model.head.weight is model.embed.weight
    assert "parametrized" in str(refuse_normalization(model, "weight"))


class Conditional(nn.BatchNorm2d):
    def forward(self, input: Tensor, condition: Tensor | None = None) -> Tensor:
        return super().forward(input)


class Quantized(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 3, dtype=torch.int8), requires_grad=False)


@pytest.mark.parametrize(
    ("model", "name", "reason"),
    [
        (nn.Sequential(nn.Embedding(3, 3), nn.ReLU()), "batch", "no linear"),
        (nn.LSTM(3, 3), "weight", "no linear"),
        (nn.Linear(3, 3), "layer", "output layer"),
        (nn.Sequential(mlp(), Quantized()), "weight", "quantized"),
        (torch.compile(mlp(), backend="eager"), "batch", "torch.compile"),
        (mlp(), "instance", "no positions"),
        (mlp(), "none", "no normalization layer"),
        (cnn(Conditional(8)), "none", "more than normalize"),
        (cnn(nn.LazyBatchNorm2d()), "group", "before a first batch"),
        (nn.LayerNorm(3), "none", "itself is a normalization"),
    ],
)
def test_refusal_says_why(model: nn.Module, name: str, reason: str) -> None:
    assert reason in str(refuse_normalization(model, name))
    assert refuse_normalization(model, "keep") is None
    with pytest.raises(UserError, match=reason):
        apply_normalization(model, name)


@pytest.mark.filterwarnings("ignore")
def test_torchscript_and_torch_quantization_are_refused() -> None:
    assert "TorchScript" in str(refuse_normalization(torch.jit.script(mlp()), "batch"))
    quantized = nn.Sequential(torch.ao.nn.quantized.dynamic.Linear(3, 3), mlp())
    assert "quantized" in str(refuse_normalization(quantized, "batch"))


@pytest.mark.parametrize(
    ("name", "hyperparameters", "match"),
    [
        ("grup", {}, "did you mean group"),
        ("group", {"num_groups": 0}, "at least 1"),
        ("group", {"num_groups": 2.5}, "at least 1"),
        ("group", {"groups": 2}, "num_groups alone"),
        ("batch", {"num_groups": 2}, "none"),
    ],
)
def test_wrong_names_and_hyperparameters(
    name: str, hyperparameters: dict[str, object], match: str
) -> None:
    with pytest.raises(UserError, match=match):
        apply_normalization(mlp(), name, **hyperparameters)


@pytest.mark.parametrize("kind", NORMALIZATIONS)
def test_standalone_source_does_the_same(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports, definitions, call = standalone_source(kind)
    assert "probes" not in imports + definitions
    body = f"    {call}\n" if call else ""
    text = f"{imports}\n\n\n{definitions}\n\n\ndef prepare_model(model):\n{body}    return model\n"
    (tmp_path / f"exported_{kind}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    exported = importlib.import_module(f"exported_{kind}")
    ours, inputs = make("convnext")
    apply_normalization(ours, kind)
    assert torch.equal(exported.prepare_model(make("convnext")[0])(inputs), ours(inputs))
    monkeypatch.delitem(sys.modules, exported.__name__)
