"""Who does the builder's work: a small protocol, and the one loop over whoever implements it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

from knowledge_base.limits import Limits, share_of_memory
from knowledge_base.work import SEVERAL, Item, Result, failure
from probes.errors import UserError, unknown_name

LOST = "lost"
"""Kind of the result of an item whose worker died."""
_TRIES = 2


class Executor(Protocol):
    """Workers that do items by ``knowledge_base.work.attempt``; the caller alone writes."""

    def slots(self) -> int:
        """How many items may be out at a time; may change while a cluster grows or shrinks."""
        ...

    def submit(self, item: Item) -> None:
        """Hand out an item."""
        ...

    def completed(self) -> list[Result]:
        """Wait until an item is back and return all that are; LOST where its worker died."""
        ...

    def close(self) -> None:
        """Stop the workers; what they were doing is lost."""
        ...


def make_executor(name: str, workers: int | None, limits: Limits) -> Executor:
    """The executor of that name.

    Args:
        name: "local" for processes on this machine, "ray" for a Ray cluster.
        workers: How many; None for one a core.
        limits: What one piece of work may take.

    Raises:
        UserError: An unknown name, or Ray is not installed.
    """
    if name == "ray":
        from knowledge_base.cluster import Cluster

        return Cluster(workers, limits)
    if name != "local":
        raise unknown_name("an executor", name, ("local", "ray"))
    from knowledge_base.pool import Pool

    count = workers or os.cpu_count() or 1
    return Pool(count, Limits(limits.seconds, limits.memory or share_of_memory(count)))


def work(executor: Executor, take: Callable[[], Item | None]) -> Iterator[list[Result]]:
    """Results as they come; an item whose worker died is tried once more, then it has failed.

    Args:
        executor: Who does the work.
        take: Gives the next item, or None while (or because) there is none.

    Yields:
        The results that came together: many workers share one write to the disk.

    Raises:
        UserError: An item cannot be done before the user has done something.
    """
    out = 0
    again: list[Item] = []
    deaths: Counter[Item] = Counter()
    while True:
        while out < executor.slots():
            item = again.pop() if again else take()
            if item is None:
                break
            executor.submit(item)
            out += 1
        if not out:
            return
        came = executor.completed()
        out -= len(came)
        results: list[Result] = []
        for item, kind, record in came:
            if kind == SEVERAL:
                results.extend(record["results"])
                again.extend(reversed(record["left"]))
                continue
            if kind != LOST:
                results.append((item, kind, record))
                continue
            if item.others:  # one of them may be to blame: each is tried alone
                again.extend(item.singles())
                continue
            deaths[item] += 1
            if deaths[item] < _TRIES:
                again.append(item)
            else:
                reason = f"its worker died {_TRIES} times (a crash, no memory left, or hanging)"
                results.append((item, "failed", failure(item, reason)))
        done = [result for result in results if result[1] != "stop"]
        if done:
            yield done
        for _, kind, record in results:
            if kind == "stop":
                raise UserError(**record)
