"""What a race tells: the first five of a left-out ranking, trained over a part of their schedules.

For each task the Gaussian ranks the reference recipes without the task's data set; the first five
are trained with their schedule compressed to a share of the budget. Told for each share: the rank
correlation with the final result among the five, and the mean test regret when the first so many
race and the best raises its rivals' outcomes as ``advisor.race`` does.

    python -m benchmarks.races [--tasks 70] [--shares 0.1 0.25]
"""

from __future__ import annotations

import argparse
from statistics import mean

import numpy as np
import torch

from advisor.features import Matrix
from advisor.knowledge import Knowledge, load_knowledge
from advisor.meta_model import fit_gaussian
from advisor.race import WEIGHT, setbacks
from advisor.race_run import run_race
from knowledge_base.tasks import why_unavailable
from knowledge_base.work import built_task

RACERS = 5
COUNTS = (2, 3, 5)
TIER = 16
SEED = 1
"""Of the races: not that of the final results, whose weights and batches they would share."""


def predictions(known: Knowledge) -> Matrix:
    """(T, R) outcomes predicted for each task without its data set."""
    parameters = fit_gaussian(known.filled()).parameters
    found = np.zeros(known.regrets.shape)
    for group in dict.fromkeys(row.group for row in known.rows):
        others = [i for i, row in enumerate(known.rows) if row.group != group]
        gaussian = fit_gaussian(known.part(others).filled(), parameters, 0)
        for i, row in enumerate(known.rows):
            if row.group == group:
                found[i] = gaussian.predict(known.features[0, i], known.recipe_matrix)
    return np.where(np.isfinite(known.regrets), found, np.inf)


def main() -> None:
    """Race and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=70, help="those with the fewest steps")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.25])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    known = load_knowledge(TIER)
    predicted = predictions(known)
    at_hand = [i for i, row in enumerate(known.rows) if why_unavailable(row) is None]
    tasks = sorted(at_hand, key=lambda i: known.rows[i].steps)[: chosen.tasks]
    orders = {t: [int(i) for i in predicted[t].argsort(kind="stable")[:RACERS]] for t in tasks}
    first = mean(float(known.test_regrets[t, orders[t][0]]) for t in tasks)
    print(f"{len(tasks)} tasks; mean test regret of the ranking's first {first:.3f}")
    for share in chosen.shares:
        correlations: list[float] = []
        regrets: dict[int, list[float]] = {count: [] for count in COUNTS}
        for t in tasks:
            order = orders[t]
            task = built_task(known.rows[t].name)
            races = [run_race(task, known.recipes[i], 0.0, SEED, "cpu", share) for i in order]
            losses, finals = np.asarray([one.loss for one in races]), known.regrets[t, order]
            if np.ptp(finals) > 0 and np.isfinite(losses).all() and np.ptp(losses) > 0:
                ranks = [side.argsort().argsort() for side in (losses, finals)]
                correlations.append(float(np.corrcoef(*ranks)[0, 1]))
            for count in COUNTS:
                risen = predicted[t, order[:count]] + WEIGHT * setbacks(races[:count])
                regrets[count].append(float(known.test_regrets[t, order[int(risen.argmin())]]))
        told = ", ".join(
            f"{count} raced ({count * share:.2f} of a training): {mean(found):.3f}"
            for count, found in regrets.items()
        )
        print(f"over {share:g} of the budget: rank correlation {mean(correlations):.2f}; {told}")


if __name__ == "__main__":
    main()
