"""Fits, on the curves of the knowledge base, how far behind a run may lie that could still be best.

Each task's runs are put into searches as they might have gone: five good runs first, then others.
Of those that ended ahead of the five, the distance to the best of the five on the way there is what
``Allowance`` describes, by quantile regression (Koenker & Bassett 1978).
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from advisor.curves import (
    FILE,
    FINISHED,
    SCHEMA,
    SHARES,
    Allowance,
    Curve,
    area_left,
    farthest_fall,
    load_allowance,
    scale_of,
)
from advisor.fitted_file import FOLDER
from knowledge_base.store import SHIPPED, load_recipes, load_runs
from knowledge_base.tasks import known_tasks
from probes.errors import UserError, unknown_name
from probes.files import write_text
from probes.recipe.schema import Recipe

QUANTILE = 0.98
"""Of the distances of runs that ended ahead: what lies further behind is given up. A run is judged
two or three times, so about one in twenty of those that would have been the best is lost."""
_ENOUGH = 100
_STUDIES = 12
_TRIALS = 15
_GOOD, _TRIED = 0.2, 0.6


@dataclass(frozen=True)
class PastRun:
    """A run of the knowledge base.

    Attributes:
        recipe: Its recipe.
        curve: Its curve, judged shares alone.
    """

    recipe: Recipe
    curve: Curve


def past_runs(
    knowledge: Path | None = None, without: Collection[str] = ()
) -> dict[str, list[PastRun]]:
    """Runs with seed 0 of every task that end with a finite loss, the best first.

    Those that stop early are left out: where a run stopped, its share is not known.

    Args:
        knowledge: Folder of the packed knowledge base; None for the shipped one.
        without: Groups of data sets whose tasks are left out.

    Raises:
        UserError: A group that no task is of.
    """
    source = knowledge or SHIPPED
    names = ("task", "recipe", "seed", "final", "steps", "diverged", "curve_steps",
             "curve_validation")  # fmt: skip
    recipes = {key: Recipe.parse(plain) for key, plain in load_recipes(source).items()}
    columns = load_runs(source, names)
    left_out = _tasks_of(set(map(str, columns["task"])), without)
    found: dict[str, list[PastRun]] = defaultdict(list)
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(names, values, strict=True))
        if row["task"] in left_out:
            continue
        recipe, final = recipes[row["recipe"]], float(row["final"])
        stops = recipe.regularization.early_stopping is not None
        losses = np.asarray(row["curve_validation"], dtype=np.float64)
        if row["seed"] != 0 or row["diverged"] or stops or not math.isfinite(final):
            continue
        best = np.minimum.accumulate(np.where(np.isfinite(losses), losses, np.inf))
        shares = np.asarray(row["curve_steps"]) / float(row["steps"])
        kept = (shares >= SHARES[0]) & (shares <= SHARES[1]) & np.isfinite(best)
        curve = Curve(
            float(losses[1]), tuple(shares[kept].tolist()), tuple(best[kept].tolist()), final
        )
        found[str(row["task"])].append(PastRun(recipe, curve))
    for runs in found.values():
        runs.sort(key=lambda run: run.curve.final)
    return found


def _tasks_of(tasks: Collection[str], groups: Collection[str]) -> set[str]:
    """Those of the tasks whose data are of these groups, or of nobody knows which.

    Raises:
        UserError: A group that none is of.
    """
    if not groups:
        return set()
    rows = known_tasks()
    group_of = {name: rows[name].group for name in tasks if name in rows}
    for group in groups:
        if group not in group_of.values():
            raise unknown_name("a group of data sets", group, sorted(set(group_of.values())))
    return {name for name in tasks if group_of.get(name) in (None, *groups)}


def studies(
    runs: Sequence[PastRun], count: int, trials: int, seed: int
) -> Iterator[tuple[list[PastRun], list[PastRun]]]:
    """Searches as they might have gone: a few good runs, then others that are tried after them.

    Args:
        runs: Of one task, the best first.
        count: How many searches.
        trials: Runs tried after the first ``FINISHED``, drawn from the better part of all.
        seed: Of the draws.
    """
    good, tried = int(len(runs) * _GOOD), int(len(runs) * _TRIED)
    if good < FINISHED or tried < FINISHED + trials:
        return
    random = np.random.default_rng(seed)
    for _ in range(count):
        first = random.choice(good, FINISHED, replace=False)
        others = np.setdiff1d(np.arange(tried), first)
        yield (
            [runs[i] for i in first],
            [runs[i] for i in random.choice(others, trials, replace=False)],
        )


def fit_allowance(tasks: Iterable[Sequence[PastRun]], quantile: float = QUANTILE) -> Allowance:
    """The allowance from runs of many tasks.

    Raises:
        UserError: Too few runs ended ahead of others to say anything.
    """
    rows, distances = [], []
    for runs in tasks:
        for first, others in studies(runs, _STUDIES, _TRIALS, seed=0):
            curves = [run.curve for run in first]
            scale = scale_of(curves)
            for run in others:
                if run.curve.final >= scale.best:
                    continue
                for share, loss in zip(run.curve.shares, run.curve.losses, strict=True):
                    fall = farthest_fall(curves, share, scale)
                    if fall is not None:
                        rows.append((1.0, area_left(run.recipe.schedule, share), fall))
                        distances.append(scale.regret(loss))
    if len(rows) < _ENOUGH:
        raise UserError(
            "learning curves of more runs that ended ahead of others", str(len(rows)),
            "run advisor kb build to the end",
        )  # fmt: skip
    # with more still to come, never less is allowed
    found = quantile_regression(np.asarray(rows), np.asarray(distances), quantile, rising=True)
    return Allowance(*found)


def quantile_regression(
    rows: npt.NDArray[np.float64],
    values: npt.NDArray[np.float64],
    quantile: float,
    *,
    rising: bool = False,
) -> list[float]:
    """Coefficients of the linear function with that share of the values below it.

    As a linear program (Koenker & Bassett 1978, section 6): the distances above and below cost
    ``quantile`` and 1 - ``quantile``.

    Args:
        rows: (n, k).
        values: (n,).
        quantile: In (0, 1).
        rising: Whether no coefficient but the first may be below 0.

    Returns:
        The k coefficients.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix, eye, hstack

    count, width = rows.shape
    weights = np.concatenate(
        [np.zeros(width), np.full(count, quantile), np.full(count, 1.0 - quantile)]
    )
    equal = hstack([csr_matrix(rows), eye(count), -eye(count)], format="csc")
    free = [(None, None)] * (1 if rising else width)
    bounds = [*free, *[(0.0, None)] * (width - len(free) + 2 * count)]
    found = linprog(weights, A_eq=equal, b_eq=values, bounds=bounds, method="highs")
    return [float(value) for value in found.x[:width]]


def fit_curves(
    knowledge: Path | None = None, folder: Path | None = None, without: Collection[str] = ()
) -> Allowance:
    """Fit the allowance on a packed knowledge base and write it.

    Args:
        knowledge: Folder of the packed knowledge base; None for the shipped one.
        folder: Where the file goes; None for the package.
        without: Groups of data sets to leave out, for a fair trial on one of them.

    Raises:
        UserError: There is no knowledge base, it holds too few curves, or a group is unknown.
    """
    allowance = fit_allowance(past_runs(knowledge, without).values())
    target = folder or FOLDER
    target.mkdir(parents=True, exist_ok=True)
    rounded = {name: round(value, 4) for name, value in asdict(allowance).items()}
    write_text(target / FILE, json.dumps({"schema": SCHEMA, **rounded}) + "\n")
    load_allowance.cache_clear()
    return load_allowance(target)


if __name__ == "__main__":
    fit_curves()
