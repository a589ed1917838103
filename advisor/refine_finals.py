"""The end of a refinement: its best recipes and the ranking's first, on seeds not searched with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count, islice

from advisor.attempt import try_training
from advisor.pruning import DeadlineWatcher, out_of_time
from advisor.refine_objective import DIVERGED, FAILED, EndResult, Judged, Objective, pooled, time_of
from advisor.tuned import Finalist
from probes.errors import UserError
from probes.recipe.schema import Recipe
from probes.run import Run
from probes.task import Task


@dataclass(frozen=True)
class Entry:
    """A recipe to be trained again, and where it came from."""

    recipe: Recipe
    origin: str


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
    objective: Objective | None = None,
) -> tuple[tuple[Finalist, ...], float]:
    """Train every entry on every seed and sort by what the runs are worth, each entry pooled.

    Seed by seed, so that when the time is up all have been run on the same seeds; the first entry
    is run on one seed whatever the time. A run that fails counts as one that diverged. Values are
    pooled over the seeds that all of the finalists were run on: one at least, and fewer than
    ``seeds`` where the time was up. Of those that tie, as where all diverged on half of the seeds,
    the one whose best runs are better comes first; else they keep the order of the entries.

    Args:
        entries: Distinct recipes; the first is the one to beat.
        task: The task.
        seeds: Seeds, at least one.
        device: "auto", "cpu", "cuda", ...
        deadline: Value of ``time.monotonic()`` after which no run goes on, or None.
        say: Told of each run.
        objective: How runs are valued; None for their final validation loss.

    Returns:
        The finalists, best first, and the passes spent, runs cut short included.

    Raises:
        UserError: There is one entry, and it cannot serve the task.
        RuntimeError: There is one entry, and each of its runs failed.
    """
    objective = objective or EndResult()
    runs: list[list[Judged]] = [[] for _ in entries]
    errors: list[list[UserError | RuntimeError | None]] = [[] for _ in entries]
    prepared = task.prepared
    passes = 0.0
    for place, (seed, position) in enumerate(
        (seed, position) for seed in seeds for position in range(len(entries))
    ):
        limit = deadline if place else None
        if out_of_time(limit):
            break
        entry = entries[position]
        total = entry.recipe.steps_for(prepared.steps, prepared.batch_size)
        watch = DeadlineWatcher(total, limit, objective)
        run = try_training(task, entry.recipe, seed=seed, device=device, watcher=watch)
        error = None if isinstance(run, Run) else run
        judged, said = FAILED, f"failed ({error})"
        if isinstance(run, Run):
            passes += run.passes
            if watch.late and not run.diverged:
                break
            judged = objective.judge(run, entry.recipe)
            said = objective.shown(judged.value)
        runs[position].append(judged)
        errors[position].append(error)
        say(f"final {entry.origin}, seed {seed}: {said}")
    if len(entries) == 1 and errors[0][0] is not None and all(errors[0]):
        raise errors[0][0]  # nothing ran at all: the error is the answer
    common = max(min(map(len, runs)), 1)  # nobody gains by a seed that others did not run
    finalists = [
        _finalist(entry, found[:common], failed[:common], objective)
        for entry, found, failed in zip(entries, runs, errors, strict=True)
        if len(found) >= common
    ]
    finalists.sort(key=lambda one: one[0])
    return tuple(one for _, one in finalists), passes


def _finalist(
    entry: Entry, runs: Sequence[Judged], errors: Sequence[Exception | None], objective: Objective
) -> tuple[tuple[float, list[float]], Finalist]:
    """What an entry's runs are worth together and each, and what is told of them."""
    values = sorted(run.value for run in runs)
    value = pooled(values)
    losses = [run.loss for run in runs]
    failed = [error for error in errors if error is not None]
    diverged = sum(loss >= DIVERGED for loss in losses) - len(failed)
    said = [f"diverged on {diverged} of {len(losses)} fresh seeds"] if diverged else []
    if failed:
        reason = next(iter(str(failed[0]).splitlines()), type(failed[0]).__name__)
        said.append(f"failed on {len(failed)} of {len(losses)} fresh seeds: {reason}")
    soonest = objective.goal.name == "fastest"
    return (value, values), Finalist(
        recipe=entry.recipe, validation=tuple(losses), median=pooled(losses),
        origin=entry.origin + (f" ({'; '.join(said)})" if said else ""),
        to_target=tuple(run.to_target for run in runs) if soonest else None,
        time=time_of(value) if soonest else None,
    )  # fmt: skip
