"""What an ablation takes away is gone, and nothing else."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from advisor.evaluate.variants import (
    MEASUREMENTS,
    PROBES,
    SHARES,
    cut,
    data_set_order,
    masked,
    raced,
    strangers,
    was_measured,
)
from advisor.feature_table import MEASURED, TASK_UNITS
from advisor.knowledge import Knowledge
from knowledge_base.reference import reference_recipes

NAMES = list(TASK_UNITS)


def test_every_task_feature_comes_from_one_probe() -> None:
    named = [name for features in PROBES.values() for name in features]
    assert sorted(named) == sorted(NAMES), "a new feature belongs to the probe that yields it"
    measured = {name for probe, names in PROBES.items() if probe != "facts" for name in names}
    assert measured == set(MEASURED)


@pytest.mark.parametrize("probe", PROBES)
def test_masks_mask(knowledge: Knowledge, probe: str) -> None:
    before = knowledge.features.copy()
    after = masked(knowledge, PROBES[probe])
    gone = np.isin(NAMES, PROBES[probe])
    assert np.isnan(after.features[:, :, gone]).all()
    np.testing.assert_array_equal(after.features[:, :, ~gone], before[:, :, ~gone])
    np.testing.assert_array_equal(knowledge.features, before)
    np.testing.assert_array_equal(after.regrets, knowledge.regrets)


def test_what_was_measured_is_told() -> None:
    profile = np.full((2, len(NAMES)), np.nan)
    assert not was_measured(profile, PROBES)
    profile[1, NAMES.index("race_muon")] = 0.0
    assert [probe for probe in PROBES if was_measured(profile, (probe,))] == ["races"]
    assert was_measured(profile, MEASUREMENTS)
    assert not was_measured(profile[0], MEASUREMENTS)


def test_strangers_share_no_data(knowledge: Knowledge) -> None:
    rows = (*knowledge.rows, knowledge.rows[0])  # twice the same leak group
    found = strangers(rows, 0, 0)
    assert found == strangers(rows, 0, 0)
    assert found != strangers(rows, 1, 0)
    assert found != strangers(rows, 0, 1)
    assert len(found) == len(rows)
    assert all(rows[other].group != row.group for row, other in zip(rows, found, strict=True))


@given(st.integers(2, 40), st.integers(0, 39))
def test_smaller_cuts_lie_in_larger_ones(count: int, left_out: int) -> None:
    order = [str(i) for i in range(count)]
    without = str(left_out)
    cuts = [set(cut(order, share, without)) for share in SHARES]
    for smaller, larger in itertools.pairwise(cuts):
        assert smaller <= larger
    assert cuts[-1] == set(order) - {without}
    assert all(without not in found for found in cuts)
    for share, found in zip(SHARES, cuts, strict=True):
        assert len(found) == -(-len(cuts[-1]) // share)


def test_data_sets_are_ordered_at_random(knowledge: Knowledge) -> None:
    orders = [data_set_order(knowledge.rows, draw, 0) for draw in range(3)]
    assert all(sorted(order) == sorted({r.group for r in knowledge.rows}) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    assert data_set_order(knowledge.rows[::-1], 0, 0) == orders[0], "whatever order they come in"


def leads(**found: float) -> dict[str, float]:
    task = dict.fromkeys(NAMES, float("nan"))
    return {**task, **{f"race_{name}": lead for name, lead in found.items()}}


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        pytest.param(leads(), [("adamw", 3e-3)], id="no-race"),
        pytest.param(leads(momentum=-0.1, muon=0.2),
                     [("muon", 1e-2), ("adamw", 3e-3), ("momentum", 0.1)], id="three"),
        pytest.param(leads(muon=0.0), [("adamw", 3e-3), ("muon", 1e-2)], id="tie"),
        pytest.param(leads(adamw_high=0.3), [("adamw", 3e-2), ("adamw", 3e-3)], id="nearest-rate"),
        pytest.param(leads(adamw_low=0.3, momentum_low=0.1),
                     [("adamw", 3e-4), ("momentum", 0.01), ("adamw", 3e-3)], id="low-rates"),
    ],
)  # fmt: skip
def test_choice_by_the_races(task: dict[str, float], expected: list[tuple[str, float]]) -> None:
    recipes = reference_recipes()
    found = [recipes[i] for i in raced(task, recipes)]
    assert [(r.optimizer.name, r.optimizer.number("lr")) for r in found] == expected
    assert {r.schedule.name for r in found} == {"cosine"}
    assert all(r.batch_size is None and r.horizon == 1.0 for r in found)


def test_a_recipe_is_named_once() -> None:
    few = synthetic.recipes()
    found = raced(leads(adamw_high=0.3, adamw_low=0.2), few[:1])
    assert found == [0], "all three racers stand for the one AdamW recipe there is"
