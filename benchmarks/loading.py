"""How long it takes to load what ``recommend`` needs, in a process that has done its imports.

Each round is a fresh process: it imports all modules first, then reads the meta-model of a tier,
the pool of candidates and the prices of optimizers (for goal "fastest" the times too); recipes of
the pool are read one by one as they are asked for, and are not part of it. CPU and wall time are
told. The goal is held against CPU time, so that other work on the machine weighs little: one thread
reads files that are in the machine's cache after the first round, which is not counted.

    python -m benchmarks.loading [--tier 16] [--rounds 7]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

GOAL = 0.3
"""Seconds."""


def main() -> None:
    """Time the rounds and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tier", type=int, default=16, help="0 for facts alone (default 16)")
    parser.add_argument("--rounds", type=int, default=7, help="fresh processes (default 7)")
    parser.add_argument("--once", action="store_true", help="time one loading in this process")
    chosen = parser.parse_args()
    if chosen.once:
        print(json.dumps(loading(chosen.tier)))
        return
    command = [sys.executable, "-m", "benchmarks.loading", "--once", "--tier", str(chosen.tier)]
    rounds = []
    for _ in range(chosen.rounds + 1):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rounds.append(json.loads(done.stdout))
    print(f"tier {chosen.tier}, {chosen.rounds} fresh processes: median and longest, seconds")
    for name in rounds[0]:
        cpu, wall = zip(*(found[name] for found in rounds[1:]), strict=True)
        print(
            f"{name:<24} CPU {statistics.median(cpu):.3f} {max(cpu):.3f}   "
            f"wall {statistics.median(wall):.3f} {max(wall):.3f}"
        )
    cpu, wall = (statistics.median(found["all"][i] for found in rounds[1:]) for i in (0, 1))
    print(
        f"goal: under {GOAL} s; CPU time {'met' if cpu < GOAL else 'MISSED'}, "
        f"wall time {'met' if wall < GOAL else 'missed'}"
    )


def loading(tier: int) -> dict[str, tuple[float, float]]:
    """CPU and wall seconds of each part, and of all that goal "best" needs."""
    from advisor.candidate_pool import load_pool
    from advisor.fitted_file import FOLDER
    from advisor.recommender import recommend  # with all that it imports
    from advisor.shipped import load_shipped
    from advisor.times import load_times
    from probes.recipe.prices import shipped_prices

    assert callable(recommend)
    begin = before = time.process_time(), time.perf_counter()
    found: dict[str, tuple[float, float]] = {}

    def lap(name: str, since: tuple[float, float]) -> tuple[float, float]:
        now = time.process_time(), time.perf_counter()
        found[name] = now[0] - since[0], now[1] - since[1]
        return now

    model = load_shipped(tier, FOLDER).model
    before = lap("meta-model", before)
    load_pool(FOLDER, model.recipes)
    before = lap("pool of candidates", before)
    shipped_prices()
    before = lap("prices", before)
    lap("all", begin)
    load_times(FOLDER, model)
    lap('times (for "fastest")', before)
    return found


if __name__ == "__main__":
    main()
