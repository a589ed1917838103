"""The contenders: seeds of their own, spaces that hold only recipes, costs that are counted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest

from advisor.evaluate.contenders import CONTENDERS, Need, Prepared, Setting, chosen_before
from advisor.evaluate.contest import Entry, Play, Standing, Trained
from advisor.evaluate.lr_finder import suggestion
from advisor.evaluate.results import LiveTask
from advisor.evaluate.searches import Search, search_seed, tpe, uniform
from advisor.evaluate.spaces import EXPERT
from knowledge_base.reference import COPIED, NADAM_DEFAULTS, reference_recipes
from probes.recipe.schema import Recipe
from probes.recipe.space import FULL, Space, parameters_of

STEPS = 100
TASK = LiveTask(
    name="a", group="a", family="mlp", steps=STEPS, seconds=1.0, target=0.5, noise=0.0
)  # fmt: skip
SEARCHES = [
    name for name, row in CONTENDERS.items() if name.endswith(" space") and not row.packages
]
LISTED = reference_recipes()[:12]


def setting(name: str = "a", seed: int = 0, trials: int = 12) -> Setting:
    needs: tuple[Need, ...] = ("advice", "fastest", "refine", "rate", "portfolio", "opt_list")
    prepared = {need: Prepared(LISTED, passes=7.0, runs=10, seconds=0.5) for need in needs}
    return Setting(TASK.model_copy(update={"name": name}), True, trials, seed, prepared)


def trained(recipe: Recipe) -> Trained:
    """A loss that falls towards a learning rate of 1e-2, along a curve."""
    loss = 0.5 + abs(math.log10(recipe.optimizer.number("lr")) + 2.0)
    record: dict[str, Any] = {
        "steps": STEPS, "curve_steps": (0, 10, 30, 60, STEPS),
        "curve_validation": (3.0, 2.0 * loss, 1.5 * loss, 1.2 * loss, loss),
    }  # fmt: skip
    return Trained(recipe, loss, float(STEPS), record, 2.0)


def finished(play: Play) -> tuple[list[Recipe], list[Standing]]:
    """What a play asked for, and where it stood."""
    asked: list[Recipe] = []
    ask = next(play)
    while True:
        asked.append(ask.recipe)
        try:
            ask = play.send(trained(ask.recipe))
        except StopIteration as end:
            return asked, end.value


def test_names_are_those_of_the_results() -> None:
    assert list(CONTENDERS)[:14] == [
        "advice", "advice, fastest", "AdamW 1e-3 cosine", "AdamW 1e-2 cosine", "NAdam defaults",
        "learning-rate finder + one-cycle", "Schedule-Free defaults", "Prodigy defaults",
        "opt_list", "portfolio", "random, full space", "TPE, full space", "TPE, expert space",
        "refine",
    ]  # fmt: skip
    assert {name for name, row in CONTENDERS.items() if row.long} == {
        "GP, expert space", "QMC, expert space", "Hyperband, expert space",
        "CQR, expert space", "BlendSearch, expert space", "zero-shot transfer",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "recipe"), [("AdamW 1e-3 cosine", COPIED), ("NAdam defaults", NADAM_DEFAULTS)]
)
def test_a_fixed_guess_costs_one_training(name: str, recipe: Recipe) -> None:
    asked, standings = finished(CONTENDERS[name].entry(setting(), 0).start())
    assert asked == [recipe]
    assert standings == [Standing(1, 1.0, recipe, 2.0)]


@pytest.mark.parametrize(
    ("name", "count"),
    [("advice", 10), ("advice, fastest", 1), ("portfolio", 10), ("opt_list", 10),
     ("learning-rate finder + one-cycle", 1)],
)  # fmt: skip
def test_a_list_is_tried_in_its_order_and_pays_for_its_probes(name: str, count: int) -> None:
    entry = CONTENDERS[name].entry(setting(), 0)
    asked, standings = finished(entry.start())
    assert asked == list(LISTED[:count])
    assert [at.runs for at in standings] == list(range(1, count + 1))
    assert standings[0] == Standing(1, 1.07, LISTED[0], 2.5)
    assert (entry.probed, entry.probed_seconds, entry.kept) == (0.07, 0.5, False)


def test_what_was_refined_stands_for_the_trials_it_took() -> None:
    play = chosen_before(Prepared(LISTED[:1], passes=250.0, runs=10, seconds=60.0), STEPS)
    with pytest.raises(StopIteration) as end:
        next(play)
    assert end.value.value == [Standing(10, 2.5, LISTED[0], 60.0)]


def test_every_study_of_every_task_has_a_seed_of_its_own() -> None:
    seeds = [
        search_seed(*place)
        for place in itertools.product(("TPE, full space", "b"), ("a", "b"), (0, 1), (0, 1))
    ]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("name", ["TPE, full space", "TPE, expert space"])
def test_studies_differ_by_task_study_and_seed_and_repeat_themselves(name: str) -> None:
    def keys(task: str = "a", study: int = 0, seed: int = 0) -> tuple[str, ...]:
        entry = CONTENDERS[name].entry(setting(task, seed), study)
        return tuple(recipe.key for recipe in finished(entry.start())[0])

    different = {keys(), keys("b"), keys(study=1), keys(seed=1)}
    assert len(different) == 4
    assert keys() in different


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_has_a_standing_for_each_training(name: str) -> None:
    entry = CONTENDERS[name].entry(setting(), 0)
    asked, standings = finished(entry.start())
    hyperband = name.startswith("Hyperband")
    counts = [at.runs for at in standings]
    assert counts == list(range(1 + 12 - len(counts), 13)) if hyperband else list(range(1, 13))
    assert len(asked) > 12 if hyperband else len(asked) == 12
    best = min(asked, key=lambda recipe: trained(recipe).loss)
    assert entry.resampled or hyperband or standings[-1].recipe == best
    assert entry.resampled == (name == "random, full space")
    assert entry.kept != entry.resampled
    assert all(0.0 < at.seconds < math.inf for at in standings)
    whole = [at.seconds / at.runs for at in standings if not entry.resampled]
    # a pruned trial costs only up to where it was pruned, so a full training's worth costs as much
    assert whole == pytest.approx([2.0] * len(whole))


def test_tpe_learns() -> None:
    asked, _ = finished(Search(EXPERT, tpe).play(STEPS, 60, 0))
    losses = [trained(recipe).loss for recipe in asked]
    assert sum(losses[40:]) < 0.8 * sum(losses[:20])


@pytest.mark.parametrize("space", [FULL, EXPERT], ids=["full", "expert"])
def test_spaces_give_only_recipes_that_they_hold(space: Space) -> None:
    asked, _ = finished(Search(space, uniform).draws(STEPS, 150, 0))
    names = {recipe.optimizer.name for recipe in asked}
    assert len(names) > 4
    assert names <= set(space.optimizers)
    assert all(Recipe.parse(recipe.plain()) == recipe for recipe in asked)
    if space is EXPERT:
        assert all(parameters_of(recipe, space) is not None for recipe in asked)


def test_the_basis_of_a_play_names_what_decides_it() -> None:
    def basis(name: str, given: Setting) -> str:
        found: Entry = CONTENDERS[name].entry(given, 0)
        return found.basis

    for name in ("TPE, full space", "random, full space"):
        variants = {basis(name, setting(trials=12)), basis(name, setting(trials=13)),
                    basis(name, setting(seed=1))}  # fmt: skip
        assert len(variants) == 3
    other = setting()
    other.prepared["advice"] = Prepared(LISTED[1:], passes=7.0)
    assert basis("advice", other) != basis("advice", setting())


def _valley(rate: float) -> float:
    """Flat, then falling from 1e-4, lowest at 1e-2, then blowing up."""
    place = math.log10(rate)
    return 2.0 - 0.5 * min(max(place + 4.0, 0.0), 2.0) + max(place + 1.5, 0.0) * 50.0


@pytest.mark.parametrize(
    ("curve", "low", "high"),
    [(_valley, 1e-4, 1e-1), (lambda rate: 1.0, 1e-7, 10.0), (lambda rate: math.nan, 1e-7, 10.0),
     (lambda rate: -math.log10(rate) + 8.0, 1e-5, 1.0)],
    ids=["valley", "flat", "not a number", "falling"],
)  # fmt: skip
def test_the_suggested_rate_lies_in_the_valley(
    curve: Callable[[float], float], low: float, high: float
) -> None:
    rates = [1e-7 * 10 ** (8 * step / 99) for step in range(100)]
    found = suggestion(rates, [curve(rate) for rate in rates])
    assert low <= found <= high
