"""Cold searches as plays: an Optuna study that is asked for a recipe and told how it ended."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.evaluate.contest import Ask, Play, Standing, Tracker, Trained
from probes.recipe.schema import Recipe
from probes.recipe.space import Space, suggest

if TYPE_CHECKING:
    import optuna

WORST = 1e6
"""What a search is told of a training that diverged or could not be done."""
_STARTUP = 8
"""TPE's random trials, as in the knowledge base's own searches."""
_LEAST, _WHOLE, _REDUCTION = 10, 100, 3
"""Hyperband's resources in percent of a full training, and its reduction factor."""


def tpe(seed: int) -> optuna.samplers.BaseSampler:
    """Multivariate, grouped TPE (Bergstra et al. 2011; Falkner et al. 2018)."""
    import optuna

    return optuna.samplers.TPESampler(
        seed=seed, multivariate=True, group=True, n_startup_trials=_STARTUP
    )


def uniform(seed: int) -> optuna.samplers.BaseSampler:
    """Random search (Bergstra & Bengio 2012)."""
    import optuna

    return optuna.samplers.RandomSampler(seed=seed)


def quasi_random(seed: int) -> optuna.samplers.BaseSampler:
    """A scrambled Sobol sequence; parameters that only some recipes have are drawn at random."""
    import optuna

    return optuna.samplers.QMCSampler(
        seed=seed, scramble=True, warn_independent_sampling=False, warn_asynchronous_seeding=False
    )


def gaussian_process(seed: int) -> optuna.samplers.BaseSampler:
    """Optuna's Gaussian process; parameters that only some recipes have are drawn at random."""
    import optuna

    return optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False)


@dataclass(frozen=True)
class Search:
    """A cold search.

    Attributes:
        space: Which recipes it searches.
        sampler: Makes Optuna's sampler from a seed.
    """

    space: Space
    sampler: Callable[[int], optuna.samplers.BaseSampler]

    def play(self, steps: int, trials: int, seed: int) -> Play:
        """Ask for one recipe after the other, each chosen on what became of those before.

        Args:
            steps: The task's budget.
            trials: How many.
            seed: Of the sampler.
        """
        study = self._study(seed)
        tracker = Tracker(steps)
        for _ in range(trials):
            trial, recipe = self._ask(study)
            trained = yield Ask(recipe)
            tracker.add(trained)
            study.tell(trial, objective(trained))
        return tracker.standings

    def draws(self, steps: int, trials: int, seed: int) -> Play:
        """Recipes drawn without looking back; a standing is one draw and what it alone cost."""
        study = self._study(seed)
        standings = []
        for number in range(1, trials + 1):
            _, recipe = self._ask(study)
            trained = yield Ask(recipe)
            cost = trained.passes / steps
            standings.append(Standing(number, cost, recipe, trained.seconds))
        return standings

    def hyperband(self, steps: int, trials: int, seed: int) -> Play:
        """Trials that are ended early where Hyperband says so (Li et al. 2018).

        A pruned trial is trained to its end, as others may want it, but counts and costs only up
        to where it was pruned. The search goes on until it has cost as much as so many full
        trainings, and its standings count those.
        """
        import optuna

        pruner = optuna.pruners.HyperbandPruner(_LEAST, _WHOLE, _REDUCTION)
        study = self._study(seed, pruner)
        standings: list[Standing] = []
        best: Trained | None = None
        spent, seconds, asked = 0.0, 0.0, 0
        while len(standings) < trials and asked < 10 * trials:
            trial, recipe = self._ask(study)
            trained = yield Ask(recipe)
            asked += 1
            share = _pruned_at(trial, trained)
            spent += (trained.passes / steps if trained.record else 1.0) * (share or 1.0)
            seconds += trained.seconds * (share or 1.0)
            if share is None:
                study.tell(trial, objective(trained))
                if best is None or trained.loss < best.loss:
                    best = trained
            else:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            while best is not None and len(standings) < min(int(spent), trials):
                runs = len(standings) + 1
                standings.append(Standing(runs, float(runs), best.recipe, seconds * runs / spent))
        return standings

    def _study(self, seed: int, pruner: optuna.pruners.BasePruner | None = None) -> optuna.Study:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            # groups and some samplers are called experimental, and serve
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # a study's name decides Hyperband's brackets
            return optuna.create_study(
                sampler=self.sampler(seed), pruner=pruner, study_name=f"study {seed}"
            )

    def _ask(self, study: optuna.Study) -> tuple[optuna.Trial, Recipe]:
        trial = study.ask()
        return trial, suggest(trial, self.space)


def objective(trained: Trained) -> float:
    """What a study is told of a training."""
    return min(trained.loss, WORST)


def search_seed(*parts: object) -> int:
    """A sampler's seed from what names a study; different wherever a part is."""
    text = "\n".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _pruned_at(trial: optuna.Trial, trained: Trained) -> float | None:
    """The share of its training at which a trial is pruned, or None."""
    if trained.record is None:
        return None
    total = max(trained.record["steps"], 1)
    points = zip(trained.record["curve_steps"], trained.record["curve_validation"], strict=True)
    for step, loss in points:
        percent = int(_WHOLE * step / total)
        if not 0 < percent < _WHOLE:
            continue
        trial.report(min(loss, WORST) if loss == loss else WORST, percent)
        if trial.should_prune():
            return percent / _WHOLE
    return None
