"""When a trial is given up: what is reported, at which shares, and what is too far behind."""

from __future__ import annotations

import optuna
import pytest

from advisor.curve_pruner import LEAST_FINISHED, CurvePruner
from advisor.curves import SHARES, Allowance
from advisor.pruning import DeadlineWatcher, TrialWatcher, rungs
from advisor.refine_objective import DIVERGED, TimeToTarget
from advisor.refine_study import named, quiet
from probes.recipe.schema import Recipe
from probes.run import Point
from probes.training import evaluation_steps

COSINE = Recipe.parse({"optimizer": {"name": "adamw", "lr": 0.01}, "schedule": "cosine"})
LATE = COSINE.with_(schedule={"name": "warmup_stable_decay", "decay": 0.2})
ALLOWANCE = Allowance(0.1, 0.5, 0.5)


class _Told:
    """A trial that remembers what it was told, and would always be pruned."""

    def __init__(self) -> None:
        self.told: list[tuple[int, float]] = []

    def report(self, value: float, step: int) -> None:
        self.told.append((step, value))

    def should_prune(self) -> bool:
        return True


def point(step: int, loss: float) -> Point:
    return Point(step, 0.0, {"loss": loss})


def study_of(*finals: float) -> optuna.Study:
    """A study with finished trials that fell from 1 by way of 0.5 at 25 % and 0.3 at 63 %."""
    with quiet():
        study = optuna.create_study(pruner=CurvePruner(ALLOWANCE))
    for final in finals:
        trial = study.ask()
        trial.set_user_attr("recipe", named(COSINE))
        for per_cent, loss in ((0, 1.0), (25, 0.5), (40, 0.4), (63, 0.3)):
            trial.report(loss, per_cent)
        study.tell(trial, final)
    return study


def pruned_at(study: optuna.Study, recipe: Recipe, losses: dict[int, float]) -> int | None:
    """The per cent at which a new trial with these losses is pruned, or None."""
    trial = study.ask()
    trial.set_user_attr("recipe", named(recipe))
    for per_cent, loss in losses.items():
        trial.report(loss, per_cent)
        if trial.should_prune():
            return per_cent
    return None


def test_the_best_so_far_is_reported_at_the_rungs_alone() -> None:
    trial = _Told()
    watcher = TrialWatcher(trial, 1000, prunable=False)
    # 200 and 500 are what early stopping adds: runs without it are not evaluated there
    for step, loss in ((1, 3.0), (200, 1.5), (251, 1.0), (398, 2.0), (500, 0.9), (631, 1.2),
                       (1000, 0.5)):  # fmt: skip
        assert not watcher(point(step, loss))
    assert trial.told == [(0, 3.0), (25, 1.0), (40, 1.0), (63, 0.9)]


@pytest.mark.parametrize("total", [1, 2, 7, 24, 100, 1000, 31_250, 1_000_000])
def test_a_rung_is_an_evaluation_and_its_share(total: int) -> None:
    found = rungs(total)
    assert set(found) <= set(evaluation_steps(total))
    assert all(SHARES[0] <= step / total <= SHARES[1] for step in found)
    assert all(abs(share - 100 * step / total) <= 0.5 for step, share in found.items())
    assert len(set(found.values())) == len(found)
    assert found or total < 3


def test_pruning_happens_at_a_rung_alone_and_not_at_the_end() -> None:
    watcher = TrialWatcher(_Told(), 1000, prunable=True)
    assert not watcher(point(1, 1.0))
    assert not watcher(point(200, 1.0))
    assert watcher(point(251, 1.0))
    assert watcher.pruned
    last = TrialWatcher(_Told(), 1000, prunable=True, deadline=0.0)
    assert not last(point(1000, 1.0))
    assert not last.late
    assert TrialWatcher(_Told(), 1000, prunable=True, deadline=0.0)(point(999, 1.0))


def test_a_run_ends_at_the_target_whatever_else_would_end_it() -> None:
    soonest = TimeToTarget(0.5, 1000, 16, lambda recipe: 1.0)
    told = _Told()
    watcher = TrialWatcher(
        told, 1000, prunable=True, deadline=0.0, objective=soonest, hopeless=lambda step: True
    )
    assert watcher(point(251, 0.5))
    assert not watcher.pruned
    assert not watcher.late
    last = DeadlineWatcher(1000, 0.0, soonest)
    assert last(point(251, 0.4))
    assert not last.late


def test_a_run_for_time_is_given_up_for_its_time_alone() -> None:
    """By the curves this trial would be pruned; the steps after which time is up decide."""
    soonest = TimeToTarget(0.5, 1000, 16, lambda recipe: 1.0)
    watcher = TrialWatcher(
        _Told(), 1000, prunable=True, objective=soonest, hopeless=lambda step: step > 400
    )
    assert not watcher(point(251, 9.0))
    assert not watcher(point(398, 9.0))
    assert watcher(point(631, 9.0))
    assert watcher.pruned
    whole = TrialWatcher(_Told(), 1000, prunable=True, objective=soonest, hopeless=lambda _: True)
    assert not whole(point(1000, 9.0)), "a run that is complete is no trial given up"
    assert not whole.pruned


def test_what_lies_too_far_behind_is_pruned_and_the_rest_is_not() -> None:
    study = study_of(0.1, 0.12, 0.11)
    # the allowance is some 0.75 at 25 % and 0.41 at 63 %, in units of log(1 / 0.1)
    assert pruned_at(study, COSINE, {0: 1.0, 25: 0.5, 63: 0.15}) is None
    assert pruned_at(study, COSINE, {0: 1.0, 25: 0.5, 63: 0.9}) == 63
    assert pruned_at(study, COSINE, {0: 1.0, 25: 1.0, 63: 0.1}) == 25


def test_a_schedule_that_falls_late_is_allowed_more() -> None:
    study = study_of(0.1, 0.12, 0.11)
    behind = {0: 1.0, 63: 0.28}
    assert pruned_at(study, COSINE, behind) == 63
    assert pruned_at(study, LATE, behind) is None


def test_a_trial_of_another_length_is_read_in_between() -> None:
    study = study_of(0.1, 0.12, 0.11)
    assert pruned_at(study, COSINE, {0: 1.0, 50: 0.9}) == 50


@pytest.mark.parametrize(
    "finals",
    [(), (0.1,) * (LEAST_FINISHED - 1), (0.1, 0.1, DIVERGED), (2.0, 2.0, 2.0)],
    ids=["none", "few", "diverged", "no better than untrained"],
)
def test_nothing_is_pruned_while_too_little_is_known(finals: tuple[float, ...]) -> None:
    assert pruned_at(study_of(*finals), COSINE, {0: 1.0, 25: 3.0, 63: 3.0}) is None


def test_losses_may_be_negative() -> None:
    study = study_of(-1.0, -0.9, -0.95)
    assert pruned_at(study, COSINE, {0: 1.0, 63: -0.99}) is None
    assert pruned_at(study, COSINE, {0: 1.0, 63: 0.99}) == 63
