"""The live evaluation from end to end, on a small task that comes with scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import synthetic

from advisor import boosting, curve_fit, refine_study, shipped
from advisor.advice import Advice
from advisor.curves import Allowance, load_allowance
from advisor.evaluate import live, prepare
from advisor.evaluate.contenders import CONTENDERS
from advisor.evaluate.live import command, run_live
from advisor.evaluate.results import FRESH_SEEDS, SEARCH_SEED, LiveResults, LiveTask, Outcome
from advisor.evaluate.versions import edition
from knowledge_base import work
from knowledge_base.journal import Journal
from knowledge_base.limits import Limits
from knowledge_base.reference import COPIED
from knowledge_base.tasks import make_task, task_rows
from knowledge_base.work import Item, Result, attempt
from probes.errors import UserError

NAME = "wine-mlp-1"
ROW = task_rows()[NAME]
SHORT, LONG = 20, 160
"""Budgets; a tenth of the longer one pays for the smallest probe."""
COLD = ("AdamW 1e-3 cosine", "TPE, expert space", "random, full space")


def live_task(steps: int) -> LiveTask:
    """The task with a budget of its own."""
    return LiveTask(
        name=NAME, group=ROW.group, family=ROW.family, steps=steps, seconds=0.1, target=0.6,
        noise=0.0,
    )  # fmt: skip


class Inline:
    """An executor that does its work in this process, one item at a time."""

    def __init__(self) -> None:
        self.out: list[Item] = []

    def slots(self) -> int:
        return 1

    def submit(self, item: Item) -> None:
        self.out.append(item)

    def completed(self) -> list[Result]:
        return [attempt(self.out.pop(), Limits())]

    def close(self) -> None:
        pass


@pytest.fixture
def compete(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> Compete:
    """The live evaluation of one task, without processes."""

    steps = SHORT

    def tasks(names: Iterable[str] | None = None) -> tuple[LiveTask, ...]:
        return (live_task(steps),)

    monkeypatch.setattr(live, "live_tasks", tasks)
    monkeypatch.setattr(live, "make_executor", lambda *_: Inline())
    monkeypatch.setattr(boosting, "ROUNDS", 20)
    monkeypatch.setattr(shipped, "ENOUGH_RUNS", 1)
    # the synthetic curves have no point to judge a run at
    monkeypatch.setattr(
        curve_fit, "fit_allowance", lambda tasks: Allowance(float(len(list(tasks))), 0.0, 0.0)
    )

    def run(*contenders: str, trials: int = 3, budget: int = SHORT) -> LiveResults:
        nonlocal steps
        steps = budget
        short = make_task(ROW.model_copy(update={"steps": steps}))
        monkeypatch.setitem(work._TASKS, NAME, short)
        return run_live(
            tmp_path / "store", contenders=contenders, trials=trials, studies=2, workers=1,
            knowledge=base,
        )  # fmt: skip

    return run


Compete = Callable[..., LiveResults]


def places(store: Path) -> list[tuple[str, int, str]]:
    """Key, seed and role of every training in a store."""
    records = (record for kind, record in Journal(store).read() if kind == "run")
    return [(record["recipe"], record["seed"], record["role"]) for record in records]


def of(results: LiveResults, contender: str, study: int = 0) -> list[Outcome]:
    found = [o for o in results.outcomes if (o.contender, o.study) == (contender, study)]
    return sorted(found, key=lambda outcome: outcome.runs)


@pytest.mark.slow
def test_cold_contenders_compete_and_a_second_call_trains_nothing(
    compete: Compete, tmp_path: Path, base: Path
) -> None:
    results = compete(*COLD)
    store = tmp_path / "store" / "journal.log"
    first, size = places(store), store.stat().st_size
    assert len(first) == len(set(first)), "nothing is trained twice"
    assert {seed for _, seed, _ in first} == {SEARCH_SEED, *FRESH_SEEDS}
    assert all((seed == SEARCH_SEED) == (role == "searched") for _, seed, role in first)

    (copied,) = of(results, "AdamW 1e-3 cosine")
    assert (copied.runs, copied.recipe) == (1, COPIED.key)
    assert copied.passes == pytest.approx(1.0)
    assert len(copied.test) == len(FRESH_SEEDS)
    assert [o.runs for o in of(results, "random, full space")] == [1, 2, 3]
    for study in (0, 1):
        rising = of(results, "TPE, expert space", study)
        assert [o.runs for o in rising] == [1, 2, 3]
        assert [o.passes for o in rising] == pytest.approx([1.0, 2.0, 3.0])
    assert all(0.0 <= value <= 1.0 for o in results.outcomes for value in (*o.test, *o.to_target))
    assert LiveResults.model_validate_json(results.model_dump_json()) == results
    assert all(o.seconds and o.seconds_to_target for o in results.outcomes)
    assert results.made_by.endswith(
        "--contenders 'AdamW 1e-3 cosine;TPE, expert space;random, full space'"
    )
    assert results.edition == edition(base)

    again = compete(*COLD)
    assert again.outcomes == results.outcomes
    assert store.stat().st_size == size
    assert compete("AdamW 1e-3 cosine").outcomes == (copied,)


@pytest.mark.slow
def test_plays_that_are_lost_are_played_again_from_the_journal(
    compete: Compete, tmp_path: Path
) -> None:
    results = compete("TPE, expert space", "random, full space", trials=2)
    store = tmp_path / "store" / "journal.log"
    before = store.stat().st_size
    (tmp_path / "store" / "plays.log").unlink()
    assert compete("TPE, expert space", "random, full space", trials=2).outcomes == results.outcomes
    assert store.stat().st_size == before
    longer = compete("TPE, expert space", trials=3)
    assert [o.recipe for o in of(longer, "TPE, expert space")[:2]] == [
        o.recipe for o in of(results, "TPE, expert space")
    ]


@pytest.mark.slow
def test_advice_comes_from_models_without_the_data_and_pays_for_its_probes(
    compete: Compete, tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[float] = []
    plain = refine_study.make_pruner

    def pruner(allowance: Allowance | None = None) -> object:
        assert allowance is not None
        used.append(allowance.constant)
        return plain(allowance)

    monkeypatch.setattr(refine_study, "make_pruner", pruner)
    results = compete(
        "advice", "advice, fastest", "portfolio", "refine", "learning-rate finder + one-cycle",
        budget=LONG,
    )  # fmt: skip
    task = live_task(LONG)
    place = prepare.place_of(tmp_path / "store", task, base, 0)
    # the rule for ending trials has not seen the data set either
    assert used == [len(synthetic.TASKS) - 1]
    assert load_allowance(place.models).constant == len(synthetic.TASKS) - 1
    model = shipped.load_shipped(synthetic.TIER, place.models).model
    assert NAME not in model.names
    assert len(model.names) == len(synthetic.TASKS) - 1

    advised = of(results, "advice")
    assert [o.runs for o in advised] == list(range(1, len(advised) + 1))
    assert 1.0 < advised[0].passes <= 1.1 + 1.0 / LONG
    assert advised[0].seconds is not None
    assert advised[0].seconds > Advice.load(place.folder / "advice.json").probe.seconds
    assert [o.runs for o in of(results, "refine")] == [prepare.REFINED]
    assert of(results, "refine")[0].passes > 3.0
    assert [o.runs for o in of(results, "advice, fastest")] == [1]
    (found,) = of(results, "learning-rate finder + one-cycle")
    assert 1.0 < found.passes <= 1.5
    assert found.seconds is None, "the finder is not timed"
    keys = {recipe.key for recipe in prepare.portfolio(task, base).recipes}
    assert {o.recipe for o in of(results, "portfolio")} <= keys
    # a recipe with the task's own batch size has the key that everybody else has
    first = prepare.prepared(place, "advice").recipes[0]
    assert first.batch_size is None or first.batch_size != ROW.batch_size

    written = {path: path.stat().st_mtime_ns for path in place.folder.iterdir()}
    assert compete("advice", "refine", budget=LONG).outcomes == tuple(
        o for o in results.outcomes if o.contender in ("advice", "refine")
    )
    assert {path: path.stat().st_mtime_ns for path in place.folder.iterdir()} == written


@pytest.mark.parametrize(
    ("contender", "runs"),
    [("CQR, expert space", 2), ("BlendSearch, expert space", 2), ("zero-shot transfer", 10)],
)
def test_peers_compete_where_their_packages_are_installed(
    compete: Compete, contender: str, runs: int
) -> None:
    row = CONTENDERS[contender]
    for package in row.packages:
        pytest.importorskip(package)
    results = compete(contender, trials=2)
    for study in (0, 1) if row.repeated else (0,):
        found = of(results, contender, study)
        assert [o.runs for o in found] == list(range(1, runs + 1))
        assert found[-1].passes <= runs
    assert results.versions[row.packages[0].replace("_", "-")] != "source"
    again = compete(contender, trials=2)
    assert again.outcomes == results.outcomes


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, ""),
        ({"tasks": ["a", "b"], "listed": True}, " --tasks a,b --opt-list FILE"),
        ({"long": True}, " --long"),
        ({"long": True, "contenders": ["opt_list", "TPE, full space"]},
         " --contenders 'opt_list;TPE, full space'"),
    ],
)  # fmt: skip
def test_the_command_tells_what_results_depend_on(given: dict[str, Any], told: str) -> None:
    plain = {"tasks": None, "contenders": None, "long": False, "listed": False}
    found = command(100, 2, 7, **{**plain, **given})
    assert found == f"advisor evaluate --live --trials 100 --studies 2 --seed 7{told}"


def test_another_seed_or_another_knowledge_base_is_another_place(
    tmp_path: Path, base: Path
) -> None:
    folders = {
        prepare.place_of(tmp_path, live_task(SHORT), base, 0).folder,
        prepare.place_of(tmp_path, live_task(SHORT), base, 1).folder,
        prepare.place_of(tmp_path, live_task(SHORT), None, 0).folder,
    }
    assert len(folders) == 3


def test_names_are_checked_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="advice, fastest"):
        run_live(tmp_path, contenders=["advice, fast"])
    with pytest.raises(UserError, match="opt-list"):
        run_live(tmp_path, contenders=["opt_list"])
    with pytest.raises(UserError, match="live evaluation"):
        run_live(tmp_path, tasks=["no-such-task"])
    assert not list(tmp_path.iterdir())


def test_without_names_those_take_part_that_can(tmp_path: Path) -> None:
    plain = {row.name for row in live.chosen_contenders(None, None)}
    assert "opt_list" not in plain
    assert "GP, expert space" not in plain
    long = live.chosen_contenders(None, tmp_path, long=True)
    assert {row.name for row in long if not row.packages} - plain == {
        "opt_list", "GP, expert space", "QMC, expert space", "Hyperband, expert space",
    }  # fmt: skip
