"""Work spread over processes of one thread each, in an order that their number does not change."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

_THREADS = "OMP_NUM_THREADS"
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_processes(
    ask: Callable[[_Item], _Result], items: Sequence[_Item], workers: int
) -> Iterator[_Result]:
    """The answer to each item, in their order.

    Args:
        ask: What to do with one; it can be sent to another process.
        items: What to ask about.
        workers: Processes; with 1 everything happens in this one.
    """
    if workers == 1:
        yield from map(ask, items)
        return
    before = os.environ.get(_THREADS)
    os.environ[_THREADS] = "1"  # read by the processes that start: two threads each would collapse
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            yield from pool.map(ask, items)
    finally:
        os.environ.pop(_THREADS)
        if before is not None:
            os.environ[_THREADS] = before
