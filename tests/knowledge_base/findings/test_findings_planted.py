"""What was planted is found: confirmed, refuted, undecided, and no single data set decides."""

from __future__ import annotations

from pathlib import Path

import planted
import pytest
from planted import APART, TOGETHER, Run, Truth, recipe

from knowledge_base.findings import CLAIMS, Claim, findings
from knowledge_base.findings.claims import Comparison
from knowledge_base.findings.report import ClaimFinding, Part
from knowledge_base.findings.side import Side
from knowledge_base.journal import Journal
from knowledge_base.store import pack
from knowledge_base.tasks import task_rows
from probes.errors import UserError
from probes.recipe.prices import Prices
from probes.recipe.schema import Recipe

LAYERS = [
    recipe(optimizer, normalization=name)
    for optimizer in ("sgd", "momentum")
    for name in ("keep", "weight", "batch", "weight_batch")
]
NOISE = {task: 0.004 * (place % 5 - 2) for place, task in enumerate((*APART, *TOGETHER))}
"""Of mean 0 over the ten tasks that stand apart."""


def claim(number: int, folder: Path) -> ClaimFinding:
    (found,) = findings(folder, tuple(c for c in CLAIMS if c.number == number), Prices()).claims
    return found


def by_normalization(
    tmp_path: Path, regrets: dict[str, float], soon: dict[str, float], tasks: tuple[str, ...]
) -> Path:
    def truth(task: str, one: Recipe) -> Run:
        name = one.normalization.name
        base = 0.5 if one.optimizer.name == "sgd" else 0.4
        regret = base + regrets.get(name, 0.0) + (NOISE[task] if name == "weight" else 0.0)
        return Run(regret, soon=soon.get(name, 0.9), error=regrets.get(name, 0.0) + 0.3)

    return planted.write(tmp_path, LAYERS, truth, tasks)


PLANTED = {
    "better and sooner": (-0.1, 0.3, "confirmed", "confirmed", "confirmed"),
    "as good and sooner": (0.01, 0.3, "confirmed", "confirmed", "confirmed"),
    "worse and sooner": (0.1, 0.3, "refuted", "refuted", "confirmed"),
    "better and later": (-0.1, 0.99, "refuted", "confirmed", "refuted"),
}


@pytest.mark.parametrize(
    ("regret", "soon", "verdict", "first", "second"), PLANTED.values(), ids=PLANTED.keys()
)
def test_weight_normalization(
    tmp_path: Path, regret: float, soon: float, verdict: str, first: str, second: str
) -> None:
    # as good as layers as they are, so that sooner is sooner to the same loss
    regrets = {"weight": 0.0, "batch": -regret}
    found = claim(1, by_normalization(tmp_path, regrets, {"weight": soon, "keep": 0.7}, APART))
    assert found.verdict == verdict
    assert [part.verdict for part in found.parts] == [first, second, None]
    part = found.parts[0]
    assert part.value == pytest.approx(regret, abs=1e-4)
    assert (part.tasks, part.datasets, part.recipes) == (10, 10, (2, 2))
    assert part.low is not None
    assert part.high is not None
    assert part.low < regret < part.high
    assert set(part.by_dataset) == {task_rows()[task].group for task in APART}


def test_speed_is_the_ratio_of_passes(tmp_path: Path) -> None:
    def truth(task: str, one: Recipe) -> Run:
        return Run(0.3, soon=0.2 if one.clip else 0.8)

    pairs = [recipe(lr=rate, clip=clip) for rate in (0.3, 1.0)
             for clip in (None, {"name": "norm", "max": 1.0})]  # fmt: skip
    found = claim(8, planted.write(tmp_path, pairs, truth))
    assert found.verdict == "confirmed"
    assert found.parts[0].value == pytest.approx(0.25, rel=0.1)


PAIRS = [recipe(lr=rate, clip=clip) for rate in (0.3, 1.0)
         for clip in (None, {"name": "norm", "max": 1.0})]  # fmt: skip


def sooner_and_worse(task: str, one: Recipe) -> Run:
    """Clipping is as good on validation, sooner, and by a little worse on the test data."""
    worse = 0.2 + NOISE[task] + 0.1 * one.optimizer.number("lr") if one.clip else 0.0
    return Run(0.3 + worse, validation=0.3, soon=0.2 if one.clip else 0.8)


def test_test_regret_stands_beside_speed_and_decides_nothing(tmp_path: Path) -> None:
    tasks = (*APART, *TOGETHER)
    folder = planted.write(tmp_path, PAIRS, sooner_and_worse, tasks)
    found = claim(8, folder)
    speed, regret = found.parts
    assert (found.verdict, found.why) == ("confirmed", "its one deciding part confirmed")
    assert (regret.claimed, regret.verdict) == (None, None)
    assert regret.outcome == regret.why == "not part of the verdict"
    assert (regret.first, regret.other) == (speed.first, speed.other)
    assert (regret.tasks, regret.datasets) == (speed.tasks, speed.datasets) == (len(tasks), 11)
    by_group: dict[str, list[float]] = {}
    for task in tasks:
        plain, clip, plain_too, clip_too = (sooner_and_worse(task, one).test for one in PAIRS)
        between = (clip - plain + clip_too - plain_too) / 2
        by_group.setdefault(task_rows()[task].group, []).append(between)
    means = {group: sum(values) / len(values) for group, values in by_group.items()}
    assert regret.by_dataset == pytest.approx(means, abs=1e-4)
    assert regret.value == pytest.approx(sum(means.values()) / len(means), abs=1e-4)
    assert regret.low is not None
    assert regret.high is not None
    assert min(means.values()) < regret.low < sum(means.values()) / 11 < regret.high
    assert regret.high < max(means.values())


def test_what_decides_nothing_widens_no_interval(tmp_path: Path) -> None:
    # Later on nine tasks and as much sooner on one: enough to refute one part, not one of sixty.
    def truth(task: str, one: Recipe) -> Run:
        soon = 0.45 if task == APART[0] else 0.8
        return Run(0.3, soon=soon if one.clip else 0.6)

    folder = planted.write(tmp_path, CLIPPED, truth)
    (only,) = (part for c in CLAIMS if c.number == 8 for part in c.parts if part.claimed)
    beside = Comparison(*ONE, "regret", ("clip",), claimed=None)
    verdicts = []
    for others in ((), (beside,) * 60, (REGRET,) * 60):
        (found,) = findings(folder, (Claim(1, "a claim", (only, *others)),), Prices()).claims
        verdicts.append(found.verdict)
    assert verdicts == ["refuted", "refuted", "undecided"]


def test_accuracy_is_that_of_classifications(tmp_path: Path) -> None:
    regrets = {"keep": 0.05, "weight": 0.04, "batch": 0.03}
    found = claim(2, by_normalization(tmp_path, regrets, {}, APART))
    assert found.verdict == "confirmed"
    assert [part.value for part in found.parts] == pytest.approx([-0.05, -0.04, -0.03], abs=1e-5)
    assert {part.tasks for part in found.parts} == {9}, "diabetes is a regression"


ONE = Side("clipped", clipped=True), Side("not clipped")
REGRET = Comparison(*ONE, "regret", ("clip",))
CLIPPED = [recipe(lr=1.0), recipe(lr=1.0, clip={"name": "norm", "max": 1.0})]


def part_of(folder: Path, comparison: Comparison = REGRET) -> Part:
    (found,) = findings(folder, (Claim(1, "a claim", (comparison,)),), Prices()).claims
    return found.parts[0]


def clipped(effect: dict[str, float]) -> Truth:
    def truth(task: str, one: Recipe) -> Run:
        return Run(0.5 + (effect.get(task, NOISE.get(task, 0.0)) if one.clip else 0.0))

    return truth


def test_no_difference_is_undecided(tmp_path: Path) -> None:
    part = part_of(planted.write(tmp_path, CLIPPED, clipped({})))
    assert part.verdict == "undecided"
    assert part.value == pytest.approx(0.0, abs=1e-4)


def test_one_data_set_of_many_tasks_does_not_decide(tmp_path: Path) -> None:
    assert len(TOGETHER) > 5
    far = dict.fromkeys(TOGETHER, -0.4)
    tasks = (*TOGETHER, *APART[:6])
    part = part_of(planted.write(tmp_path / "all", CLIPPED, clipped(far), tasks))
    assert (part.verdict, part.tasks, part.datasets) == ("undecided", len(tasks), 7)
    assert part.value == pytest.approx(-0.4 / 7, abs=0.01)
    spread = dict.fromkeys(APART, -0.4)
    part = part_of(planted.write(tmp_path / "apart", CLIPPED, clipped(spread), APART))
    assert part.verdict == "confirmed"


def test_fewer_than_six_data_sets_do_not_decide(tmp_path: Path) -> None:
    effect = dict.fromkeys(APART, -0.4)
    for count, verdict in ((5, "undecided"), (6, "confirmed")):
        folder = planted.write(tmp_path / str(count), CLIPPED, clipped(effect), APART[:count])
        part = part_of(folder)
        assert (part.verdict, part.datasets) == (verdict, count)
        assert part.why == ("5 data sets, 6 are needed" if count == 5 else "")


def test_one_data_set_alone_is_counted_by_its_tasks(tmp_path: Path) -> None:
    comparison = Comparison(*ONE, "regret", ("clip",), dataset="digits")
    effect = dict.fromkeys(TOGETHER, -0.4)
    tasks = (*TOGETHER, *APART)
    part = part_of(planted.write(tmp_path, CLIPPED, clipped(effect), tasks), comparison)
    assert (part.tasks, part.datasets, part.verdict) == (len(TOGETHER), 1, "confirmed")
    assert set(part.by_dataset) == set(TOGETHER)


def test_a_task_without_one_side_says_nothing(tmp_path: Path) -> None:
    whole = clipped(dict.fromkeys(APART, -0.2))

    def truth(task: str, one: Recipe) -> Run | None:
        return None if one.clip and task == APART[0] else whole(task, one)

    part = part_of(planted.write(tmp_path, CLIPPED, truth))
    assert part.tasks == 9
    assert part.value == pytest.approx(-0.2, abs=1e-4)


def test_a_diverged_run_has_regret_and_error_one(tmp_path: Path) -> None:
    def truth(task: str, one: Recipe) -> Run:
        return Run(0.4, error=0.3, diverged=one.clip is None)

    folder = planted.write(tmp_path, CLIPPED, truth)
    assert part_of(folder).value == pytest.approx(-0.6, abs=1e-4)
    error = Comparison(*ONE, "error", ("clip",))
    assert part_of(folder, error).value == pytest.approx(-0.7, abs=1e-4)


GRID = Comparison(
    Side("nadam", ("nadam",)), Side("momentum", ("momentum",)), "regret",
    ("optimizer", "schedule", "rate"),
)  # fmt: skip
NADAM = [recipe("nadam", 5e-3), recipe("nadam", 1.5e-2)]
MOMENTUM = [recipe("momentum", rate) for rate in (0.01, 0.03, 0.1, 0.3)]


def test_each_side_has_as_many_tries(tmp_path: Path) -> None:
    # One rate of momentum is the best on one data set alone: with two tries nobody finds it there,
    # however many tasks that data set has.
    def truth(task: str, one: Recipe) -> Run:
        rate = one.optimizer.number("lr")
        if one.optimizer.name == "nadam":
            return Run(0.3 if rate == 5e-3 else 0.4)
        if task in TOGETHER and rate == 0.01:
            return Run(0.05)
        return Run({0.01: 0.9, 0.03: 0.5, 0.1: 0.6, 0.3: 0.8}[rate])

    tasks = (*TOGETHER, *APART[:6])
    part = part_of(planted.write(tmp_path, NADAM + MOMENTUM, truth, tasks), GRID)
    assert part.recipes == (2, 4)
    assert part.value == pytest.approx(-0.2, abs=1e-4)
    assert part.by_dataset["digits"] == pytest.approx(-0.2, abs=1e-4)


def test_validation_chooses_and_test_reports(tmp_path: Path) -> None:
    def truth(task: str, one: Recipe) -> Run:
        if one.optimizer.name == "nadam":  # the better on validation is the worse on test
            first = one.optimizer.number("lr") == 5e-3
            return Run(0.6, validation=0.1) if first else Run(0.2, validation=0.3)
        return Run(0.5)

    part = part_of(planted.write(tmp_path, NADAM + MOMENTUM, truth), GRID)
    assert part.value == pytest.approx(0.1, abs=1e-4)
    assert part.verdict == "refuted"


def test_no_runs_are_undecided(tmp_path: Path) -> None:
    everything = findings(planted.write(tmp_path, [], clipped({})), prices=Prices())
    for found in everything.claims:
        assert (found.verdict, found.why) == ("undecided", "no runs")
        for part in found.parts:
            if part.unit == "bytes a parameter":  # the catalogue says what a state takes
                continue
            assert (part.tasks, part.datasets) == (0, 0)
            assert (part.value, part.recipes[0]) == (None, 0)
            if part.claimed is None:
                assert part.outcome == "not part of the verdict; no runs"
            else:
                assert part.outcome in ("undecided (no runs)", "undecided (not measured)")


def test_an_empty_store_is_undecided(tmp_path: Path) -> None:
    pack(Journal(tmp_path / "journal.log"), tmp_path / "packed", "a test", {})
    everything = findings(tmp_path / "packed", prices=Prices())
    assert {found.verdict for found in everything.claims} == {"undecided"}
    assert (everything.runs, everything.tasks, everything.winners.rows) == (0, 0, ())


def test_ladder_steps_are_passed_over(tmp_path: Path) -> None:
    tasks = (*APART[:6], "satimage-mlp-1@width4")
    effect = dict.fromkeys(tasks, 0.1)
    everything = findings(planted.write(tmp_path, CLIPPED, clipped(effect), tasks))
    assert (everything.runs, everything.tasks) == (42, 6)


def test_tasks_that_do_not_count_are_left_out(tmp_path: Path) -> None:
    many = [recipe(lr=rate, schedule=schedule) for rate in (0.1, 0.3, 1.0)
            for schedule in ("cosine", "constant", "triangular")]  # fmt: skip
    many += [recipe("momentum", rate) for rate in (0.01, 0.03, 0.1)]

    def truth(task: str, one: Recipe) -> Run:  # the first two tasks rank alike
        place = max(APART.index(task), 1)
        return Run(0.1 + 0.01 * ((many.index(one) * (2 * place + 1)) % 13))

    everything = findings(planted.write(tmp_path, many, truth, APART[:4]))
    assert [item.task for item in everything.left_out] == [APART[1]]
    assert APART[0] in everything.left_out[0].reason
    assert everything.tasks == 3


def test_changed_files_are_refused(tmp_path: Path) -> None:
    folder = planted.write(tmp_path, [], clipped({}))
    (folder / "recipes.json").write_text("{}")
    with pytest.raises(UserError, match="changed file"):
        findings(folder)
