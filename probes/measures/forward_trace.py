"""What happens in one forward of a model, told from the functions it calls.

The forward runs under a function mode, so that functional calls (``F.relu``, ``x + f(x)``, an
attention written by hand) are seen as well as modules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakTensorKeyDictionary

from probes.batch import Batch
from probes.errors import UserError
from probes.objective import Objective, call, split

_PRODUCTS = ("linear", "bilinear", "matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "tensordot")
_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
_ATTENTION = ("scaled_dot_product_attention", "multi_head_attention_forward")


class ForwardTrace(TorchFunctionMode):
    """What happens in one forward, by function.

    Attributes:
        calls: How often a function ran, by its name without underscores at the ends.
        kinds: Kind of a parameter by its id, told from the function that took it.
        features: Output features of a product with a parameter, by the parameter's id.
        attending: Ids of the modules that compute an attention.
        recurrent: Whether a recurrent layer ran.
        convolutional: Whether a convolution ran.
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
        self.recurrent = self.convolutional = False
        self.residuals = self.executed = 0
        self.dropout = 0.0
        self._marks: MutableMapping[Tensor, str] = WeakTensorKeyDictionary()

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

        modules = [m for m in model.modules() if not isinstance(m, torch.jit.ScriptModule)]
        hooks = [module.register_forward_pre_hook(enter) for module in modules]
        hooks += [module.register_forward_hook(leave, always_call=True) for module in modules]
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
                    self.outputs = call(model, split(batch)[0])
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
            matrices = sum(
                t.numel() for t in tensors_in(args[1:]) if t.dim() == 2 and _is_weight(t)
            )
            self._uncounted += 2 * matrices * (result[0].numel() // result[0].shape[-1])
        return result

    def _note(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        self.calls[name] += 1
        operands = list(tensors_in((args, kwargs)))
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
            if kwargs.get("training", True):
                p = kwargs.get("p", args[1] if len(args) > 1 else 0.0)
                self.dropout = max(self.dropout, float(p))
            self._marks[result] = marks[0] if marks else ""
        elif name in _ATTENTION or (name in _PRODUCTS and "softmax" in marks):
            if self._stack:
                self.attending.add(id(self._stack[-1]))
            self.calls["attention"] += 1
            self.executed += 2 if name == "multi_head_attention_forward" else 0
            self.dropout = max(self.dropout, float(kwargs.get("dropout_p", 0.0)))
        if name in _RECURRENT or name.endswith("_cell"):
            self.recurrent = True
            self.executed += getattr(self._stack[-1], "num_layers", 1) if self._stack else 1
        if name == "embedding":
            self._take([operand for operand in operands if _is_weight(operand)], "embedding")
        elif name in _PRODUCTS or convolution:
            self.convolutional |= convolution
            # the first operand of these is data even where it is a parameter (a learned query)
            weights = operands[1:] if convolution or name == "linear" else operands
            weights = [weight for weight in weights if _is_weight(weight) and weight.dim() > 1]
            for weight in weights if result.dim() else []:
                base = weight if weight._base is None else weight._base
                self.features[id(base)] = result.shape[1 if convolution else -1]
            self._take(weights, "convolution" if convolution else "linear")
            self.executed += bool(weights) or convolution or name == "linear"

    def _take(self, weights: list[Tensor], kind: str) -> None:
        for weight in weights:
            base = weight if weight._base is None else weight._base
            self.kinds.setdefault(id(base), set()).add(kind)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in nested sequences and mappings."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)


def _is_weight(tensor: Tensor) -> bool:
    """Whether this is a parameter or a view of one (its transpose)."""
    return isinstance(tensor, nn.Parameter) or isinstance(tensor._base, nn.Parameter)
