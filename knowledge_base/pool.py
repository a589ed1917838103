"""The builder's workers: a pool of one-thread processes that survives the death of any of them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from knowledge_base.work import Item, Result, run_item
from probes.errors import UserError

_MAX_CRASHES = 3


def _end_with_the_builder() -> None:
    """In a worker: end when the builder was killed, instead of waiting for work for ever."""
    builder = multiprocessing.parent_process()
    if builder is None:
        return

    def watch() -> None:
        builder.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Pool:
    """Worker processes without state; the caller alone writes.

    Args:
        workers: How many.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = "1"

    def _submit(self, item: Item) -> Future[Result]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers, mp_context=multiprocessing.get_context("spawn"),
                initializer=_end_with_the_builder,
            )  # fmt: skip
        return self._pool.submit(run_item, item)

    def close(self) -> None:
        """Stop the workers; runs in flight are lost, finished ones are not."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def work(self, take: Callable[[], Item | None]) -> Iterator[Result]:
        """Results as they finish; an item whose worker died is tried again.

        Args:
            take: Gives the next item, or None while (or because) there is none.

        Raises:
            UserError: An item's worker died again and again.
        """
        flying: dict[Future[Result], Item] = {}
        again: list[Item] = []
        crashes: dict[Item, int] = defaultdict(int)
        while True:
            lost: list[Item] = []
            while not lost and len(flying) < 2 * self._workers:
                item = again.pop() if again else take()
                if item is None:
                    break
                try:
                    flying[self._submit(item)] = item
                except BrokenProcessPool:  # a worker died since the last result came in
                    lost.append(item)
            if not flying and not lost:
                return
            # where a worker died all that fly end now, with a result or without
            finished, _ = wait(flying, return_when=ALL_COMPLETED if lost else FIRST_COMPLETED)
            if any(isinstance(future.exception(), BrokenProcessPool) for future in finished):
                finished, _ = wait(flying)
            for future in finished:
                item = flying.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    lost.append(item)
                else:
                    yield result
            if lost:
                self.close()
                _count_crashes(lost, crashes, most=_MAX_CRASHES * 2 * self._workers)
                again.extend(lost)


def _count_crashes(lost: list[Item], crashes: dict[Item, int], most: int) -> None:
    """All that were in flight are suspects: ``most`` is what an innocent item can see at worst."""
    for item in lost:
        crashes[item] += 1
        if crashes[item] > most:
            raise UserError(
                "a worker that outlives its run",
                f"{item.task}, whose workers died {crashes[item]} times",
                "give the builder more memory or fewer workers, or leave the task out",
            )
