"""How soon what goal "fastest" advises reaches what AdamW 1e-3 cosine ends at, from known runs.

For each task the Gaussian of ``advisor.times`` is fitted without the task's data set and asked
with facts of model and data alone, as a user asks, or with a tier's profile, whose passes count.
Times are in passes, so steps that take longer are not held against a recipe here. Told beside it:
the single recipe that is soonest on average over the other tasks, the single one with the best mean
result there, and AdamW 1e-3; and whether schedules compressed to a part of the budget reach the
target any sooner: when the advice may choose the horizon too, and recipe by recipe.

    python -m benchmarks.soonest [--tier 16] [--level 0.1]
"""

from __future__ import annotations

import argparse

import numpy as np

from advisor.evaluate.bootstrap import interval, resampled_weights
from advisor.evaluate.known import profile_of
from advisor.features import Matrix
from advisor.knowledge import load_knowledge
from advisor.meta_model import gaussian_of
from advisor.times import times_of
from knowledge_base.reference import COPIED
from knowledge_base.splits import load_folds
from knowledge_base.store import SHIPPED
from probes.measures.base import TIERS
from probes.profile import FACTS_ONLY
from probes.recipe.schema import Recipe

_REFITTED = 5
"""Iterations in a fold, from the hyperparameters of the first."""


def main() -> None:
    """Ask about every task and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tier", type=int, default=FACTS_ONLY, choices=(FACTS_ONLY, *TIERS))
    parser.add_argument("--level", type=float, help="normalized regret as target in place of it")
    given = parser.parse_args()
    tier, known = given.tier, load_knowledge(given.tier)
    times = times_of(known, SHIPPED, iterations=0)
    logs, regrets = times.until(given.level), known.filled().learned
    whole = np.asarray([recipe.horizon == 1.0 for recipe in known.recipes])
    place = {row.name: i for i, row in enumerate(known.rows)}
    copied = [recipe.key for recipe in known.recipes].index(COPIED.key)
    chosen: dict[str, Matrix] = {
        name: np.zeros(len(place))
        for name in ("goal fastest", "with shortened schedules", "soonest single recipe",
                     "best single recipe", "AdamW 1e-3")
    }  # fmt: skip
    ours, start = chosen["goal fastest"], None
    for fold in load_folds()["dataset"]:
        train = [place[name] for name in fold.train if name in place]
        part = known.part(train)
        gaussian = gaussian_of(part, logs[train], start, 40 if start is None else _REFITTED)
        start = gaussian.parameters if start is None else start
        for i in (place[name] for name in fold.test if name in place):
            predicted = gaussian.predict(profile_of(known, i), known.recipe_matrix)
            picks = (
                np.where(whole, predicted, np.inf).argmin(), predicted.argmin(),
                logs[train].mean(0).argmin(), regrets[train].mean(0).argmin(), copied,
            )  # fmt: skip
            for values, pick in zip(chosen.values(), picks, strict=True):
                values[i] = logs[i, pick]
            probed = tier / known.rows[i].steps
            for values in list(chosen.values())[:2]:
                values[i] = np.log(min(np.exp(values[i]) + probed, 1.0))
    groups = [row.group for row in known.rows]
    print(f"{len(place)} tasks of {len(set(groups))} groups of data sets; "
          "geometric mean share of the budget until the target")  # fmt: skip
    weights = resampled_weights(groups, 0)
    for name, values in chosen.items():
        low, high = interval(np.exp(weights @ (values - ours)))
        print(
            f"{name:<26}{np.exp(values.mean()):6.3f}   "
            f"not before its end on {(values == 0).mean():4.0%}   "
            f"goal fastest is {np.exp((values - ours).mean()):.2f} x as soon "
            f"({low:.2f} to {high:.2f})"
        )
    print("\nschedules over a part of the budget (share of tasks that are not sooner than the end)")
    for recipe in known.recipes:
        shortened = _shortened(recipe, known.recipes)
        if len(shortened) > 1:
            parts = [
                f"{known.recipes[j].horizon:.0%}: {np.exp(logs[:, j].mean()):.3f} "
                f"({(logs[:, j] == 0).mean():.0%})"
                for j in shortened
            ]
            print(f"{recipe.describe()}: {', '.join(parts)}")


def _shortened(recipe: Recipe, recipes: tuple[Recipe, ...]) -> list[int]:
    """Where the recipe stands at all its horizons, the longest first; none for a shortened one."""
    if recipe.horizon < 1.0:
        return []
    same = [j for j, other in enumerate(recipes) if other.with_(horizon=1.0).key == recipe.key]
    return sorted(same, key=lambda j: -recipes[j].horizon)


if __name__ == "__main__":
    main()
