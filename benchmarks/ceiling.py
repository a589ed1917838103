"""How far the first recommendation could come if more were known of the task: a ceiling for probes.

The Gaussian, fitted with data sets left out, ranks the recipes of each task; then it is told what
whole trainings of some recipes gave on that very task, at no cost, and ranks again. Such knowledge
is dearer and surer than any probe of a tenth of a training can be. Recipes whose result is told are
ranked by it like the others, so what k told recipes gain includes that the best of k may be taken;
"untold ones alone" leaves the told ones out of the choice. Told: mean test regret of the first
recipe, median, and the difference from knowing nothing, 95 % intervals over groups of data sets.

    python -m benchmarks.ceiling [--folds 12] [--tier 64]
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from advisor.evaluate.bootstrap import interval, resampled_weights
from advisor.evaluate.known import profile_of
from advisor.features import Matrix
from advisor.gaussian import OutcomeGaussian
from advisor.knowledge import Knowledge, load_knowledge
from advisor.meta_model import fit_gaussian, outcome_of
from advisor.portfolio import greedy_portfolio
from benchmarks.models import folds_of, reached
from probes.measures.base import TIERS
from probes.profile import FACTS_ONLY

TOLD = (1, 2, 4, 8)
NOTHING = "nothing more"
_SEED = 0


def main() -> None:
    """Fit, tell, rank and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, default=12, help="parts of the leak groups")
    parser.add_argument("--tier", type=int, default=64, choices=(FACTS_ONLY, *TIERS))
    chosen = parser.parse_args()
    known = load_knowledge(chosen.tier)
    scores: dict[str, Matrix] = defaultdict(lambda: np.full(known.regrets.shape, np.inf))
    for task, gaussian, landmarks in fitted(known, chosen.folds):
        features = profile_of(known, task)
        mean = gaussian.predict(features, known.recipe_matrix)
        outcomes = outcome_of(known.regrets[task])
        served = np.isfinite(outcomes)
        covariance, landmarks = gaussian.covariance(features), landmarks[served[landmarks]]
        scores[NOTHING][task] = mean
        for count in TOLD:
            told = landmarks[:count]
            after = conditioned(mean, covariance, gaussian.noise, told, outcomes[told])
            scores[f"{count} of a portfolio"][task] = after
            scores[f"{count} of a portfolio, untold ones alone"][task] = after
            scores[f"{count} of a portfolio, untold ones alone"][task, told] = np.inf
            told = np.where(served, mean, np.inf).argsort(kind="stable")[:count]
            after = conditioned(mean, covariance, gaussian.noise, told, outcomes[told])
            scores[f"its own first {count}"][task] = after
    groups = [row.group for row in known.rows]
    weights = resampled_weights(groups, _SEED)
    nothing = reached(known, scores[NOTHING], 1)
    print(
        f"{len(known.rows)} tasks from {len(set(groups))} groups of data sets, tier {chosen.tier}"
    )
    print(f"\n{'known of the task':<45}{'regret':<8}{'median':<8}minus knowing nothing more")
    for name, table in scores.items():
        values = reached(known, table, 1)
        low, high = interval(weights @ (values - nothing))
        more = f"{(values - nothing).mean():+.3f} ({low:+.3f} to {high:+.3f})"
        print(f"{name:<45}{values.mean():<8.3f}{np.median(values):<8.3f}{more}")


def fitted(known: Knowledge, folds: int) -> Iterator[tuple[int, OutcomeGaussian, NDArray[np.intp]]]:
    """Each task, a Gaussian that has not seen its data set, and a portfolio's recipes in order."""
    for test in folds_of([row.group for row in known.rows], folds):
        train = known.part([i for i in range(len(known.rows)) if i not in set(test)]).filled()
        gaussian = fit_gaussian(train)
        portfolio = np.asarray(greedy_portfolio(train.learned, 2 * max(TOLD)))
        for task in test:
            yield task, gaussian, portfolio


def conditioned(
    mean: Matrix, covariance: Matrix, noise: float, told: NDArray[np.intp], outcomes: Matrix
) -> Matrix:
    """(R,) means after some outcomes are told (Rasmussen & Williams 2006, equation 2.25).

    Args:
        mean: (R,) means before.
        covariance: (R, R) before.
        noise: Variance of a told outcome about what it tells of.
        told: (k,) positions of the recipes whose outcomes are told.
        outcomes: (k,) those outcomes.
    """
    among = covariance[np.ix_(told, told)] + noise * np.eye(len(told))
    after: Matrix = mean + covariance[:, told] @ np.linalg.solve(among, outcomes - mean[told])
    return after


if __name__ == "__main__":
    main()
