"""What the first steps tell: who of a left-out ranking hardly begins to learn, and is moved down.

For each task the Gaussian ranks the reference recipes without the task's data set, by the profile
that a tenth of the budget pays for; the rule of ``advisor.first_steps`` then reads the recorded
learning curves of the first five as far as the passes left after that profile would have carried
them. (Curves have a dozen points: the last one before that step is read. Validation is on the whole
held-out part, and recipes of the reference set stand for those of the pool.) Told for each line
below which a recipe does not learn: the mean test regret of the recipe that is then first, of how
many tasks that is another one, and the difference; 95 % intervals over groups of data sets.

    python -m benchmarks.first_steps [--falls 0.1 0.2 0.3 0.4 0.5] [--folds 10]
"""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple

import numpy as np

from advisor.evaluate.bootstrap import interval, resampled_weights
from advisor.evaluate.known import profile_of
from advisor.evaluate.replay import BUDGET
from advisor.feature_table import TASK_UNITS
from advisor.features import Matrix
from advisor.first_steps import LEAST_STEPS, MOST_SHARE, SAMPLES, fallen_behind, has_risen
from advisor.knowledge import Knowledge, load_knowledge
from advisor.meta_model import fit
from advisor.race import LEAST, MOST
from advisor.race_run import Race
from advisor.shipped import known_tiers, tier_within
from benchmarks.models import folds_of
from knowledge_base.store import SHIPPED, load_profiles, load_runs
from knowledge_base.tasks import TaskRow

_COLUMNS = ("task", "recipe", "seed", "role", "initial", "curve_steps", "curve_validation")


class _Curve(NamedTuple):
    initial: float
    steps: Matrix
    losses: Matrix

    def after(self, steps: int) -> Race:
        """What cutting off there would have told."""
        place = int(np.searchsorted(self.steps, steps, side="right")) - 1
        return Race(self.initial, float(self.losses[place]), 0.0, 0.0)


def main() -> None:
    """Rank, read and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--falls", type=float, nargs="+", default=[0.1, 0.2, 0.3, 0.4, 0.5])
    parser.add_argument("--folds", type=int, default=10, help="parts of the leak groups")
    chosen = parser.parse_args()
    tiers = [tier for tier in known_tiers(SHIPPED) if tier <= BUDGET * 1000]
    knowledge = {tier: load_knowledge(tier) for tier in tiers}
    known = knowledge[tiers[0]]
    paid = [tier_within(BUDGET * row.steps, tiers) for row in known.rows]
    scores = predictions(knowledge, paid, chosen.folds)
    curves, cost = _curves(), _costs()
    groups = [row.group for row in known.rows]
    weights = resampled_weights(groups, 0)
    each = np.arange(len(groups))
    first = known.test_regrets[each, scores.argmin(1)]
    print(f"{len(groups)} tasks; mean test regret of the ranking's first {first.mean():.3f}")
    for fall in chosen.falls:
        picks = scores.argmin(1)
        asked = 0
        for i, row in enumerate(known.rows):
            left = BUDGET * row.steps - cost.get((row.name, paid[i]), 0.0)
            order = [int(j) for j in scores[i].argsort(kind="stable")[:MOST]]
            judged, runs = begun(row, order, known, left, curves)
            asked += bool(runs)
            setbacks = dict(zip(judged, fallen_behind(runs, fall), strict=True))
            picks[i] = min(order, key=lambda j: setbacks.get(j, 0.0) > 0)
        found = known.test_regrets[each, picks]
        low, high = interval(weights @ (found - first))
        print(
            f"who falls less than {fall:.0%} of the best moves: {found.mean():.3f}, another first "
            f"on {int((picks != scores.argmin(1)).sum())} of {asked} asked, "
            f"{(found - first).mean():+.4f} ({low:+.4f} to {high:+.4f})"
        )


def predictions(knowledge: dict[int, Knowledge], paid: list[int], folds: int) -> Matrix:
    """(T, R) scores of each task by its own tier's meta-model without its data set."""
    first = next(iter(knowledge.values()))
    found = np.zeros(first.regrets.shape)
    for test in folds_of([row.group for row in first.rows], folds):
        train = [i for i in range(len(first.rows)) if i not in set(test)]
        for tier in {paid[i] for i in test}:
            known = knowledge[tier]
            model = fit(known.part(train), weights=(0.0,))
            for i in (i for i in test if paid[i] == tier):
                features = dict(zip(TASK_UNITS, profile_of(known, i).tolist(), strict=True))
                row = known.rows[i]
                found[i] = model.scores(
                    features, known.recipes, row.steps, row.batch_size, known.recipe_matrix
                )
    return np.where(np.isfinite(first.regrets), found, np.inf)


def begun(
    row: TaskRow, order: list[int], known: Knowledge, left: float,
    curves: dict[tuple[str, str], _Curve],
) -> tuple[list[int], list[Race]]:  # fmt: skip
    """Who begins and what they told, by the rule of ``advisor.first_steps``."""
    validated = 2 * max(row.batch_size, SAMPLES) / row.batch_size / 3
    for count in range(len(order), LEAST - 1, -1):
        entrants = [known.recipes[j] for j in order[:count]]
        dear = sum(one.passes_per_step for one in entrants)
        steps = min(int((left - count * validated) / dear), math.ceil(MOST_SHARE * row.steps))
        if steps >= LEAST_STEPS:
            judged, runs = [], []
            for j, one in zip(order, entrants, strict=False):
                own = max(1, round(steps * row.batch_size / (one.batch_size or row.batch_size)))
                total = one.steps_for(row.steps, row.batch_size)
                if has_risen(one, own, total):
                    judged.append(j)
                    runs.append(curves[row.name, one.key].after(own))
            return judged, runs
    return [], []


def _curves() -> dict[tuple[str, str], _Curve]:
    columns = load_runs(SHIPPED, _COLUMNS)
    return {
        (str(columns["task"][i]), str(columns["recipe"][i])): _Curve(
            float(columns["initial"][i]),
            np.asarray(columns["curve_steps"][i]),
            np.asarray(columns["curve_validation"][i]),
        )
        for i in range(len(columns["task"]))
        if columns["role"][i] == "reference" and columns["seed"][i] == 0
    }


def _costs() -> dict[tuple[str, int], float]:
    """Passes that the profile of a task and tier cost."""
    records = load_profiles(SHIPPED)
    return {(str(r["task"]), int(r["tier"])): float(r["profile"]["passes"]) for r in records}


if __name__ == "__main__":
    main()
