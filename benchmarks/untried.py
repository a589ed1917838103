"""What it is worth to rank recipes that no known task ran.

Half of the reference recipes, drawn at random, are taken as untried: the meta-model's Gaussian is
fitted on the other half, data sets left out, and ranks all. Told for each way of ranking: the mean
test regret of its first and of the best on validation of its first three, how often the first is
an untried recipe, and how much more the regret is than when only known recipes are ranked; 95 %
intervals over groups of data sets.

    python -m benchmarks.untried [--draws 3] [--folds 10] [--tier 64]
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from advisor.evaluate.bootstrap import interval, resampled_weights
from advisor.evaluate.known import profile_of
from advisor.features import Matrix
from advisor.knowledge import Knowledge, load_knowledge
from advisor.meta_model import DOUBT, fit_gaussian
from benchmarks.models import folds_of, reached
from probes.measures.base import TIERS
from probes.profile import FACTS_ONLY

KS = (1, 3)
DEVIATIONS = (0.0, 0.5, DOUBT, 2.0)
KNOWN = "known recipes alone"
_SEED = 0


def main() -> None:
    """Fit, rank and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=3, help="halves that are drawn")
    parser.add_argument("--folds", type=int, default=10, help="parts of the leak groups")
    parser.add_argument("--tier", type=int, default=64, choices=(FACTS_ONLY, *TIERS))
    chosen = parser.parse_args()
    known = load_knowledge(chosen.tier)
    random = np.random.default_rng(_SEED)
    found: dict[str, list[Matrix]] = {}
    untried: dict[str, list[float]] = {}
    for _ in range(chosen.draws):
        half = np.sort(random.permutation(len(known.recipes))[: len(known.recipes) // 2])
        for name, scores in rankings(known, half, chosen.folds).items():
            found.setdefault(name, []).append(np.stack([reached(known, scores, k) for k in KS]))
            served = np.where(np.isfinite(known.regrets), scores, np.inf)
            untried.setdefault(name, []).append(float(np.isin(served.argmin(1), half).mean()))
    print(f"{len(known.rows)} tasks, {chosen.draws} halves of {len(known.recipes)} recipes\n")
    print(f"{'ranked':<28}" + "".join(f"k = {k}{'more than known alone':>37}   " for k in KS)
          + "first untried")  # fmt: skip
    weights = resampled_weights([row.group for row in known.rows], _SEED)
    alone = np.mean(found[KNOWN], axis=0)
    for name, draws in found.items():
        mean = np.mean(draws, axis=0)
        cells = ""
        for place in range(len(KS)):
            more = mean[place] - alone[place]
            low, high = interval(weights @ more)
            cells += f"{mean[place].mean():.3f}{more.mean():+18.3f} ({low:+.3f} to {high:+.3f})   "
        print(f"{name:<28}{cells}{1.0 - np.mean(untried[name]):.0%}")


def rankings(known: Knowledge, half: Matrix, folds: int) -> dict[str, Matrix]:
    """(T, R) scores of all recipes by way of ranking, lower is better.

    Args:
        known: The knowledge base.
        half: Positions of the recipes that the Gaussian knows.
        folds: Parts of the leak groups.
    """
    names = [KNOWN, *(f"all, mean + {d:g} deviations" for d in DEVIATIONS)]
    found = {name: np.full(known.regrets.shape, np.inf) for name in names}
    columns = known.recipe_matrix
    for test in folds_of([row.group for row in known.rows], folds):
        train = known.part([i for i in range(len(known.rows)) if i not in set(test)]).filled()
        part = replace(
            train, recipes=tuple(train.recipes[i] for i in half), regrets=train.regrets[:, half]
        )
        gaussian = fit_gaussian(part)
        for task in test:
            profile = profile_of(known, task)
            mean, doubt = gaussian.predict(profile, columns), gaussian.doubt(profile, columns)
            found[KNOWN][task, half] = mean[half]
            for name, deviations in zip(names[1:], DEVIATIONS, strict=True):
                found[name][task] = mean + deviations * doubt
    return found


if __name__ == "__main__":
    main()
