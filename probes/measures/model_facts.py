"""Facts of the model, from its modules and one forward: size, layers, initialization."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parameter import is_lazy

from probes.batch import map_tensors, size_of
from probes.device import resolve_device
from probes.measures.base import Context
from probes.measures.data_facts import known_length
from probes.measures.forward_trace import ForwardTrace, tensors_in
from probes.recipe.normalization import normalization_layers
from probes.sandbox import sandbox

FORWARD = 1 / 3
KINDS = ("linear", "convolution", "embedding", "normalization", "recurrent", "attention", "other")
NORMALIZATIONS = ("batch", "layer", "group", "instance", "rms")
ACTIVATIONS = {
    "relu": {"relu", "relu6", "leaky_relu", "prelu", "rrelu", "threshold"},
    "smooth": {"gelu", "silu", "mish", "hardswish", "softplus", "elu", "selu", "celu"},
    "saturating": {"tanh", "sigmoid", "hardtanh", "hardsigmoid", "softsign"},
}
"""Functions by family: piecewise linear, smooth and unbounded, bounded."""
_TYPES: tuple[tuple[Any, str], ...] = (
    ((nn.Embedding, nn.EmbeddingBag), "embedding"), ((nn.RNNBase, nn.RNNCellBase), "recurrent"),
    (_ConvNd, "convolution"), (nn.MultiheadAttention, "attention"),
    ((nn.Linear, nn.Bilinear), "linear"),
)  # fmt: skip
_WEIGHT_KINDS = ("linear", "convolution", "recurrent", "attention")
_FLAGS = {
    **{f"has_{kind}_norm": f"a {kind} normalization runs" for kind in NORMALIZATIONS},
    "has_norm": "any normalization runs",
    **{f"activation_{family}": ", ".join(sorted(ACTIVATIONS[family])) for family in ACTIVATIONS},
    "residual": "activations of equal shape are added", "attention": "attention is computed",
    "recurrent": "has a recurrent layer", "convolutional": "has a convolution",
    "embedding": "looks up an embedding", "tied": "a parameter serves in two places",
    "weight_norm": "a weight is parametrized by weight normalization",
}  # fmt: skip
UNITS: dict[str, str] = {
    "model.parameters": "count",
    "model.log_parameters": "log10 of the count",
    "model.log_parameters_per_sample": "log10 of parameters over training samples",
    "model.trainable_share": "share of parameters",
    **{f"model.share_{kind}": "share of parameters" for kind in KINDS},
    "model.weight_layers": "count, declared",
    "model.depth": "weight layers that one forward runs, reuse counted",
    "model.width": "output features, median over weight layers",
    "model.max_width": "output features",
    **{f"model.{flag}": f"0 or 1: {meaning}" for flag, meaning in _FLAGS.items()},
    "model.dropout": "probability, the largest",
    "model.log_flops_per_sample": "log10 of floating-point operations of a forward",
    "model.weight_scale": "rms of a weight times sqrt(fan-in), median over weight matrices",
    "model.output_scale": "rms of the outputs at initialization",
}


class ModelFacts:
    """What the model is, without training it; one forward of one batch.

    Weight layers are linear, convolutional, recurrent and attention layers and whatever multiplies
    by a parameter of its own; embeddings and normalizations are not. A linear layer counts as
    attention when the module that owns it computes an attention. Output scale and weight scale say
    how far the initialization is from keeping the signal's size (He et al. 2015, section 2.2).
    """

    name = "model"
    paper = "He et al. 2015, Delving deep into rectifiers (initialization); else plain counts"
    units = UNITS

    def passes(self, tier: int) -> float:
        """One forward at any tier."""
        return FORWARD

    def skip(self, context: Context) -> str | None:
        """It applies to every model."""
        return None

    def measure(self, context: Context) -> dict[str, float]:
        """See Measure. What cannot be told of a model is left out.

        Raises:
            UserError: The model does not take a batch in training mode.
        """
        task, prepared = context.task, context.prepared
        device = resolve_device(context.device)
        with sandbox(task.train, task.validation, task.test):
            torch.manual_seed(context.seed)
            model = task.make_model()
            compiled = getattr(model, "_orig_mod", None)  # of torch.compile, opaque to tracing
            model = (compiled if isinstance(compiled, nn.Module) else model).to(device).train()
            batch = next(prepared.train.ordered(prepared.batch_size, prepared.batch_size))
            batch = map_tensors(batch, lambda tensor: tensor.to(device))
            trace = ForwardTrace()
            flops = trace.run(model, prepared.objective, batch, torch.device(device).type)
            context.charge(FORWARD)
            with torch.no_grad():
                found = _facts(model, trace)
        found["log_flops_per_sample"] = _log10(flops / size_of(batch))
        length = known_length(prepared.train)
        found["log_parameters"] = _log10(found["parameters"])
        found["log_parameters_per_sample"] = _log10(found["parameters"] / (length or math.inf))
        return {f"model.{key}": value for key, value in found.items() if math.isfinite(value)}


def _facts(model: nn.Module, trace: ForwardTrace) -> dict[str, float]:
    found_norms = normalization_layers(model)
    norms = {id(module) for _, module, _ in found_norms}
    owned = {
        id(child)
        for module in model.modules() if id(module) in trace.attending
        for child in module.children()
    }  # fmt: skip
    modules = dict(model.named_modules(remove_duplicate=False))
    counts = dict.fromkeys(KINDS, 0)
    trainable = 0
    owners: dict[int, set[int]] = {}
    named = list(model.named_parameters(remove_duplicate=False))  # alive, so that ids stay unique
    for path, parameter in named:
        if is_lazy(parameter):  # of a layer that did not run
            continue
        owner = modules[_owner(path)]
        first = id(parameter) not in owners
        owners.setdefault(id(parameter), set()).add(id(owner))
        if first:
            trainable += parameter.numel() * parameter.requires_grad
            counts[_kind(owner, parameter, trace, norms, owned)] += parameter.numel()
    total = sum(counts.values())
    facts: dict[str, float] = {"parameters": float(total)}
    if total:
        facts["trainable_share"] = trainable / total
    for output in tensors_in(trace.outputs):
        if output.dim() and (output.is_floating_point() or output.is_complex()):
            facts["output_scale"] = _rms(output)
            break
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        return facts  # neither types nor calls can be seen in it
    if total:
        facts |= {f"share_{kind}": count / total for kind, count in counts.items()}
    layers, widths, scales = _weight_layers(model, trace, norms, owned)
    facts["weight_layers"] = float(layers)
    facts["depth"] = float(trace.executed)
    if widths:
        facts["width"], facts["max_width"] = float(median(widths)), float(max(widths))
    if scales:
        facts["weight_scale"] = float(median(scales))
    facts |= _flags(model, trace, {kind for _, _, kind in found_norms})
    shared = any(len(places) > 1 for places in owners.values())
    facts["tied"] = float(shared or any(len(kinds) > 1 for kinds in trace.kinds.values()))
    return facts


def _flags(model: nn.Module, trace: ForwardTrace, norms: set[Any]) -> dict[str, float]:
    modules = list(model.modules())
    kinds = {kind for module in modules for types, kind in _TYPES if isinstance(module, types)}
    kinds |= {kind for found in trace.kinds.values() for kind in found}
    norms = norms | {kind for kind in NORMALIZATIONS if trace.calls[f"{kind}_norm"]}
    dropouts = [m.p for m in modules if isinstance(m, _DropoutNd)]
    dropouts += [
        float(m.dropout) for m in modules if isinstance(m, (nn.RNNBase, nn.MultiheadAttention))
    ]
    normed = any(
        hasattr(m, "weight_g") or type(m).__name__ in ("_WeightNorm", "WeightNorm") for m in modules
    )
    flags = {
        **{f"has_{kind}_norm": kind in norms for kind in NORMALIZATIONS},
        "has_norm": bool(norms),
        **{
            f"activation_{family}": any(trace.calls[name] for name in names)
            for family, names in ACTIVATIONS.items()
        },
        "residual": trace.residuals > 0,
        "attention": trace.calls["attention"] > 0 or "attention" in kinds,
        "recurrent": trace.recurrent or "recurrent" in kinds,
        "convolutional": trace.convolutional or "convolution" in kinds,
        "embedding": "embedding" in kinds,
        "weight_norm": normed,
    }  # fmt: skip
    return {
        **{name: float(flag) for name, flag in flags.items()},
        "dropout": float(max([trace.dropout, *dropouts])),
    }


def _owner(path: str) -> str:
    """Path of the module that has a parameter; of a parametrized weight, of the outer one."""
    if "parametrizations." in path:
        return path.partition("parametrizations.")[0].rstrip(".")
    return path.rpartition(".")[0]


def _kind(
    module: nn.Module, parameter: Tensor, trace: ForwardTrace, norms: set[int], owned: set[int]
) -> str:
    """Kind of a parameter: by the type of its module, else by the functions that took it."""
    if id(module) in norms:
        return "normalization"
    kind = next((kind for types, kind in _TYPES if isinstance(module, types)), None)
    if kind is None:
        taken = trace.kinds.get(id(parameter), set())
        if not taken and parameter.dim() < 2:  # a bias goes with the matrix beside it
            beside = module.parameters(recurse=False)
            taken = {kind for other in beside for kind in trace.kinds.get(id(other), ())}
        kind = next((kind for kind in KINDS if kind in taken), "other")
    return "attention" if kind == "linear" and id(module) in owned else kind


def _weight_layers(
    model: nn.Module, trace: ForwardTrace, norms: set[int], owned: set[int]
) -> tuple[int, list[int], list[float]]:
    """Number of weight layers, output features of each, scale of each matrix."""
    layers, widths, scales = 0, [], []
    for module in model.modules():
        if isinstance(module, nn.utils.parametrize.ParametrizationList):
            continue
        matrices = {
            name: parameter
            for name, parameter in module.named_parameters(recurse=False)
            if not is_lazy(parameter) and name != "weight_g"  # the magnitudes of a weight norm
        }
        for name in getattr(module, "parametrizations", {}):
            matrices[name] = getattr(module, name)
        features: list[int] = []
        for matrix in matrices.values():
            kind = _kind(module, matrix, trace, norms, owned)
            if matrix.dim() < 2 or kind not in _WEIGHT_KINDS or not matrix.numel():
                continue
            features.append(trace.features.get(id(matrix), matrix.shape[0]))
            scales.append(_rms(matrix) * math.sqrt(matrix.numel() / features[-1]))
        if features:
            layers += module.num_layers if isinstance(module, nn.RNNBase) else 1
            if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
                features[0] = module.hidden_size
            widths.append(features[0])
    return layers, widths, scales


def _rms(tensor: Tensor) -> float:
    return float(tensor.detach().abs().double().square().mean().sqrt())


def _log10(value: float) -> float:
    return math.log10(value) if 0 < value < math.inf else math.nan
