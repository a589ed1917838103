"""The contest: who asks for what is trained once, and every play goes on with what came of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from advisor.evaluate.contenders import in_order
from advisor.evaluate.contest import Ask, Contest, Entry, Play, Standing, Tracker, Trained
from advisor.evaluate.results import FRESH_SEEDS, SEARCH_SEED
from knowledge_base.state import State
from knowledge_base.work import Item
from probes.recipe.schema import Recipe

STEPS = 100
RATES = (1e-3, 1e-2, 1e-1)
RECIPES = tuple(Recipe.parse({"optimizer": {"name": "adamw", "lr": rate}}) for rate in RATES)
Place = tuple[str, float, int]


def entry(recipes: Sequence[Recipe], task: str = "a", name: str = "list", **more: Any) -> Entry:
    return Entry(task, name, 0, STEPS, partial(in_order, recipes, STEPS, 10.0, 0.25), **more)


def loss_of(rate: float) -> float:
    """Best at 1e-2."""
    return abs(math.log10(rate) + 2.0) + 0.5


def rate_of(item: Item) -> float:
    return Recipe.model_validate_json(item.recipe).optimizer.number("lr")


def answer(contest: Contest, state: State, item: Item, kind: str = "run", **more: Any) -> None:
    """What the builder does when an item comes back."""
    key = Recipe.model_validate_json(item.recipe).key
    record: dict[str, Any] = {"task": item.task, "recipe": key, "seed": item.seed, "tier": 0}
    if kind == "run":
        loss = loss_of(rate_of(item))
        record |= {
            "final": loss, "passes": 50.0, "steps": 25, "seconds_per_step": 0.02, "diverged": False,
            **more,
        }  # fmt: skip
    else:
        record["reason"] = "a test"
    state.add(kind, record)
    contest.told(item, kind, record)


def key_of(recipe: Recipe) -> str:
    """How an item writes it."""
    return recipe.model_dump_json(by_alias=True)


def played(entries: Sequence[Entry], state: State) -> list[Place]:
    """All trainings of a contest, in the order in which they were handed out."""
    contest = Contest(entries, state)
    order = []
    while (item := contest.take()) is not None:
        order.append((item.task, rate_of(item), item.seed))
        answer(contest, state, item)
    assert len(contest) == 0
    return order


def test_a_list_is_tried_in_order_and_every_incumbent_is_trained_anew() -> None:
    one = entry(RECIPES)
    order = played([one], State())
    assert order == [
        *(("a", rate, SEARCH_SEED) for rate in RATES),
        *(("a", rate, seed) for rate in RATES[:2] for seed in FRESH_SEEDS),
    ]
    best = [RECIPES[0], RECIPES[1], RECIPES[1]]
    # ten passes in a quarter of a second were charged before; a training has 50 in half a second
    assert one.standings == [
        Standing(runs, 0.1 + 0.5 * runs, recipe, 0.25 + 0.5 * runs)
        for runs, recipe in enumerate(best, start=1)
    ]


def test_what_several_ask_for_is_trained_once() -> None:
    entries = [entry(RECIPES[:2], name="one"), entry(RECIPES, name="two"), entry(RECIPES, task="b")]
    order = played(entries, State())
    assert len(order) == len(set(order)) == 2 * (3 + 2 * 3)
    assert all(one.standings for one in entries)


def test_asks_that_are_under_way_are_not_handed_out_again() -> None:
    state = State()
    entries = [entry(RECIPES[:1], name="one"), entry(RECIPES[:1], name="two")]
    contest = Contest(entries, state)
    item = contest.take()
    assert item is not None
    assert contest.take() is None
    assert item.role == "searched"
    answer(contest, state, item)
    fresh = contest.take()
    assert fresh is not None
    assert (fresh.role, fresh.seed) == ("repeat", FRESH_SEEDS[0])


def test_a_contest_that_is_begun_again_asks_for_what_is_missing_alone() -> None:
    state, first, again = State(), entry(RECIPES), entry(RECIPES)
    order = played([first], state)
    lost = ("a", RECIPES[1].key, FRESH_SEEDS[2])
    del state.runs[lost]
    assert played([again], state) == [("a", RATES[1], FRESH_SEEDS[2])]
    assert again.standings == first.standings
    assert order.count(("a", RATES[1], FRESH_SEEDS[2])) == 1


def test_who_is_done_takes_no_part() -> None:
    done = entry(RECIPES, standings=[Standing(1, 1.0, RECIPES[0])])
    assert played([done], State()) == []


def test_earlier_entries_come_first() -> None:
    order = played([entry(RECIPES, task=task) for task in "abc"], State())
    assert [task for task, _, _ in order] == sorted(task for task, _, _ in order)


def test_single_draws_are_not_trained_on_fresh_seeds() -> None:
    order = played([entry(RECIPES, resampled=True)], State())
    assert order == [("a", rate, SEARCH_SEED) for rate in RATES]


def test_what_cannot_be_trained_is_worst_and_costs_nothing() -> None:
    state, one = State(), entry(RECIPES[:2])
    contest = Contest([one], state)
    for kind in ("refused", "run"):
        item = contest.take()
        assert item is not None
        answer(contest, state, item, kind)
    while (item := contest.take()) is not None:
        answer(contest, state, item)
    assert one.standings == [
        Standing(1, 0.1, RECIPES[0], 0.25), Standing(2, 0.6, RECIPES[1], 0.75)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "more"), [("failed", {}), ("run", {"seconds_per_step": math.nan})]
)
def test_what_was_not_timed_makes_all_that_follows_unknown(kind: str, more: Any) -> None:
    state, one = State(), entry(RECIPES)
    contest = Contest([one], state)
    kinds = iter(["run", kind])
    while (item := contest.take()) is not None:
        of = next(kinds, "run")
        answer(contest, state, item, of, **(more if item.recipe == key_of(RECIPES[1]) else {}))
    assert one.standings is not None
    first, *later = (at.seconds for at in one.standings)
    assert first == 0.75
    assert all(map(math.isnan, later))


def test_plays_are_told_of_divergence() -> None:
    told: list[Trained] = []

    def play() -> Play:
        told.append((yield Ask(RECIPES[0])))
        return []

    state = State()
    contest = Contest([Entry("a", "one", 0, STEPS, play)], state)
    item = contest.take()
    assert item is not None
    answer(contest, state, item, diverged=True)
    assert (told[0].loss, told[0].passes) == (math.inf, 50.0)


def test_the_first_of_equals_stays_the_best() -> None:
    tracker = Tracker(STEPS)
    for recipe in RECIPES:
        tracker.add(Trained(recipe, 1.0, 100.0, None, 3.0))
    assert [at.seconds for at in tracker.standings] == [3.0, 6.0, 9.0]
    assert [at.recipe for at in tracker.standings] == [RECIPES[0]] * 3
    assert [at.passes for at in tracker.standings] == [1.0, 2.0, 3.0]
