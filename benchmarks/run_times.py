"""How long a full run of each benchmark task takes, and a rebuild of the knowledge base.

Read off the packed runs: wall seconds a step on one core, times the task's budget in steps. Runs
trained in a stack have no time of their own; they count as long as the task's median.
A rebuild counts the runs that a build makes. The pack also holds the trainings of the live
evaluation, as searched runs and as repeats of other seeds on its tasks. What the records do not
hold is left out: validation, the start of workers, and downloads.

    python -m benchmarks.run_times [--pack DIR] [--searched N]
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from knowledge_base.run_seconds import LONG, SHORT, full_run_seconds
from knowledge_base.stages import REPEAT_SEEDS
from knowledge_base.store import SHIPPED, load_profiles, load_recipes, load_runs

_SEEDS = (0, *REPEAT_SEEDS)
_COLUMNS = ("task", "recipe", "seed", "role", "steps", "seconds_per_step")


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", type=Path, default=SHIPPED)
    parser.add_argument("--searched", type=int, default=60)
    chosen = parser.parse_args()
    runs = load_runs(chosen.pack, _COLUMNS)
    own_batches = {
        key for key, plain in load_recipes(chosen.pack).items() if plain.get("batch_size")
    }
    taken: dict[str, list[float]] = defaultdict(list)
    searched: Counter[str] = Counter()
    columns = (runs[name] for name in _COLUMNS)
    for task, _, seed, role, steps, pace in zip(*columns, strict=True):
        searched[task] += role == "searched"
        if searched[task] <= chosen.searched if role == "searched" else seed in _SEEDS:
            taken[task].append(steps * pace)
    paces = zip(runs["task"], runs["recipe"], runs["seconds_per_step"], strict=True)
    whole = full_run_seconds(paces, own_batches)
    for title, large in (("tasks", False), ("steps of ladders", True)):
        _tell(title, {task: time for task, time in whole.items() if ("@" in task) == large})
    hours = sum(_total(np.asarray(found, dtype=np.float64)) for found in taken.values()) / 3600
    number = sum(map(len, taken.values()))
    print(f"a rebuild: {number:,} of {len(runs['task']):,} runs, {hours:.1f} hours on one core")
    seconds = [record["profile"]["seconds"] for record in load_profiles(chosen.pack)]
    print(f"and {len(seconds):,} profiles, {sum(seconds) / 3600:.1f} hours on one core")


def _tell(title: str, whole: dict[str, float]) -> None:
    """One line about the full runs of some tasks, the shortest named."""
    if not whole:
        return
    low, early, middle, late, high = np.quantile(list(whole.values()), (0, 0.05, 0.5, 0.95, 1))
    print(
        f"{len(whole)} {title}: a full run takes {low:.2f} to {high:.2f} s, half of them under "
        f"{middle:.2f} s, nine of ten {early:.2f} to {late:.2f} s"
    )
    short = sorted((name for name in whole if whole[name] < SHORT), key=whole.__getitem__)
    print(f"  {sum(time > LONG for time in whole.values())} above {LONG:g} s, "
          f"{len(short)} under {SHORT:g} s: "
          + ", ".join(f"{name} {whole[name]:.2f}" for name in short))  # fmt: skip


def _total(seconds: NDArray[np.float64]) -> float:
    """Sum, with the median in the place of what is not known."""
    return float(np.where(np.isfinite(seconds), seconds, np.nanmedian(seconds)).sum())


if __name__ == "__main__":
    main()
