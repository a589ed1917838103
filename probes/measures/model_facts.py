"""Facts of the model, from its modules and one traced forward: size, shape, layers, initialization.

The forward runs in training mode under a function mode, so that functional calls (``F.relu``,
``x + f(x)``, an attention written by hand) count as much as modules do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakTensorKeyDictionary

from probes.data import Batch, map_tensors, size_of
from probes.errors import UserError
from probes.measures.base import Context
from probes.measures.data_facts import known_length
from probes.objective import Objective, call, split
from probes.recipe.normalization import normalization_layers
from probes.sandbox import sandbox
from probes.task import resolve_device

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
_PRODUCTS = ("linear", "bilinear", "matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "tensordot")
_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
_ATTENTION = ("scaled_dot_product_attention", "multi_head_attention_forward")
_FLAGS = {
    **{f"has_{kind}_norm": f"a {kind} normalization runs" for kind in NORMALIZATIONS},
    "has_norm": "any normalization runs",
    **{f"activation_{family}": ", ".join(sorted(ACTIVATIONS[family])) for family in ACTIVATIONS},
    "residual": "activations of equal shape are added", "attention": "attention is computed",
    "recurrent": "has a recurrent layer", "convolutional": "has a convolution",
    "embedding": "looks up an embedding", "tied": "a parameter serves in two places",
    "weight_norm": "a weight is parametrized by weight normalization",
}  # fmt: skip


class ModelFacts:
    """What the model is, without training it; one forward of one batch.

    Weight layers are linear, convolutional, recurrent and attention layers and whatever multiplies
    by a parameter of its own; embeddings and normalizations are not. A linear layer counts as
    attention when the module that owns it computes an attention. Output scale and weight scale say
    how far the initialization is from keeping the signal's size (He et al. 2015, section 2.2).
    """

    name = "model"
    paper = "He et al. 2015, Delving deep into rectifiers (initialization); else plain counts"
    units = {
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


class ForwardTrace(TorchFunctionMode):
    """What happens in one forward, by function.

    Attributes:
        calls: How often a function ran, by its name without underscores at the ends.
        kinds: Kind of a parameter by its id, told from the function that took it.
        features: Output features of a product with a parameter, by the parameter's id.
        attending: Ids of the modules that compute an attention.
        residuals: Additions of two activations of equal shape.
        executed: Weight layers run.
        dropout: Largest probability of functional dropout.
        outputs: What the model returned, None where the training step never calls it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stack: list[nn.Module] = []
        self._called = False
        self.outputs: Any = None
        self._uncounted = 0
        self._clear()

    def _clear(self) -> None:
        self.calls: Counter[str] = Counter()
        self.kinds: dict[int, set[str]] = {}
        self.features: dict[int, int] = {}
        self.attending: set[int] = set()
        self.residuals = self.executed = 0
        self.dropout = 0.0
        self._marks = WeakTensorKeyDictionary()

    def run(self, model: nn.Module, objective: Objective, batch: Batch, device: str) -> int:
        """One forward without a graph; returns its floating-point operations.

        Of a task with a training step the step runs, and what it does outside of the model's
        forward counts only if it never calls the model as a whole.
        """

        def enter(module: nn.Module, inputs: Any) -> None:
            if module is model and not self._called:
                self._called = True
                self._clear()
            self._stack.append(module)

        def leave(module: nn.Module, inputs: Any, outputs: Any) -> None:
            self._stack.pop()
            if module is model:
                self.outputs = outputs

        hooks = [module.register_forward_pre_hook(enter) for module in model.modules()]
        hooks += [m.register_forward_hook(leave, always_call=True) for m in model.modules()]
        precision: AbstractContextManager[Any] = nullcontext()
        if objective.autocast is not None:
            precision = torch.autocast(device, dtype=objective.autocast)
        counter = FlopCounterMode(display=False)
        self._counter = counter
        try:
            # fused attention kernels hide their products from the counter
            with torch.no_grad(), precision, sdpa_kernel(SDPBackend.MATH), counter, self:
                if objective.training_step is not None:
                    objective(model, batch, device)
                else:
                    call(model, split(batch)[0])
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                "a model that takes a training batch in training mode",
                f"{type(error).__name__}: {error}", "call model.train() and model on one batch",
            ) from error  # fmt: skip
        finally:
            for hook in hooks:
                hook.remove()
        return int(counter.get_total_flops()) + self._uncounted

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Runs the function and notes it."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")
        before = self._counter.get_total_flops() if name in _RECURRENT else 0
        result = func(*args, **kwargs)
        if name != "get" and (self._stack or not self._called):
            self._note(name, args, kwargs, result)
        if name in _RECURRENT and self._counter.get_total_flops() == before:
            # a fused recurrent kernel: each matrix multiplies each position once
            matrices = sum(t.numel() for t in _tensors(args[1:]) if t.dim() == 2 and _is_weight(t))
            self._uncounted += 2 * matrices * (result[0].numel() // result[0].shape[-1])
        return result

    def _note(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        self.calls[name] += 1
        operands = list(_tensors((args, kwargs)))
        marks = [self._marks.get(operand, "") for operand in operands]
        convolution = name.startswith("conv")
        if name == "add" and len(operands) == 2 and not any(map(_is_weight, operands)):
            left, right = operands
            if left.shape == right.shape and left.dim() > 1 and left.is_floating_point():
                if marks == ["embedding", "embedding"]:  # tokens and positions
                    self._marks[result] = "embedding"
                else:
                    self.residuals += 1
        elif name in ("softmax", "embedding"):
            self._marks[result] = name
        elif "dropout" in name:
            p = kwargs.get("p", args[1] if len(args) > 1 else 0.0)
            self.dropout = max(self.dropout, float(p))
            self._marks[result] = marks[0]
        elif name in _ATTENTION or (name in _PRODUCTS and "softmax" in marks):
            if self._stack:
                self.attending.add(id(self._stack[-1]))
            self.calls["attention"] += 1
            self.executed += 2 if name == "multi_head_attention_forward" else 0
            self.dropout = max(self.dropout, float(kwargs.get("dropout_p", 0.0)))
        if name in _RECURRENT or name.endswith("_cell"):
            self.executed += getattr(self._stack[-1], "num_layers", 1) if self._stack else 1
        if name == "embedding":
            self._take(operands, "embedding")
        elif name in _PRODUCTS or convolution:
            # the first operand of these is data even where it is a parameter (a learned query)
            weights = operands[1:] if convolution or name == "linear" else operands
            weights = [weight for weight in weights if _is_weight(weight) and weight.dim() > 1]
            for weight in weights:
                base = weight if weight._base is None else weight._base
                self.features[id(base)] = result.shape[1 if convolution else -1]
            self._take(weights, "convolution" if convolution else "linear")
            self.executed += bool(weights) or convolution or name == "linear"

    def _take(self, weights: list[Tensor], kind: str) -> None:
        for weight in weights:
            base = weight if weight._base is None else weight._base
            self.kinds.setdefault(id(base), set()).add(kind)


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in nested sequences and mappings."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)


def _is_weight(tensor: Tensor) -> bool:
    """Whether this is a parameter or a view of one (its transpose)."""
    return isinstance(tensor, nn.Parameter) or isinstance(tensor._base, nn.Parameter)


def _log10(value: float) -> float:
    return math.log10(value) if 0 < value < math.inf else math.nan
