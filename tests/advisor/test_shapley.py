"""Shapley values beside an independent reference, and what they say of the meta-model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import synthetic

from advisor.feature_table import RECIPE_GROUPS, TASK_GROUPS, TASK_UNITS
from advisor.features import Matrix, recipe_features
from advisor.meta_model import MetaModel, outcome_of, regret_of
from advisor.shapley import (
    GROUPS,
    Coalitions,
    coalitions,
    mixed_recipe,
    score_contributions,
    shapley_values,
)
from knowledge_base.reference import COPIED, reference_recipes
from knowledge_base.tasks import task_rows
from probes.recipe.schema import Recipe

FLAT, SHARP = synthetic.TASKS[0], synthetic.TASKS[2]
Game = dict[frozenset[int], float]


def game(players: int, seed: int) -> Game:
    """A worth of every coalition, drawn at random."""
    random = np.random.default_rng(seed)
    members = [frozenset(np.flatnonzero(row).tolist()) for row in coalitions(players)]
    return {coalition: float(random.normal()) for coalition in members}


def worth_of(worths: Game) -> Any:
    def worth(members: Coalitions) -> Matrix:
        return np.asarray([worths[frozenset(np.flatnonzero(row).tolist())] for row in members])

    return worth


def by_permutations(worths: Game, players: int) -> Matrix:
    """The mean gain of each player over all orders of arrival: Shapley's other definition."""
    gains = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        present: frozenset[int] = frozenset()
        for player in order:
            gains[player] += worths[present | {player}] - worths[present]
            present |= {player}
    return gains / len(orders)


def test_every_coalition_once() -> None:
    found = {tuple(row) for row in coalitions(5).tolist()}
    assert len(found) == len(coalitions(5)) == 32


@pytest.mark.parametrize("players", [1, 2, 3, 5])
def test_the_values_are_those_of_all_orders_of_arrival(players: int) -> None:
    worths = game(players, seed=players)
    found = shapley_values(worth_of(worths), players)
    assert found == pytest.approx(by_permutations(worths, players))
    whole, nobody = frozenset(range(players)), frozenset[int]()
    assert found.sum() == pytest.approx(worths[whole] - worths[nobody])


def test_a_dummy_gets_nothing_and_equals_get_the_same() -> None:
    first = game(2, seed=3)

    def worth(members: Coalitions) -> Matrix:
        # player 0 changes nothing; players 1 and 2 can take each other's place
        either, both = members[:, 1] | members[:, 2], members[:, 1] & members[:, 2]
        base = worth_of(first)(np.stack([either, members[:, 3]], axis=1))
        return np.asarray(base + 0.7 * both)

    found = shapley_values(worth, 4)
    assert found[0] == pytest.approx(0.0, abs=1e-12)
    assert found[1] == pytest.approx(found[2])
    assert abs(found[1]) > 1e-3


def features_of(task: str) -> dict[str, float]:
    return synthetic.features(task_rows()[task], synthetic.cluster(task))


def fast_recipe() -> Recipe:
    """A high rate, which flat tasks want and sharp ones do not."""
    return max(
        (one for one in synthetic.recipes() if one.optimizer.name == "adamw"),
        key=lambda one: one.optimizer.number("lr"),
    )


@pytest.mark.parametrize("task", [FLAT, SHARP])
def test_contributions_lead_from_what_is_copied_to_the_score(model: MetaModel, task: str) -> None:
    features, recipe = features_of(task), fast_recipe()
    groups, base, score = score_contributions(model, features, recipe)
    row = task_rows()[task]
    assert tuple(groups) == GROUPS
    predicted = model.scores(features, [recipe], row.steps, row.batch_size)
    assert score == pytest.approx(outcome_of(predicted)[0])
    assert base + sum(groups.values()) == pytest.approx(score)
    assert groups["rate"] != 0.0


def test_sharpness_speaks_for_a_high_rate_where_it_is_low(model: MetaModel) -> None:
    recipe = fast_recipe()
    flat, _, _ = score_contributions(model, features_of(FLAT), recipe)
    sharp, _, _ = score_contributions(model, features_of(SHARP), recipe)
    assert flat["start"] < 0.0 < sharp["start"]
    assert min(flat, key=lambda name: flat[name]) in {"start", "rate"}


def test_groups_at_the_background_get_nothing(model: MetaModel) -> None:
    groups, _, _ = score_contributions(model, features_of(FLAT), COPIED)
    assert [groups[name] for name in RECIPE_GROUPS] == pytest.approx([0.0] * 4, abs=1e-12)
    assert any(groups[name] != 0.0 for name in TASK_GROUPS)
    mean = dict(zip(TASK_UNITS, model.gaussian.task_standard.mean.tolist(), strict=True))
    groups, _, _ = score_contributions(model, mean, fast_recipe())
    assert [groups[name] for name in TASK_GROUPS] == pytest.approx([0.0] * 5, abs=1e-12)


class Additive:
    """A model whose outcome is a sum of one task and one recipe feature of each group."""

    gaussian = SimpleNamespace(task_standard=SimpleNamespace(mean=np.zeros(len(TASK_UNITS))))
    weight = 0.1

    def scores(
        self, task: Mapping[str, float], recipes: Sequence[Recipe], steps: int, batch_size: int
    ) -> Matrix:
        there = sum(task[members[0]] for members in TASK_GROUPS.values())
        own = np.asarray([recipe_features(recipe)["horizon"] for recipe in recipes])
        return regret_of(self.weight * (there + own))


def test_a_sum_gives_every_group_its_own_term() -> None:
    task = {name: 1.0 + index for index, name in enumerate(TASK_UNITS)}
    recipe = COPIED.with_(horizon=0.3)
    groups, base, _ = score_contributions(Additive(), task, recipe)  # type: ignore[arg-type]
    wanted = {name: 0.1 * task[members[0]] for name, members in TASK_GROUPS.items()}
    wanted |= dict.fromkeys(RECIPE_GROUPS, 0.0) | {"schedule": 0.1 * (0.3 - 1.0)}
    assert groups == pytest.approx(wanted)
    assert base == pytest.approx(0.1)


SHARED = {"averaged", "log_rate", "effective_rate", "members"}
"""Features that two groups decide together."""


@pytest.mark.parametrize("group", RECIPE_GROUPS)
def test_a_mixed_recipe_has_the_features_of_its_groups(group: str) -> None:
    background = recipe_features(COPIED)
    for recipe in reference_recipes():
        own = recipe_features(recipe)
        alone = {name: name == group for name in RECIPE_GROUPS}
        found = recipe_features(mixed_recipe(recipe, COPIED, alone))
        for name, members in RECIPE_GROUPS.items():
            source = own if name == group else background
            for feature in set(members) - SHARED:
                assert found[feature] == pytest.approx(source[feature]), (recipe, feature)


def test_a_mixture_of_all_or_nothing_is_the_recipe_or_the_background() -> None:
    for recipe in reference_recipes():
        whole = mixed_recipe(recipe, COPIED, dict.fromkeys(RECIPE_GROUPS, True))
        assert whole == recipe
        nothing = mixed_recipe(recipe, COPIED, dict.fromkeys(RECIPE_GROUPS, False))
        assert recipe_features(nothing) == recipe_features(COPIED)
