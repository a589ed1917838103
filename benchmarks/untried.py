"""What it is worth to rank recipes that no known task ran, and how honest their scores are.

Half of the reference recipes, drawn at random, are taken as untried: the meta-model's Gaussian is
fitted on the other half, data sets left out, and ranks all. Told for each way of ranking: the mean
test regret of its first and of the best on validation of its first three, and how much more that
is than when only known recipes are ranked; how often the first is untried, and how much worse than
its score such a first ends, on the scale log(regret + 0.05). 95 % intervals over groups of data
sets.

    python -m benchmarks.untried [--draws 3] [--folds 10] [--tier 64]
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from advisor.evaluate.bootstrap import interval, resampled_weights
from advisor.evaluate.known import profile_of
from advisor.features import Matrix
from advisor.knowledge import Knowledge, load_knowledge
from advisor.meta_model import CAUTION, fit_gaussian, outcome_of
from benchmarks.models import folds_of, reached
from probes.measures.base import TIERS
from probes.profile import FACTS_ONLY

KS = (1, 3)
KNOWN = "known recipes alone"
DEVIATIONS = (0.0, CAUTION, 2.0)
_SEED = 0


def main() -> None:
    """Fit, rank and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=3, help="halves that are drawn")
    parser.add_argument("--folds", type=int, default=10, help="parts of the leak groups")
    parser.add_argument("--tier", type=int, default=64, choices=(FACTS_ONLY, *TIERS))
    chosen = parser.parse_args()
    known = load_knowledge(chosen.tier)
    ways = {f"all, mean + {count:g} deviations": count for count in DEVIATIONS}
    random, outcomes = np.random.default_rng(_SEED), outcome_of(known.regrets)
    found: dict[str, list[Matrix]] = defaultdict(list)
    worse: dict[str, list[float]] = defaultdict(list)
    count = 0
    for _ in range(chosen.draws):
        half = np.sort(random.permutation(len(known.recipes))[: len(known.recipes) // 2])
        scores = {name: np.full(known.regrets.shape, np.inf) for name in (KNOWN, *ways)}
        for task, mean, excess in outlooks(known, half, chosen.folds):
            served = np.isfinite(known.regrets[task])
            scores[KNOWN][task, half] = np.where(served, mean, np.inf)[half]
            for name, deviations in ways.items():
                row = np.where(served, mean + deviations * excess, np.inf)
                scores[name][task] = row
                first = int(row.argmin())
                if first not in half:
                    worse[name].append(float(outcomes[task, first] - row[first]))
        count += len(known.rows)
        for name, table in scores.items():
            found[name].append(np.stack([reached(known, table, k) for k in KS]))
    print(f"{len(known.rows)} tasks, {chosen.draws} halves of {len(known.recipes)} recipes\n")
    print(f"{'ranked':<30}{'k = 1':<7}{'more':<27}{'k = 3':<7}{'more':<27}untried first, worse by")
    weights = resampled_weights([row.group for row in known.rows], _SEED)
    alone = np.mean(found[KNOWN], axis=0)
    for name, draws in found.items():
        mean, cells = np.mean(draws, axis=0), ""
        for place in range(len(KS)):
            more = mean[place] - alone[place]
            low, high = interval(weights @ more)
            cells += f"{mean[place].mean():.3f}  "
            cells += f"{f'{more.mean():+.3f} ({low:+.3f} to {high:+.3f})':<27}"
        told = f", {np.mean(worse[name]):+.2f}" if worse[name] else ""
        print(f"{name:<30}{cells}{len(worse[name]) / count:.0%}{told}")


def outlooks(
    known: Knowledge, half: NDArray[np.intp], folds: int
) -> Iterator[tuple[int, Matrix, Matrix]]:
    """Task, and (R,) means and excess deviations of all recipes by a Gaussian that knows half.

    Args:
        known: The knowledge base.
        half: Positions of the recipes that the Gaussian knows.
        folds: Parts of the leak groups, left out in turn.
    """
    for test in folds_of([row.group for row in known.rows], folds):
        train = known.part([i for i in range(len(known.rows)) if i not in set(test)]).filled()
        gaussian = fit_gaussian(
            replace(
                train, recipes=tuple(train.recipes[i] for i in half), learned=train.learned[:, half]
            )
        )
        for task in test:
            outlook = gaussian.outlook(profile_of(known, task), known.recipe_matrix)
            yield task, outlook.mean, outlook.excess


if __name__ == "__main__":
    main()
