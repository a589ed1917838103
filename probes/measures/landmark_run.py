"""One instrumented short training by a landmark recipe: much from the same passes.

Loss drop and its shape; gradient norm and trend; gradient noise scale from half-batches, which
cost no extra pass because the halves' gradients average to the batch's (McCandlish et al. 2018,
"An Empirical Model of Large-Batch Training", appendix A.1); update-to-weight ratio; sharpness by
power iteration on Hessian-vector products in plain autograd (Pearlmutter 1994), two passes each.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from probes.assembly import Loop
from probes.batch import Batch, cut, size_of
from probes.measures.base import Context, validation_passes
from probes.recipe.schema import Recipe
from probes.training import train

LANDMARK = Recipe.parse({"optimizer": {"name": "adamw", "lr": 3e-3}, "schedule": "constant"})
"""The recipe every profile trains by."""
STEPS = {16: 9, 64: 16, 256: 44, 1024: 160}
PRODUCTS = {16: 2, 64: 3, 256: 5, 1024: 10}
_TINY = 1e-30
UNITS: dict[str, str] = {
    "landmark.initial_loss": "loss",
    "landmark.drop": "log ratio of the first to the last quarter's training loss",
    "landmark.early_slope": "fall of the log loss per step, first half",
    "landmark.late_slope": "fall of the log loss per step, second half",
    "landmark.roughness": "standard deviation of the log loss around its trend",
    "landmark.validation_drop": "log ratio of validation losses before and after",
    "landmark.generalization": "validation drop minus training drop",
    "gradient.norm": "log10 of the first gradient's norm",
    "gradient.trend": "log ratio of the last to the first gradient norms",
    "noise.scale": "log10 samples",
    "noise.over_batch": "log10 of noise scale over batch size",
    "noise.signal": "log10 of the squared true gradient over the squared batch gradient",
    "update.ratio": "log10 of update over weight norm",
    "sharpness.initial": "log10 of the Hessian's largest eigenvalue in size, first batch",
    "sharpness.negative": "1 where that eigenvalue is negative",
    "sharpness.times_gradient": "log10 of sharpness times squared gradient norm over loss",
}


class LandmarkRun:
    """See the module."""

    name = "landmark"
    paper = "McCandlish et al. 2018; Pearlmutter 1994"
    units = UNITS

    def passes(self, tier: int) -> float:
        """Steps, Hessian-vector products, and validation of one batch before and after."""
        return STEPS[tier] + 2 * PRODUCTS[tier] + 1.0 if tier in STEPS else 0.0

    def skip(self, context: Context) -> str | None:
        """Applies to every task with a tier."""
        return None if context.tier else "the budget allows no training step"

    def measure(self, context: Context) -> dict[str, float]:
        """See the module."""
        watch = _Instruments(PRODUCTS[context.tier], context)
        steps = STEPS[context.tier]
        run = train(
            context.task, LANDMARK, seed=context.seed, device=context.device,
            steps=max(context.prepared.steps, steps), stop_after=steps, points=0,
            evaluate="validation", validation_limit=context.prepared.batch_size, observer=watch,
        )  # fmt: skip
        context.charge(run.passes + 2 * validation_passes(context))
        context.landmark = [float(loss) for loss in watch.losses]
        context.step_seconds = median(watch.seconds) if watch.seconds else None
        found = curve_shape(context.landmark, "landmark")
        before, after = run.initial["loss"], run.final["loss"]
        if before > 0 and after > 0:
            found["landmark.validation_drop"] = math.log(before / after)
            if "landmark.drop" in found:
                found["landmark.generalization"] = (
                    found["landmark.validation_drop"] - found["landmark.drop"]
                )
        found |= watch.summary(context.prepared.batch_size)
        return {name: value for name, value in found.items() if math.isfinite(value)}


def curve_shape(losses: list[float], prefix: str, beside: Sequence[float] = ()) -> dict[str, float]:
    """Drop, slopes and roughness of a short training curve, on the log scale where it is positive.

    A loss that can be negative is shifted to lie above zero by the range of the curve.

    Args:
        losses: The curve.
        prefix: Of the names.
        beside: Losses of another curve that this one is compared with: the shift is that of both.
    """
    finite = [loss for loss in losses if math.isfinite(loss)]
    if len(finite) < 4:
        return {}
    both = [*finite, *(loss for loss in beside if math.isfinite(loss))]
    lowest = min(both)
    shift = 0.0 if lowest > 0 else (max(both) - lowest) * 0.1 + 1e-6 - lowest
    logs = torch.tensor([math.log(loss + shift) for loss in finite], dtype=torch.float64)
    steps = torch.arange(len(logs), dtype=torch.float64)
    quarter, half = max(len(logs) // 4, 1), len(logs) // 2

    def slope(y: Tensor) -> float:
        x = steps[: len(y)] - steps[: len(y)].mean()
        return -float((x * (y - y.mean())).sum() / (x * x).sum().clamp_min(_TINY))

    smooth = torch.stack([logs[max(0, i - 2) : i + 3].mean() for i in range(len(logs))])
    return {
        f"{prefix}.initial_loss": finite[0],
        f"{prefix}.drop": float(logs[0] - logs[-quarter:].mean()),
        f"{prefix}.early_slope": slope(logs[:half]),
        f"{prefix}.late_slope": slope(logs[half:]),
        f"{prefix}.roughness": float((logs - smooth).std()),
    }


class _Instruments:
    """The observer: takes each step in two halves and looks at what passes by."""

    def __init__(self, products: int, context: Context) -> None:
        self._products, self._context = products, context
        self.losses: list[Tensor] = []
        self.seconds: list[float] = []
        self._norms: list[float] = []
        self._halves: list[float] = []
        self._ratios: list[float] = []
        self._sharpness: float | None = None

    def __call__(self, loop: Loop, batch: Batch) -> Tensor:
        parameters = [p for p in loop.model.parameters() if p.requires_grad]
        size = size_of(batch)
        if loop.step == 0 and self._products:
            self._sharpness = _sharpness(loop, batch, parameters, self._products, self._context)
        started = time.perf_counter()
        loop.optimizer.zero_grad()
        if size >= 4 and size % 2 == 0:  # a half of one sample has no batch statistics
            loss = self._two_halves(loop, batch, parameters, size)
        else:
            whole = loop.objective(loop.model, batch, loop.device)
            torch.autograd.backward(whole)
            loss = whole.detach()
        self._norms.append(_squared(parameters))
        before = [p.detach().clone() for p in parameters] if loop.step in (1, 4) else []
        loop.optimizer.step()
        if loop.step > 0 and not before:  # the first step warms up
            self.seconds.append(time.perf_counter() - started)
        if before:
            change = sum(
                float((p.detach() - b).abs().square().sum())
                for p, b in zip(parameters, before, strict=True)
            )
            weight = sum(float(b.abs().square().sum()) for b in before)
            self._ratios.append(math.sqrt(change / max(weight, _TINY)))
        self.losses.append(loss)
        return loss

    def _two_halves(
        self, loop: Loop, batch: Batch, parameters: Sequence[Tensor], size: int
    ) -> Tensor:
        losses: list[Tensor] = []
        squares: list[float] = []
        first: list[Tensor | None] = []
        for begin in (0, size // 2):
            half = loop.objective(loop.model, cut(batch, begin, begin + size // 2), loop.device)
            torch.autograd.backward(0.5 * half)
            losses.append(half.detach())
            if not first:
                first = [None if p.grad is None else p.grad.clone() for p in parameters]
                squares.append(4.0 * _squared(parameters))
            else:
                second = 0.0
                for parameter, early in zip(parameters, first, strict=True):
                    if parameter.grad is not None:
                        rest = parameter.grad if early is None else parameter.grad - early
                        second += float(rest.abs().square().sum())
                squares.append(4.0 * second)
        self._halves.append(sum(squares) / 2)
        return torch.stack(losses).mean()

    def summary(self, batch_size: int) -> dict[str, float]:
        """The instruments' values; B is the batch size, b = B / 2 that of a half."""
        found: dict[str, float] = {}
        norms = [norm for norm in self._norms if math.isfinite(norm) and norm > 0]
        if norms:
            few = max(len(norms) // 4, 1)
            found["gradient.norm"] = 0.5 * math.log10(norms[0])
            found["gradient.trend"] = 0.5 * math.log(
                sum(norms[-few:]) / max(sum(norms[:few]), _TINY)
            )
        if self._halves and all(map(math.isfinite, [*self._halves, *self._norms])):
            whole = sum(self._norms) / len(self._norms)
            half = sum(self._halves) / len(self._halves)
            signal = max(2.0 * whole - half, 1e-3 * whole)  # |G|^2, unbiased, kept positive
            noise = max((half - whole) * batch_size, 1e-6 * whole)  # tr(Sigma): S / b - S / B
            found["noise.scale"] = math.log10(max(noise / max(signal, _TINY), _TINY))
            found["noise.over_batch"] = found["noise.scale"] - math.log10(batch_size)
            found["noise.signal"] = math.log10(max(signal / max(whole, _TINY), _TINY))
        if self._ratios:
            found["update.ratio"] = math.log10(max(sum(self._ratios) / len(self._ratios), 1e-12))
        if self._sharpness is not None and math.isfinite(self._sharpness):
            size = max(abs(self._sharpness), 1e-12)
            found["sharpness.initial"] = math.log10(size)
            found["sharpness.negative"] = float(self._sharpness < 0)
            if norms and float(self.losses[0]) > 0:
                found["sharpness.times_gradient"] = math.log10(
                    size * norms[0] / float(self.losses[0])
                )
        return found


def _squared(parameters: Sequence[Tensor]) -> float:
    return sum(float(p.grad.abs().square().sum()) for p in parameters if p.grad is not None)


def _sharpness(
    loop: Loop, batch: Batch, parameters: Sequence[Tensor], products: int, context: Context
) -> float | None:
    """Rayleigh quotient after power iteration; None where the model has no second derivative."""
    generator = torch.Generator().manual_seed(context.seed)
    vector = [
        torch.randn(p.shape, generator=generator).to(device=p.device, dtype=p.dtype)
        for p in parameters
    ]
    buffers = [buffer.detach().clone() for buffer in loop.model.buffers()]
    quotient: float | None = None
    try:
        with twice_differentiable():
            loss = loop.objective(loop.model, batch, loop.device)
            gradients = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
            for _ in range(products):
                norm = math.sqrt(sum(float(v.abs().square().sum()) for v in vector))
                vector = [v / max(norm, _TINY) for v in vector]
                product = sum(
                    ((g * v.conj()).sum().real if g.is_complex() else (g * v).sum())
                    for g, v in zip(gradients, vector, strict=True)
                    if g is not None
                )
                context.charge(2.0)
                if not isinstance(product, Tensor) or not product.requires_grad:
                    return 0.0  # a loss linear in the weights has no curvature
                curved = torch.autograd.grad(
                    product, parameters, retain_graph=True, allow_unused=True
                )
                result = [
                    torch.zeros_like(v) if c is None else c.detach()
                    for c, v in zip(curved, vector, strict=True)
                ]
                quotient = sum(
                    float((r * v.conj()).sum().real if r.is_complex() else (r * v).sum())
                    for r, v in zip(result, vector, strict=True)
                )
                vector = result
    except (RuntimeError, NotImplementedError) as error:
        context.missing["sharpness"] = f"no second derivative: {' '.join(str(error).split())[:120]}"
    finally:
        with torch.no_grad():
            for buffer, saved in zip(loop.model.buffers(), buffers, strict=True):
                buffer.copy_(saved)
    return quotient


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Kernels that can be differentiated twice: plain attention, no cuDNN for recurrent nets."""
    enabled = torch.backends.cudnn.enabled
    with sdpa_kernel(SDPBackend.MATH):
        try:
            torch.backends.cudnn.enabled = False
            yield
        finally:
            torch.backends.cudnn.enabled = enabled
