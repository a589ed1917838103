"""The rows of claims: every name is known, and every comparison differs in what it says alone."""

from __future__ import annotations

import pytest

from knowledge_base.findings.claims import CLAIMS, Comparison, Cost
from knowledge_base.findings.side import Side, stratum
from knowledge_base.reference import COPIED, reference_recipes
from knowledge_base.tasks import task_rows
from probes.recipe.catalogue import table
from probes.recipe.schema import Recipe

COMPARISONS = {
    f"{claim.number}-{place}": part
    for claim in CLAIMS
    for place, part in enumerate(claim.parts)
    if isinstance(part, Comparison)
}
COSTS = [part for claim in CLAIMS for part in claim.parts if isinstance(part, Cost)]


def test_nine_claims() -> None:
    assert [claim.number for claim in CLAIMS] == list(range(1, 10))
    assert all(any(part.claimed is not None for part in claim.parts) for claim in CLAIMS)


SPEEDS = {name: part for name, part in COMPARISONS.items() if part.measure == "speed"}


@pytest.mark.parametrize(("name", "part"), SPEEDS.items(), ids=SPEEDS.keys())
def test_speed_has_test_data_beside_it(name: str, part: Comparison) -> None:
    number = name.split("-")[0]
    beside = [
        other for name, other in COMPARISONS.items()
        if name.split("-")[0] == number and other.measure == "regret"
        and (other.first, other.other, other.aside) == (part.first, part.other, part.aside)
    ]  # fmt: skip
    assert len(beside) == 1
    assert beside[0].threshold is None


def test_only_test_regret_may_claim_nothing() -> None:
    informing = {name: part for name, part in COMPARISONS.items() if part.claimed is None}
    assert {name.split("-")[0] for name in informing} == {"1", "3", "6", "8", "9"}
    assert {part.measure for part in informing.values()} == {"regret"}


def test_a_side_is_named_by_all_its_optimizers() -> None:
    for part in COMPARISONS.values():
        for side in (part.first, part.other):
            assert all(name in side.name.lower() for name in side.optimizers)


@pytest.mark.parametrize("part", COMPARISONS.values(), ids=COMPARISONS.keys())
def test_the_reference_set_has_both_sides(part: Comparison) -> None:
    everyone = reference_recipes()
    sides = [
        {one.key: stratum(one, part.aside) for one in everyone if side.has(one)}
        for side in (part.first, part.other)
    ]
    assert not sides[0].keys() & sides[1].keys()
    assert set(sides[0].values()) & set(sides[1].values())


@pytest.mark.parametrize("part", COMPARISONS.values(), ids=COMPARISONS.keys())
def test_every_name_is_known(part: Comparison) -> None:
    for side in (part.first, part.other):
        assert set(side.optimizers) <= table("optimizer").keys()
        assert set(side.schedules) <= table("schedule").keys()
        assert side.normalization in table("normalization")
        assert not side.averaging or side.averaging in table("extra")
    assert not part.dataset or part.dataset in {row.group for row in task_rows().values()}


@pytest.mark.parametrize("cost", COSTS, ids=lambda cost: f"{cost.first[0]}-{cost.price}")
def test_every_optimizer_of_a_cost_is_known(cost: Cost) -> None:
    assert {*cost.first, *cost.other} <= table("optimizer").keys()


PLAIN = {"optimizer": {"name": "adamw", "lr": 1e-3}, "schedule": "cosine"}
OTHERS = {
    "weight decay": {"optimizer": {"name": "adamw", "lr": 1e-3, "weight_decay": 0.3}},
    "batch size": {"batch_size": 16},
    "horizon": {"horizon": 0.3},
    "early stopping": {"regularization": {"early_stopping": {"patience": 4, "every": 0.05}}},
    "label smoothing": {"regularization": {"label_smoothing": 0.1}},
    "dropout": {"regularization": {"dropout": 0.1}},
    "inserted dropout": {"regularization": {"insert_dropout": 0.1}},
    "normalization": {"normalization": "layer"},
    "clipping": {"clip": {"name": "norm", "max": 1.0}},
    "averaging": {"averaging": "ema"},
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS.keys())
def test_a_side_has_plain_recipes_alone(change: dict[str, object]) -> None:
    side = Side("adamw", ("adamw",))
    assert side.has(COPIED)
    assert not side.has(Recipe.parse({**PLAIN, **change}))


def test_a_stratum_is_what_is_not_set_aside() -> None:
    one = Recipe.parse(PLAIN)
    other = Recipe.parse({**PLAIN, "optimizer": {"name": "adamw", "lr": 1e-2}, "clip": "norm"})
    assert stratum(one, ("rate", "clip")) == stratum(other, ("rate", "clip"))
    assert stratum(one, ("rate",)) != stratum(other, ("rate",))
    assert stratum(one, ("clip",)) != stratum(other, ("clip",))
