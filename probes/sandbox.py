"""What is the user's stays as it was: random streams, backend flags, defaults, generators."""

from __future__ import annotations

import os
import random
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

_DEPTH, _OBJECTS = 8, 5000
"""How deep, and how many objects are searched for generators.

A loader has a subset of a data set with a composed transform of parts with generators: six deep.
"""

_CACHE = "TORCHINDUCTOR_CACHE_DIR"


@contextmanager
def sandbox(*owners: Any) -> Iterator[None]:
    """Put everything global back on the way out, also when an error passes through.

    Restored: the random streams of Python, NumPy and torch (CPU and CUDA), default dtype, gradient
    mode, anomaly mode, thread count, warning filters, cuDNN, matmul and determinism flags, the
    compiler's cache directory where none was set, and every generator reachable from ``owners``
    (a loader, its sampler, a data set with a generator of its own).
    Models are not handled here: whoever trains works on a copy.

    Args:
        owners: Objects of the user that may hold generators.
    """
    restores = [*_global_state(), *_generators(owners)]
    try:
        yield
    finally:
        for restore in restores:
            restore()


@contextmanager
def differentiable() -> Iterator[None]:
    """Gradients are recorded, though the caller may have turned that off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def _global_state() -> list[Callable[[], None]]:
    python_state, numpy_state, torch_state = (
        random.getstate(),
        np.random.get_state(),
        torch.get_rng_state(),
    )
    restores: list[Callable[[], None]] = [
        lambda: random.setstate(python_state),
        lambda: np.random.set_state(numpy_state),
        lambda: torch.set_rng_state(torch_state),
    ]
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        cuda_states = torch.cuda.get_rng_state_all()
        restores.append(lambda: torch.cuda.set_rng_state_all(cuda_states))
    elif torch.cuda.is_available():
        # torch.manual_seed queues a seed for a CUDA that is not there yet: queue the user's again
        cuda_seed = torch.initial_seed()
        restores.append(lambda: torch.cuda.manual_seed_all(cuda_seed))
    for read, write in (
        (torch.get_default_dtype, torch.set_default_dtype),
        (torch.is_grad_enabled, torch.set_grad_enabled),
        (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
        (torch.get_num_threads, torch.set_num_threads),
        (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    ):
        restores.append(_writer(write, read()))
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    restores.append(lambda: torch.use_deterministic_algorithms(deterministic, warn_only=warn_only))
    for owner, name in (
        (torch.backends.cudnn, "benchmark"),
        (torch.backends.cudnn, "deterministic"),
        (torch.backends.cudnn, "allow_tf32"),
        (torch.backends.cuda.matmul, "allow_tf32"),
    ):
        restores.append(_setter(owner, name, getattr(owner, name)))
    # last, as setting determinism may import torch's compiler, which changes both
    filters = list(warnings.filters)
    restores.append(lambda: _restore_filters(filters))
    if _CACHE not in os.environ:
        restores.append(lambda: _forget(_CACHE))
    return restores


def _restore_filters(filters: list[Any]) -> None:
    if list(warnings.filters) != filters:
        warnings.filters[:] = filters  # type: ignore[index]
        with warnings.catch_warnings():  # leaving it makes Python see the change
            pass


def _forget(name: str) -> None:
    os.environ.pop(name, None)


def _writer(write: Callable[[Any], object], value: Any) -> Callable[[], None]:
    def restore() -> None:
        write(value)

    return restore


def _setter(owner: Any, name: str, value: Any) -> Callable[[], None]:
    def restore() -> None:
        if getattr(owner, name) != value:
            setattr(owner, name, value)

    return restore


def _generators(owners: tuple[Any, ...]) -> list[Callable[[], None]]:
    """A restore for each generator reachable through attributes, sequences and mappings."""
    restores: list[Callable[[], None]] = []
    seen: set[int] = set()
    waiting = deque((owner, 0) for owner in owners)  # the nearest first
    while waiting and len(seen) < _OBJECTS:
        item, depth = waiting.popleft()
        if id(item) in seen or item is None or isinstance(item, (torch.Tensor, np.ndarray, str)):
            continue
        seen.add(id(item))
        if isinstance(item, torch.Generator):
            restores.append(_writer(item.set_state, item.get_state()))
        elif isinstance(item, np.random.Generator):
            restores.append(_setter_always(item.bit_generator, "state", item.bit_generator.state))
        elif isinstance(item, np.random.RandomState):
            restores.append(_writer(item.set_state, item.get_state()))
        elif isinstance(item, random.Random):
            restores.append(_writer(item.setstate, item.getstate()))
        elif depth < _DEPTH:
            waiting.extend((child, depth + 1) for child in _children(item))
    return restores


def _setter_always(owner: Any, name: str, value: Any) -> Callable[[], None]:
    def restore() -> None:
        setattr(owner, name, value)

    return restore


def _children(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return list(item.values())[:100]
    if isinstance(item, (list, tuple)):
        return list(item[:100])
    if isinstance(item, (int, float, bytes, type)) or (
        callable(item) and hasattr(item, "__code__")
    ):
        return []
    attributes = getattr(item, "__dict__", None)
    return list(attributes.values()) if isinstance(attributes, dict) else []
