"""Peers: absence is told, searches keep to their space and repeat themselves."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import synthetic

from advisor.evaluate import peers
from advisor.evaluate.contenders import CONTENDERS
from advisor.evaluate.contest import Play, Standing, Trained
from advisor.evaluate.live import chosen_contenders
from advisor.evaluate.peers import PeerSearch, blend_search, conformal, transfer_order, transferred
from advisor.evaluate.results import LiveTask
from advisor.evaluate.spaces import EXPERT
from advisor.features import Matrix
from advisor.knowledge import Knowledge, load_knowledge
from knowledge_base.tasks import task_rows
from probes.errors import UserError
from probes.recipe.schema import Recipe
from probes.recipe.space import Space, distributions_of, parameters_of

STEPS = 100
PEERS = ("CQR, expert space", "BlendSearch, expert space", "zero-shot transfer")
FEW = Space(
    ("adamw",), ("constant", "cosine"), warmup=False, clip=False, early_stopping=False, settings=()
)
"""Two recipes."""
# CQR draws its first five at random and fits five models for each after that
SEARCHES = pytest.mark.parametrize(
    ("search", "package", "trials"),
    [(conformal, "syne_tune", 8), (blend_search, "flaml", 30)],
    ids=["CQR", "BlendSearch"],
)


def loss(recipe: Recipe) -> float:
    """Falls towards a learning rate of 1e-2."""
    return 0.5 + abs(math.log10(recipe.optimizer.number("lr")) + 2.0)


def finished(
    play: Play, loss: Callable[[Recipe], float] = loss
) -> tuple[list[Recipe], list[Standing]]:
    """What a play asked for, and where it stood; others use NumPy's generator meanwhile."""
    asked: list[Recipe] = []
    ask = next(play)
    while True:
        asked.append(ask.recipe)
        np.random.random()
        try:
            ask = play.send(Trained(ask.recipe, loss(ask.recipe), float(STEPS), {}))
        except StopIteration as end:
            return asked, end.value


def need(package: str) -> None:
    for name in peers.SYNE_TUNE if package == "syne_tune" else (package,):
        pytest.importorskip(name)


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)


def test_absent_packages_are_found() -> None:
    assert peers.absent(("json", "no_such_package", "math")) == ("no_such_package",)


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize("name", PEERS)
def test_a_peer_that_is_named_and_absent_is_an_error(name: str) -> None:
    with pytest.raises(UserError, match=r"pip install 'optimizer-advisor\[peers\]'") as error:
        chosen_contenders(["AdamW 1e-3 cosine", name], None)
    assert name in str(error.value)
    assert CONTENDERS[name].packages[0] in error.value.got


@pytest.mark.usefixtures("nothing_installed")
def test_a_peer_that_is_not_named_and_absent_is_left_out_with_a_word() -> None:
    told: list[str] = []
    chosen = {row.name for row in chosen_contenders(None, None, True, told.append)}
    assert not chosen & set(PEERS)
    assert "Hyperband, expert space" in chosen
    assert [message.split(" is left out")[0] for message in told] == list(PEERS)
    assert all("optimizer-advisor[peers]" in message for message in told)
    told.clear()
    assert chosen_contenders(None, None, False, told.append)
    assert told == []


def test_peers_that_are_installed_take_part_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: object())
    assert set(PEERS) <= {row.name for row in chosen_contenders(None, None, True)}
    assert not set(PEERS) & {row.name for row in chosen_contenders(None, None)}
    assert [row.name for row in chosen_contenders(PEERS, None)] == list(PEERS)


DOMAINS = SimpleNamespace(
    choice=lambda choices: ("choice", choices),
    uniform=lambda low, high: ("uniform", low, high),
    loguniform=lambda low, high: ("loguniform", low, high),
)
"""What both libraries call their domains."""


def test_the_tree_has_each_parameter_where_it_applies() -> None:
    tree, fixed = peers._tree(EXPERT, DOMAINS)
    assert fixed == {"normalization": "keep", "horizon": 1.0, "early_stopping": False}
    branches = {branch["optimizer"]: branch for branch in tree.pop("optimizer")[1]}
    assert set(branches) == set(EXPERT.optimizers)
    assert branches["muon"] == {
        "optimizer": "muon",
        "muon.lr": ("loguniform", 1e-3, 5e-2),
        "muon.weight_decay": ("loguniform", 1e-3, 0.3),
    }
    assert tree.pop("clip")[1] == [
        {"clip": "none"}, {"clip": "norm", "clip.max": ("loguniform", 0.3, 3.0)},
    ]  # fmt: skip
    assert tree == {
        "schedule": ("choice", list(EXPERT.schedules)), "warmup": ("uniform", 0.0, 0.1),
    }  # fmt: skip


def test_fixed_and_varied_parameters_make_the_whole() -> None:
    for space in (EXPERT, FEW):
        known = distributions_of(space)
        varied, fixed = peers._split(known)
        assert {*varied, *fixed} == set(known)
        assert not set(varied) & set(fixed)
    assert set(varied) == {"schedule"}
    assert fixed["warmup"] == 0.0


def test_a_distribution_that_no_space_has_is_refused() -> None:
    from optuna.distributions import IntDistribution

    with pytest.raises(TypeError, match="IntDistribution"):
        peers._domain(DOMAINS, IntDistribution(1, 5))


def test_numpy_is_left_as_it_was() -> None:
    np.random.seed(3)
    expected = np.random.random(4)
    np.random.seed(3)
    found = [np.random.random()]
    with peers._numpy_seeded(2**32 + 5):
        inside = np.random.random()
    found += list(np.random.random(3))
    assert found == list(expected)
    assert inside == np.random.RandomState(5).random_sample()


@SEARCHES
def test_a_search_asks_for_recipes_of_its_space(
    search: PeerSearch, package: str, trials: int
) -> None:
    need(package)
    asked, standings = finished(search(EXPERT, STEPS, trials, 2**32 - 1))
    assert [at.runs for at in standings] == list(range(1, trials + 1))
    assert [at.passes for at in standings] == list(map(float, range(1, trials + 1)))
    assert standings[-1].recipe == min(asked, key=loss)
    assert all(parameters_of(recipe, EXPERT) is not None for recipe in asked)
    assert len({recipe.optimizer.name for recipe in asked}) > 2
    assert len({recipe.schedule.name for recipe in asked}) > 2
    assert {recipe.clip is None for recipe in asked} == {True, False}
    assert all(Recipe.parse(recipe.plain()) == recipe for recipe in asked)


@SEARCHES
def test_a_search_repeats_itself_and_depends_on_its_seed_and_on_what_it_is_told(
    search: PeerSearch, package: str, trials: int
) -> None:
    need(package)

    def keys(seed: int, trials: int, told: Callable[[Recipe], float] = loss) -> list[str]:
        return [recipe.key for recipe in finished(search(EXPERT, STEPS, trials, seed), told)[0]]

    first = keys(1, trials)
    assert keys(1, trials) == first
    assert keys(1, trials - 1) == first[:-1], "more trials do not change those before"
    assert keys(2, 3) != first[:3]
    # diverged trainings are told as a large number
    assert keys(1, trials, lambda recipe: math.inf if loss(recipe) < 1.0 else loss(recipe)) != first


def test_blend_search_learns() -> None:
    need("flaml")
    losses = [loss(recipe) for recipe in finished(blend_search(EXPERT, STEPS, 80, 1))[0]]
    assert sum(losses[60:]) < 0.85 * sum(losses[:20])


@pytest.mark.slow
def test_conformal_regression_learns() -> None:
    need("syne_tune")

    def distance(recipe: Recipe) -> float:
        apart = {"adamw": 0.0, "nadam": 1.0, "muon": 1.0}.get(recipe.optimizer.name, 2.0)
        return apart + (recipe.schedule.name != "cosine") + 0.5 * loss(recipe)

    losses = list(map(distance, finished(conformal(EXPERT, STEPS, 35, 1), distance)[0]))
    assert sum(losses[25:]) / 10 < 0.7 * sum(losses[:15]) / 15


def test_blend_search_ends_where_the_space_does() -> None:
    need("flaml")
    asked, standings = finished(blend_search(FEW, STEPS, 12, 0), lambda recipe: 1.0)
    assert {recipe.schedule.name for recipe in asked} == {"constant", "cosine"}
    assert len(asked) == len(standings) == 2


def mean_ranks(regrets: Matrix) -> Matrix:
    """(R,) mean over tasks of each column's rank, from 1, without ties."""
    ranks: Matrix = (regrets.argsort(1).argsort(1) + 1).mean(0)
    return ranks


@pytest.mark.parametrize("seed", range(5))
def test_transfer_starts_with_the_best_mean_rank_and_then_complements_it(seed: int) -> None:
    need("syne_tune")
    regrets = np.random.default_rng(seed).random((7, 15))
    order = transfer_order(regrets, 15)
    assert sorted(order) == list(range(15))
    ranks = regrets.argsort(1).argsort(1) + 1
    assert mean_ranks(regrets)[order[0]] == mean_ranks(regrets).min()
    together = np.minimum(ranks, ranks[:, [order[0]]]).mean(0)
    assert together[order[1]] == np.delete(together, order[0]).min()
    assert transfer_order(regrets, 4) == order[:4]


def test_transfer_looks_at_ranks_alone() -> None:
    need("syne_tune")
    regrets = np.random.default_rng(0).random((6, 12))
    stretched = regrets**3 * np.arange(1.0, 7.0)[:, None]
    assert transfer_order(stretched, 12) == transfer_order(regrets, 12)


def test_transfer_learns_from_the_tasks_of_other_groups_alone(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Matrix] = []

    def order(regrets: Matrix, size: int) -> list[int]:
        given.append(regrets)
        return [2, 0, 1][:size]

    monkeypatch.setattr(peers, "transfer_order", order)
    known: Knowledge = load_knowledge(0, base)
    name = synthetic.TASKS[2]
    row = task_rows()[name]
    fields: dict[str, Any] = {"steps": 20, "seconds": 0.1, "target": 0.6, "noise": 0.0}
    task = LiveTask(name=name, group=row.group, family=row.family, **fields)
    assert transferred(task, base, 2) == (known.recipes[2], known.recipes[0])
    kept = [index for index, other in enumerate(known.rows) if other.name != name]
    assert len(kept) == len(known.rows) - 1
    assert np.array_equal(given[0], known.part(kept).filled().learned)
