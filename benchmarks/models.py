"""How well the Gaussian picks recipes for data sets left out, beside simpler and other models.

Each model is fitted inside the fold, asks with one profile, as a user has it, and ranks the
reference recipes. Told: the mean test regret of its first (k = 1) and of the best on validation of
its first three (k = 3), and how much more that is than the Gaussian's; 95 % intervals over groups
of data sets. LightGBM has the settings of ``advisor.boosting``, its columns (none for the name of
the optimizer, which the Gaussian has) and every profile of a training task.
``--corrected`` adds the Gaussian with a share of LightGBM's correction, never none, for seven times
as many boosters as any other model.

Then learning rates, of optimizers that ran with three or more, all else at its defaults, under a
cosine: which the Gaussian predicts to be best, and which was best on average over the training
tasks (the constant prior), against the one that was best on the task.

    python -m benchmarks.models [--folds 10] [--tier 0] [--corrected]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np

from advisor.boosting import PARAMETERS, ROUNDS, predict_booster
from advisor.evaluate.bootstrap import interval, resampled_weights
from advisor.evaluate.known import profile_of
from advisor.feature_table import BOOSTED_ONLY, TASK_GROUPS, TASK_UNITS
from advisor.features import Matrix, name_columns, recipe_groups, task_groups
from advisor.gaussian import OutcomeGaussian
from advisor.knowledge import Knowledge, load_knowledge
from advisor.meta_model import WEIGHTS, fit, fit_gaussian, outcome_of
from advisor.standard import Standard
from probes.measures.base import TIERS
from probes.profile import FACTS_ONLY
from probes.recipe.schema import Recipe

KS = (1, 3)
NEAREST = 5
GRADES = 16
QUANTILE = 0.7
"""Above a half: of two recipes as good on average, the one with the less bad surprises."""
RATES = 3
CONSTANT = "best by outcome"
"""As the best recipe, the same for every task, on the scale that the models learn on."""
_SEED = 0

Ask = Callable[[Knowledge, int], Matrix]
"""Predicts (R,) outcomes of the recipes on a task, on any scale; lower is better."""
Fit = Callable[[Knowledge], Ask]
"""Learns from the training part of a fold, none of its regrets missing."""


def nearest_tasks(train: Knowledge) -> Ask:
    """The mean outcome over the tasks with the most similar features, all features alike."""
    standard = Standard.of(train.mean_features)
    tasks, outcomes = standard(train.mean_features), outcome_of(train.learned)

    def ask(known: Knowledge, task: int) -> Matrix:
        distances = ((tasks - standard(profile_of(known, task)[None])) ** 2).mean(1)
        mean: Matrix = outcomes[distances.argsort(kind="stable")[:NEAREST]].mean(0)
        return mean

    return ask


def gaussian(train: Knowledge) -> Ask:
    """The Gaussian of the meta-model alone."""
    fitted = fit_gaussian(train)
    return lambda known, task: fitted.predict(profile_of(known, task), known.recipe_matrix)


def whole_gaussian(train: Knowledge) -> Ask:
    """The Gaussian told also those task features that LightGBM alone is told."""
    names, groups = list(TASK_UNITS), task_groups()
    for group, members in BOOSTED_ONLY.items():
        groups[list(TASK_GROUPS).index(group)] += [names.index(name) for name in members]
    fitted = OutcomeGaussian.fit(
        train.mean_features, train.recipe_matrix, outcome_of(train.learned), groups,
        recipe_groups(), iterations=40, recipe_names=name_columns(),
    )  # fmt: skip
    return lambda known, task: fitted.predict(profile_of(known, task), known.recipe_matrix)


def boosted(train: Knowledge, settings: dict[str, Any], grades: Matrix | None = None) -> Ask:
    """LightGBM, settings changed, on outcomes centred in each task, or (T, R) grades to rank by."""
    # one query for each seed's profile of a task
    pairs = [(i, of[i]) for of in train.features for i in range(len(train.rows))]
    rows = np.concatenate([train.pair_rows(i, features) for i, features in pairs])
    targets = _centred(outcome_of(train.learned)) if grades is None else grades
    group = None if grades is None else [grades.shape[1]] * len(pairs)
    data = lightgbm.Dataset(rows, np.tile(targets.ravel(), len(train.features)), group=group)
    booster = lightgbm.train({**PARAMETERS, "seed": _SEED, **settings}, data, ROUNDS)
    return lambda known, i: predict_booster(booster, known.pair_rows(i, profile_of(known, i)))


def ranker(train: Knowledge) -> Ask:
    """LambdaMART on equal steps of the outcome, each worth as much as it is logarithmic."""
    worst, best = outcome_of(np.asarray([1.0, 0.0]))
    shares = (worst - outcome_of(train.learned)) / (worst - best)
    grades = np.clip(np.floor(GRADES * shares), 0, GRADES - 1)
    ask = boosted(train, {"objective": "lambdarank", "label_gain": list(range(GRADES))}, grades)
    return lambda known, task: -ask(known, task)


def corrected(train: Knowledge) -> Ask:
    """The meta-model with a share of LightGBM's correction; it never abstains here."""
    model = fit(train, _SEED, weights=[weight for weight in WEIGHTS if weight])

    def ask(known: Knowledge, task: int) -> Matrix:
        row, values = known.rows[task], profile_of(known, task).tolist()
        named = dict(zip(TASK_UNITS, values, strict=True))
        return model.scores(named, known.recipes, row.steps, row.batch_size)

    return ask


MODELS: dict[str, Fit] = {
    "Gaussian": gaussian,
    "Gaussian, all features": whole_gaussian,
    "Gaussian on single runs": lambda train: gaussian(replace(train, learned=train.regrets)),
    "best recipe": lambda train: lambda known, task: train.learned.mean(0),
    CONSTANT: lambda train: lambda known, task: outcome_of(train.learned).mean(0),
    "nearest tasks": nearest_tasks,
    "LightGBM regressor": lambda train: boosted(train, {}),
    "LightGBM ranker": ranker,
    "LightGBM quantile": lambda train: boosted(train, {"objective": "quantile", "alpha": QUANTILE}),
}
BLENDED = ("Gaussian", "nearest tasks", "LightGBM regressor")


def main() -> None:
    """Fit, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, default=10, help="parts of the leak groups")
    parser.add_argument("--tier", type=int, default=FACTS_ONLY, choices=(FACTS_ONLY, *TIERS))
    parser.add_argument("--corrected", action="store_true", help="LightGBM's correction too")
    chosen = parser.parse_args()
    known = load_knowledge(chosen.tier)
    groups = [row.group for row in known.rows]
    if not 2 <= chosen.folds <= len(set(groups)):
        parser.error(f"--folds: expected 2 to {len(set(groups))}, got {chosen.folds}")
    models = {**MODELS, "Gaussian and correction": corrected} if chosen.corrected else MODELS
    predicted, seconds = predictions(known, models, folds_of(groups, chosen.folds))
    print(
        f"{len(groups)} tasks of {len(set(groups))} groups of data sets, {len(known.recipes)} "
        f"recipes, {chosen.folds} folds, profiles of tier {chosen.tier}\n"
    )
    tell_models(known, predicted, seconds)
    tell_rates(known, predicted["Gaussian"], predicted[CONSTANT])


def folds_of(groups: Sequence[str], count: int) -> list[list[int]]:
    """Positions of the tasks of each fold; no group is split, the large ones are spread."""
    names = sorted(set(groups), key=lambda name: (-groups.count(name), name))
    fold = {name: place % count for place, name in enumerate(names)}
    return [[i for i, name in enumerate(groups) if fold[name] == number] for number in range(count)]


def predictions(
    known: Knowledge, models: dict[str, Fit], folds: Sequence[Sequence[int]]
) -> tuple[dict[str, Matrix], dict[str, float]]:
    """(T, R) what each model and the blend predict for tasks left out, and seconds a fit takes."""
    predicted: dict[str, Matrix] = {name: np.zeros(known.regrets.shape) for name in models}
    seconds = dict.fromkeys(models, 0.0)
    for i in range(len(known.rows)):
        for features in known.features[:, i]:
            known.pair_rows(i, features)  # kept from here on: no model's time has them
    for test in folds:
        train = known.part([i for i in range(len(known.rows)) if i not in set(test)]).filled()
        for name, learn in models.items():
            began = time.perf_counter()
            ask = learn(train)
            seconds[name] += (time.perf_counter() - began) / len(folds)
            for task in test:
                predicted[name][task] = ask(known, task)
    parts = [_centred(predicted[name]) for name in BLENDED]
    predicted["blend"] = np.mean([part / part.std(1, keepdims=True) for part in parts], axis=0)
    seconds["blend"] = sum(seconds[name] for name in BLENDED)
    return predicted, seconds


def reached(known: Knowledge, predicted: Matrix, k: int) -> Matrix:
    """(T,) test regret of the best on validation of the first k that can serve each task."""
    served = np.isfinite(known.regrets)
    order = np.where(served, predicted, np.inf).argsort(1, kind="stable")[:, :k]
    found = np.take_along_axis(np.where(served, known.regrets, np.inf), order, 1)
    pick = np.take_along_axis(order, found.argmin(1)[:, None], 1)
    values: Matrix = np.take_along_axis(known.test_regrets, pick, 1)[:, 0]
    return values


def tell_models(known: Knowledge, predicted: dict[str, Matrix], seconds: dict[str, float]) -> None:
    """Print one line a model."""
    weights = resampled_weights([row.group for row in known.rows], _SEED)
    heads = "".join(f"{f'k = {k}: regret':<24}{'minus the Gaussian':<27}" for k in KS)
    print(f"{'':<26}{heads}seconds")
    for name, scores in predicted.items():
        cells = ""
        for k in KS:
            values = reached(known, scores, k)
            more = values - reached(known, predicted["Gaussian"], k)
            cells += f"{_told(values, weights):<24}{_told(more, weights, '+'):<27}"
        print(f"{name:<26}{cells}{seconds[name]:7.1f}")


def tell_rates(known: Knowledge, ours: Matrix, constant: Matrix) -> None:
    """Print one line an optimizer and one for all: errors and regrets of the chosen rates."""
    print(
        "\nlearning rates: mean error in powers of ten, and mean test regret, by the Gaussian and\n"
        "by the constant prior; the difference of the two; the regret of the task's best rate\n"
        f"\n{'':<14}tasks  {'error':<16}{'difference':<27}{'regret':<16}{'difference':<27}best"
    )
    everything: list[tuple[list[str], Matrix]] = []
    for name, grid in rate_grids(known.recipes).items():
        regrets, tests = known.regrets[:, grid], known.test_regrets[:, grid]
        # where all rates do alike, none is best
        asked = np.flatnonzero(np.isfinite(regrets).all(1) & (np.ptp(regrets, axis=1) > 0))
        rates = np.log10([known.recipes[i].optimizer.number("lr") for i in grid])
        picks = [scores[asked][:, grid].argmin(1) for scores in (ours, constant, known.regrets)]
        errors = [np.abs(rates[pick] - rates[picks[-1]]) for pick in picks[:-1]]
        found = np.stack([*errors, *(tests[asked, pick] for pick in picks)])
        everything.append(([known.rows[i].group for i in asked], found))
        _tell_rate(name, *everything[-1])
    groups = [group for part, _ in everything for group in part]
    _tell_rate("all", groups, np.concatenate([found for _, found in everything], axis=1))


def rate_grids(recipes: Sequence[Recipe]) -> dict[str, list[int]]:
    """Where the recipes stand that differ in the rate alone, by optimizer."""
    grids: dict[str, list[int]] = {}
    for i, recipe in enumerate(recipes):
        name, rate = recipe.optimizer.name, recipe.optimizer.number("lr")
        plain = {"optimizer": {"name": name, "lr": rate}, "schedule": "cosine"}
        # not every optimizer allows the schedule
        if recipe.schedule.name == "cosine" and recipe.key == Recipe.parse(plain).key:
            grids.setdefault(name, []).append(i)
    return {name: grid for name, grid in grids.items() if len(grid) >= RATES}


def _tell_rate(name: str, groups: Sequence[str], values: Matrix) -> None:
    weights, means = resampled_weights(groups, _SEED), values.mean(1)
    error, regret = (_told(values[i] - values[i + 1], weights, "+") for i in (0, 2))
    print(
        f"{name:<14}{len(groups):5}  {means[0]:.2f}, {means[1]:.2f}      {error:<27}"
        f"{means[2]:.3f}, {means[3]:.3f}    {regret:<27}{means[4]:.3f}"
    )


def _told(values: Matrix, weights: Matrix, sign: str = "") -> str:
    low, high = interval(weights @ values)
    return f"{values.mean():{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def _centred(values: Matrix) -> Matrix:
    centred: Matrix = values - values.mean(1, keepdims=True)
    return centred


if __name__ == "__main__":
    main()
