"""How near the truth the best known recipes are: what twice as long a search would find.

For each task with enough searched recipes: the least validation loss among the reference recipes
and the first n searched ones, against that among the reference recipes and the first 2 n. The gain
is a share of the task's range, the log of the untrained over the best loss. It counts as nothing
where it is below 0.01 or the standard deviation between seeds, whichever is larger: both losses are
those of single trainings, the least of many, so that luck is part of the gain.

    python -m benchmarks.searches [--counts 30 60]
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from statistics import mean

from knowledge_base.regret import Scale, scales
from knowledge_base.store import SHIPPED, load_runs
from knowledge_base.tasks import task_rows

LEAST = 0.01
_LEAST_RATIO = 1e-6
"""Of a loss to the best known one; a loss of 0 would be infinitely better."""
_COLUMNS = ("task", "recipe", "seed", "role", "initial", "final", "test", "diverged")


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[30, 60], help="searches n")
    chosen = parser.parse_args()
    columns = load_runs(SHIPPED, _COLUMNS)
    ordinary = task_rows()
    runs = [
        {name: columns[name][i] for name in _COLUMNS}
        for i in range(len(columns["task"]))
        if columns["task"][i] in ordinary
    ]
    validation = {name: pair[0] for name, pair in scales(runs).items()}
    reference: dict[str, float] = defaultdict(lambda: math.inf)
    searched: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        if run["seed"] == 0:
            loss = math.inf if run["diverged"] else float(run["final"])
            if run["role"] == "searched":
                searched[run["task"]].append(loss)
            else:
                reference[run["task"]] = min(reference[run["task"]], loss)
    for count in chosen.counts:
        gains = {
            name: place(validation[name], min(reference[name], *losses[:count]))
            - place(validation[name], min(reference[name], *losses[: 2 * count]))
            for name, losses in searched.items()
            if len(losses) >= 2 * count
        }
        if not gains:
            print(f"{count} searched recipes: no task has {2 * count}")
            continue
        more = {
            name: gain for name, gain in sorted(gains.items(), key=lambda item: -item[1])
            if gain >= max(LEAST, validation[name].seed_spread)
        }  # fmt: skip
        print(
            f"{count} searched recipes against {2 * count}: {len(gains)} tasks, mean gain "
            f"{mean(gains.values()):.4f} of the range, on {len(gains) - len(more)} nothing; more: "
            + (", ".join(f"{name} {gain:.3f}" for name, gain in more.items()) or "none")
        )


def place(scale: Scale, loss: float) -> float:
    """A loss on the scale of regrets, not cut off at 0 as these are."""
    if not math.isfinite(loss):
        return 1.0
    zero = (scale.untrained - scale.best) / math.expm1(scale.log_range)
    return math.log(max(1.0 + (loss - scale.best) / zero, _LEAST_RATIO)) / scale.log_range


if __name__ == "__main__":
    main()
