"""Facts of the data: size, scale and conditioning of inputs, kind and balance of targets."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor

from probes.batch import Batch, size_of
from probes.data import IndexedSamples, LoaderSamples, Samples
from probes.errors import UserError
from probes.measures.base import Context
from probes.objective import split
from probes.sandbox import sandbox

TargetKind = Literal["classification", "regression", "binary", "tokens"]
TARGET_KINDS: tuple[TargetKind, ...] = ("classification", "regression", "binary", "tokens")
MAX_SAMPLES = 1024
_MAX_NUMBERS = 2**24
"""Numbers read at most, so that large images do not fill the memory."""
_COVARIANCE_SAMPLES, _COVARIANCE_FEATURES = 512, 128
_SMALLEST_EIGENVALUE = 1e-12
"""Relative to the largest; below, double precision tells nothing."""
_IGNORED = -100
_CLASS_LOSSES = ("cross_entropy", "nll", "probability_nll")
_BINARY_LOSSES = ("binary_cross_entropy", "probability_binary_cross_entropy")
_REAL_LOSSES = ("mse", "mae", "huber")
_TOKEN_TYPES = (torch.int16, torch.int32, torch.int64)
UNITS: dict[str, str] = {
    "data.samples": "count",
    "data.log_samples": "log10 of the count",
    "data.batch_size": "samples",
    "data.steps": "batches in the budget",
    "data.epochs": "passes over the training samples in the budget",
    "data.input_dimensions": "numbers a sample",
    "data.input_rank": "dimensions of the main input beside the batch",
    "data.tokens": "0 or 1: the inputs are ids",
    "data.sequence_length": "tokens a sample",
    "data.vocabulary": "largest id seen, plus one",
    "data.input_mean": "in units of the inputs",
    "data.input_std": "in units of the inputs",
    "data.feature_scale_spread": "log10 of largest over median standard deviation of features",
    "data.conditioning": "log10 of largest over median eigenvalue of the input covariance",
    "data.zeros": "share of inputs",
    **{f"data.target_{kind}": "0 or 1" for kind in TARGET_KINDS},
    "data.classes": "count (outputs for binary targets, 0 for regression)",
    "data.class_balance": "entropy of the classes over its maximum, 0 to 1",
    "data.majority_share": "share of targets in the commonest class",
    "data.uniform_loss": "nats: cross-entropy of equal probabilities",
    "data.chance_loss": "loss of the best constant prediction (nats; variance for mse)",
    "data.target_std": "in units of the targets",
    "data.target_kurtosis": "fourth standardized moment, 3 for a normal distribution",
}


class DataFacts:
    """What the data are, from at most 1,024 training samples; no forward.

    Of several inputs the statistics are those of the largest real one (else of the ids with the
    largest vocabulary), the dimensions those of all together. Conditioning follows LeCun et al.
    1998: the spread of the input covariance's eigenvalues bounds how fast gradient descent learns.
    Entropies are in nats with the correction of Miller 1955 for few samples.
    """

    name = "data"
    paper = "LeCun et al. 1998, Efficient BackProp, section 5 (conditioning); else plain counts"
    units = UNITS

    def passes(self, tier: int) -> float:
        """Nothing at any tier."""
        return 0.0

    def skip(self, context: Context) -> str | None:
        """It applies to all data; what a batch does not have is left out."""
        return None

    def measure(self, context: Context) -> dict[str, float]:
        """See Measure. What does not apply to the data is left out."""
        task, prepared = context.task, context.prepared
        with sandbox(task.train, task.validation, task.test), torch.no_grad():
            torch.manual_seed(context.seed)
            batches = _read(prepared.train, prepared.batch_size, context.seed)
        found = {"batch_size": float(prepared.batch_size), "steps": float(prepared.steps)}
        length = known_length(prepared.train)
        if length:
            found["samples"], found["log_samples"] = float(length), math.log10(length)
            found["epochs"] = prepared.samples_budget / length
        pairs = [_parts(batch) for batch in batches]
        inputs = [_named_tensors(part) for part, _ in pairs]
        found |= _input_facts(inputs, context.seed)
        targets = [part for _, part in pairs]
        if all(isinstance(part, Tensor) for part in targets):
            is_tokens = bool(found.get("tokens"))
            found |= _target_facts(targets, prepared.objective.loss_name, is_tokens)
        return {f"data.{key}": value for key, value in found.items() if math.isfinite(value)}


def known_length(samples: Samples) -> int | None:
    """Number of samples where it costs no reading; that of a loader is up to its last batch.

    None for a stream without a length.
    """
    if not isinstance(samples, LoaderSamples):
        return len(samples)
    try:
        batches = len(samples._loader)
    except TypeError:
        return None
    kept = sum(samples._keep(position) for position in range(batches))
    return kept * (samples.batch_size or 1) or None


def _read(samples: Samples, batch_size: int, seed: int) -> list[Batch]:
    """At most ``MAX_SAMPLES`` samples, drawn at random where the samples can be indexed."""
    first = next(samples.ordered(1, 1))
    numbers = sum(t.numel() for t in _named_tensors(first).values()) / max(size_of(first), 1)
    limit = max(1, min(MAX_SAMPLES, int(_MAX_NUMBERS / max(numbers, 1))))
    if isinstance(samples, IndexedSamples):
        generator = torch.Generator().manual_seed(seed)
        return [samples.take(torch.randperm(len(samples), generator=generator)[:limit])]
    return list(islice(samples.ordered(batch_size), max(1, limit // batch_size)))


def input_dimensions(samples: Samples) -> int | None:
    """Numbers a sample, as ``data.input_dimensions``; None where reading a sample may cost much."""
    if not isinstance(samples, IndexedSamples) or not samples.in_memory:
        return None
    inputs = _named_tensors(_parts(samples.take(torch.tensor([0])))[0])
    return _dimensions(inputs) if inputs else None


def _dimensions(inputs: dict[str, Tensor]) -> int:
    return sum(tensor[0].numel() for tensor in inputs.values())


def _parts(batch: Batch) -> tuple[Any, Any]:
    """Inputs and targets; no targets where only a training step knows them."""
    try:
        return split(batch)
    except UserError:
        return batch, None


def _named_tensors(value: Any, name: str = "") -> dict[str, Tensor]:
    """Every dense tensor with a batch dimension, by its path in the batch."""
    if isinstance(value, Tensor):
        plain = value.dim() > 0 and value.layout == torch.strided and not value.is_nested
        return {name: value.detach().cpu()} if plain else {}
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (tuple, list)):
        items = enumerate(value)
    return {k: t for key, part in items for k, t in _named_tensors(part, f"{name}.{key}").items()}


def _input_facts(batches: list[dict[str, Tensor]], seed: int) -> dict[str, float]:
    first = batches[0]
    if not first:
        return {}
    real = {k: t for k, t in first.items() if t.is_floating_point() or t.is_complex()}
    if real:
        main = max(real, key=lambda key: real[key][0].numel())
    else:
        main = max(first, key=lambda key: int(first[key].max()))
    parts = [batch[main] for batch in batches if main in batch]
    facts = {"input_dimensions": float(_dimensions(first)), "input_rank": float(parts[0].dim() - 1)}
    is_tokens = parts[0].dtype in _TOKEN_TYPES and parts[0].dim() <= 2
    facts["tokens"] = float(is_tokens)
    if is_tokens:
        facts["sequence_length"] = float(parts[0].shape[1] if parts[0].dim() == 2 else 1)
        facts["vocabulary"] = float(max(int(part.max()) for part in parts) + 1)
        return facts
    same = [part for part in parts if part.shape[1:] == parts[0].shape[1:]]
    return facts | _scale_facts(torch.cat([_rows(part) for part in same]), seed)


def _rows(tensor: Tensor) -> Tensor:
    """(N, features) in double precision; a complex number is two features."""
    numbers = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    return numbers.reshape(len(tensor), -1).double()


def _scale_facts(rows: Tensor, seed: int) -> dict[str, float]:
    facts = {
        "input_mean": float(rows.mean()),
        "input_std": float(rows.std(correction=0)),
        "zeros": float((rows == 0).double().mean()),
    }
    spreads = rows.std(0, correction=0)
    varying = (spreads > 1e-9 * spreads.max()).nonzero().flatten()  # NaN compares false
    if len(varying) < 2:
        return facts
    live = spreads[varying]
    facts["feature_scale_spread"] = float((live.max() / live.median()).log10())
    # features are drawn, not projected at random: that would hide differences of scale
    few = rows[:_COVARIANCE_SAMPLES]
    wanted = min(_COVARIANCE_FEATURES, len(few) // 2, len(varying))
    if wanted >= 2:
        generator = torch.Generator().manual_seed(seed)
        drawn = varying[torch.randperm(len(varying), generator=generator)[:wanted]]
        eigenvalues = torch.linalg.eigvalsh(torch.cov(few[:, drawn].T))
        if eigenvalues[-1] > 0:
            share = float(eigenvalues.median() / eigenvalues[-1])
            facts["conditioning"] = -math.log10(max(share, _SMALLEST_EIGENVALUE))
    return facts


def _target_kind(targets: Tensor, loss_name: str, is_tokens: bool) -> TargetKind:
    whole = not targets.is_floating_point() and not targets.is_complex()
    if loss_name in _REAL_LOSSES:
        return "regression"
    if loss_name in _BINARY_LOSSES or targets.dtype == torch.bool:
        return "binary"
    if loss_name in _CLASS_LOSSES or whole:
        return "tokens" if whole and is_tokens and targets.dim() > 1 else "classification"
    return "binary" if bool(((targets == 0) | (targets == 1)).all()) else "regression"


def _target_facts(batches: list[Tensor], loss_name: str, is_tokens: bool) -> dict[str, float]:
    targets = [part.detach().cpu() for part in batches]
    kind = _target_kind(targets[0], loss_name, is_tokens)
    facts = {f"target_{name}": float(name == kind) for name in TARGET_KINDS}
    if kind == "regression":
        same = [part for part in targets if part.shape[1:] == targets[0].shape[1:]]
        return facts | _regression_facts(torch.cat([_rows(part) for part in same]), loss_name)
    if kind == "binary":
        same = [part for part in targets if part.shape[1:] == targets[0].shape[1:]]
        return facts | _binary_facts(torch.cat([_rows(part) for part in same]))
    if targets[0].is_floating_point():  # distributions over classes, in dimension 1
        counts = torch.cat(
            [part.flatten(2).mean(2) if part.dim() > 2 else part for part in targets]
        )
        return facts | _class_facts(counts.double().sum(0))
    labels = torch.cat([part.flatten() for part in targets]).long()
    labels = labels[(labels != _IGNORED) & (labels >= 0)]
    return facts | (_class_facts(torch.bincount(labels).double()) if len(labels) else {})


def _class_facts(counts: Tensor) -> dict[str, float]:
    """From how often each class was seen; classes are numbered from 0 to the last one seen."""
    total, classes = float(counts.sum()), len(counts)
    shares = counts[counts > 0] / total
    plain = float(-(shares * shares.log()).sum())
    uniform = math.log(classes)
    entropy = min(plain + (len(shares) - 1) / (2 * total), uniform)
    return {
        "classes": float(classes),
        "class_balance": entropy / uniform if uniform else math.nan,
        "majority_share": float(shares.max()),
        "uniform_loss": uniform,
        "chance_loss": entropy,
    }


def _binary_facts(rows: Tensor) -> dict[str, float]:
    """Each column is a yes-no question of its own; entropies are averaged over columns."""
    yes = rows.mean(0).clamp(0, 1)
    entropy = float((torch.special.entr(yes) + torch.special.entr(1 - yes)).mean())
    return {
        "classes": 2.0 if rows.shape[1] == 1 else float(rows.shape[1]),
        "class_balance": entropy / math.log(2),
        "majority_share": float(torch.maximum(yes, 1 - yes).mean()),
        "uniform_loss": math.log(2),
        "chance_loss": entropy,
    }


def _regression_facts(rows: Tensor, loss_name: str) -> dict[str, float]:
    """Moments of each column, averaged; columns that are constant have no kurtosis."""
    centred = rows - rows.mean(0)
    variance = centred.square().mean(0)
    facts = {"classes": 0.0, "target_std": float(variance.mean().sqrt())}
    live = variance > 0
    if bool(live.any()):
        standardized = centred[:, live] / variance[live].sqrt()
        facts["target_kurtosis"] = float(standardized.pow(4).mean())
    if loss_name == "mse":
        facts["chance_loss"] = float(variance.mean())
    elif loss_name == "mae":
        facts["chance_loss"] = float((rows - rows.median(0).values).abs().mean())
    return facts
