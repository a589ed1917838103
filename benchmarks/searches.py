"""How near the truth the best known recipes are: what twice as long a search would find.

For each task with enough searched recipes: the best known result, that is the least median of the
validation losses of recipes that ran with three seeds, among the reference recipes and the first n
searched ones, against that among the reference recipes and the first 2 n. The gain is a share of
the task's range, the log of the untrained over the best loss. On a task it counts as nothing where
it is below 0.01 or the standard deviation between seeds, whichever is larger. Three seeds have the
best ten of a task and those that were among them when its search was shorter; so a best known of
the shorter search is at worst missed, and the gain told too large. Beside it the gain of the least
loss of single trainings, the luck of the draw included.

    python -m benchmarks.searches [--counts 30 60]
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import mean, median

from knowledge_base.regret import Scale, scales
from knowledge_base.store import SHIPPED, load_runs
from knowledge_base.tasks import task_rows

LEAST = 0.01
SEEDS = 3
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
    losses: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    reference: dict[str, list[str]] = defaultdict(list)
    searched: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        loss = math.inf if run["diverged"] else float(run["final"])
        losses[run["task"]][run["recipe"]].append(loss)
        if run["seed"] == 0:
            (searched if run["role"] == "searched" else reference)[run["task"]].append(
                run["recipe"]
            )

    def gains(count: int, seeds: int) -> dict[str, float]:
        """Of 2 n over n searched recipes, among those with so many seeds, by task."""
        found = {}
        for name, keys in searched.items():
            if len(keys) >= 2 * count:
                shorter, longer = (
                    best([losses[name][key] for key in [*reference[name], *keys[:n]]], seeds)
                    for n in (count, 2 * count)
                )
                found[name] = place(validation[name], shorter) - place(validation[name], longer)
        return found

    for count in chosen.counts:
        repeated, single = gains(count, SEEDS), gains(count, 1)
        if not repeated:
            print(f"{count} searched recipes: no task has {2 * count}")
            continue
        more = {
            name: gain for name, gain in sorted(repeated.items(), key=lambda item: -item[1])
            if gain >= max(LEAST, validation[name].seed_spread)
        }  # fmt: skip
        print(
            f"{count} searched recipes against {2 * count}: {len(repeated)} tasks, mean gain "
            f"{mean(repeated.values()):.4f} of the range (of single trainings "
            f"{mean(single.values()):.4f}), on {len(repeated) - len(more)} nothing; more: "
            + (", ".join(f"{name} {gain:.3f}" for name, gain in more.items()) or "none")
        )


def best(losses: Iterable[Sequence[float]], seeds: int) -> float:
    """The least median of recipes' losses over so many seeds, of those that ran with them."""
    return min((median(runs[:seeds]) for runs in losses if len(runs) >= seeds), default=math.inf)


def place(scale: Scale, loss: float) -> float:
    """A loss on the scale of regrets, not cut off at 0 as these are."""
    if not math.isfinite(loss):
        return 1.0
    zero = (scale.untrained - scale.best) / math.expm1(scale.log_range)
    return math.log(max(1.0 + (loss - scale.best) / zero, _LEAST_RATIO)) / scale.log_range


if __name__ == "__main__":
    main()
