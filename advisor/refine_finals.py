"""The end of a refinement: its best recipes and the ranking's first, on seeds not searched with."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count, islice

from advisor.advice import Finalist
from advisor.pruning import out_of_time
from probes.errors import UserError
from probes.recipe.schema import Recipe
from probes.task import Task
from probes.training import Run, train

DIVERGED = 1e30
"""Stands for the loss of a run that diverged: finite, and above what any training ends at."""


@dataclass(frozen=True)
class Entry:
    """A recipe to be trained again, and where it came from."""

    recipe: Recipe
    origin: str


def final_loss(run: Run) -> float:
    """The final validation loss, or ``DIVERGED``."""
    loss = run.final["loss"]
    return DIVERGED if run.diverged or not math.isfinite(loss) else loss


def unused_seeds(seed: int, used: Iterable[int | None], wanted: int) -> list[int]:
    """That many seeds, derived from ``seed``, that are not among those used."""
    taken = set(used) | {seed}
    return list(islice((one for one in count(seed + 1) if one not in taken), wanted))


def run_finals(
    entries: Sequence[Entry],
    task: Task,
    seeds: Sequence[int],
    *,
    device: str = "auto",
    deadline: float | None = None,
    say: Callable[[str], None],
) -> tuple[tuple[Finalist, ...], float]:
    """Train every entry on every seed and sort by the median of the final validation losses.

    Seed by seed, so that when the time is up all have been run on the same seeds; the first entry
    is run on one seed whatever the time. Ties keep the order of the entries.

    Args:
        entries: Distinct recipes; the first is the one to beat.
        task: The task.
        seeds: Seeds, at least one.
        device: "auto", "cpu", "cuda", ...
        deadline: Value of ``time.monotonic()`` after which no run goes on, or None.
        say: Told of each run.

    Returns:
        The finalists, best first, and the passes spent, runs cut short included.

    Raises:
        UserError: There is one entry, and it cannot serve the task.
    """
    losses: list[list[float]] = [[] for _ in entries]
    passes = 0.0
    for place, (seed, position) in enumerate(
        (seed, position) for seed in seeds for position in range(len(entries))
    ):
        limit = deadline if place else None
        if out_of_time(limit):
            break
        watch = _Limit(limit)
        try:
            run = train(
                task, entries[position].recipe, seed=seed, device=device, evaluate="validation",
                watcher=watch,
            )  # fmt: skip
        except UserError:
            if len(entries) == 1:
                raise
            losses[position].append(DIVERGED)
            continue
        passes += run.passes
        if watch.late and not run.diverged:
            break
        losses[position].append(final_loss(run))
        say(f"final {entries[position].origin}, seed {seed}: {shown(final_loss(run))}")
    common = max(min(map(len, losses)), 1)  # nobody gains by a seed that others did not run
    finalists = [
        _finalist(entry, found[:common])
        for entry, found in zip(entries, losses, strict=True)
        if len(found) >= common
    ]
    return tuple(sorted(finalists, key=lambda one: one.median)), passes


class _Limit:
    """Ends a run at the deadline, except at its last point."""

    def __init__(self, deadline: float | None) -> None:
        self._deadline, self.late = deadline, False

    def __call__(self, _: object) -> bool:
        self.late = out_of_time(self._deadline)
        return self.late


def _finalist(entry: Entry, losses: list[float]) -> Finalist:
    diverged = sum(loss >= DIVERGED for loss in losses)
    said = f" (diverged on {diverged} of {len(losses)} fresh seeds)" if diverged else ""
    return Finalist(
        recipe=entry.recipe, validation=tuple(losses), median=statistics.median(losses),
        origin=entry.origin + said,
    )  # fmt: skip


def shown(loss: float) -> str:
    """A loss for people."""
    return "diverged" if loss >= DIVERGED else f"{loss:.4g}"
