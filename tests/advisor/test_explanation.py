"""The explanation of an advice: each statement beside what it is about."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import NormalDist

import pytest
import synthetic
import torch
from torch import nn

from advisor import Advice, Tuned, recommend
from advisor.advice import Candidate, Expected
from advisor.explain import explain, runs_to_be_sure, seed_spread
from advisor.explanation import CONFIDENCE, MOST_RUNS
from advisor.feature_table import TASK_UNITS
from advisor.meta_model import OFFSET, MetaModel
from advisor.shipped import load_shipped
from advisor.tuned import Finalist
from knowledge_base.reference import COPIED
from probes.errors import UserError

STEPS, BATCH = 200, 8


@pytest.fixture(scope="module")
def advice(models_folder: Path) -> Advice:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(120, 5, generator=generator)
    classes = (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()
    net = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3))
    with pytest.MonkeyPatch.context() as patch:
        # whether the toy task is like the synthetic ones is not what is tested here
        patch.setattr(MetaModel, "abstains", lambda self, task: False)
        return recommend(
            net, (inputs, classes), steps=STEPS, batch_size=BATCH, device="cpu",
            models=models_folder, explain=True,
        )  # fmt: skip


@pytest.fixture(scope="module")
def fitted(models_folder: Path) -> MetaModel:
    """The meta-model the advice came from."""
    return load_shipped(synthetic.TIER, models_folder).model


def expecting(advice: Advice, *scores: float) -> Advice:
    """The same with other expected regrets for the first of the ranking."""
    changed = [
        one.model_copy(update={"expected": Expected(score=score, low=0.0, high=1.0)})
        for one, score in zip(advice.ranking, scores, strict=False)
    ]
    ranking = (*changed, *advice.ranking[len(scores) :])
    return advice.model_copy(update={"ranking": ranking, "explanation": None})


def second(advice: Advice) -> Candidate:
    assert advice.explanation is not None
    assert advice.explanation.runner_up is not None
    return advice.ranking[advice.explanation.runner_up.rank - 1]


def test_the_nearest_tasks_and_what_they_saw(advice: Advice, fitted: MetaModel) -> None:
    assert advice.explanation is not None
    found = advice.explanation.nearest
    similar = [one.similarity for one in found]
    assert similar == sorted(similar, reverse=True)
    assert len({one.name for one in found}) == len(found) == 5
    keys = [recipe.key for recipe in fitted.recipes]
    mine = advice.best.with_(batch_size=None).key
    for one in found:
        task = fitted.names.index(one.name)
        assert one.copied == fitted.regrets[task, keys.index(COPIED.key)]
        if mine in keys:
            assert one.regret == fitted.regrets[task, keys.index(mine)]
    assert (advice.explanation.relative is None) is (mine in keys)


def test_the_runner_up_is_the_best_of_another_optimizer(advice: Advice) -> None:
    assert advice.explanation is not None
    other = advice.explanation.runner_up
    assert other is not None
    names = [one.recipe.optimizer.name for one in advice.ranking]
    assert names[other.rank - 1] != names[0]
    assert set(names[: other.rank - 1]) == {names[0]}
    first, behind = advice.ranking[0], second(advice)
    assert other.more_regret == behind.expected.score - first.expected.score
    assert first.cost.seconds_per_step is not None
    assert behind.cost.seconds_per_step is not None
    seconds = behind.cost.seconds_per_step - first.cost.seconds_per_step
    assert other.more_seconds == pytest.approx(STEPS * seconds)


def test_doubt_is_even_for_equals_and_falls_with_the_difference(
    advice: Advice, fitted: MetaModel, base: Path
) -> None:
    assert advice.explanation is not None
    assert advice.explanation.runner_up is not None
    behind = advice.explanation.runner_up.rank - 1
    doubts = []
    for gap in (0.0, 0.002, 0.01):
        scores = [0.1] * behind + [0.1 + gap]
        doubts.append(explain(expecting(advice, *scores), fitted, base).doubt)
    assert doubts[0] == pytest.approx(0.5)
    assert None not in doubts
    assert doubts[0] > doubts[1] > doubts[2] > 0.0  # type: ignore[operator]


def test_being_sure_costs_the_trainings_of_both(
    advice: Advice, fitted: MetaModel, base: Path
) -> None:
    assert advice.explanation is not None
    assert advice.explanation.runner_up is not None
    behind = advice.explanation.runner_up.rank - 1
    far = explain(expecting(advice, *[0.1] * behind, 0.9), fitted, base).runner_up
    assert far is not None
    assert far.runs_to_be_sure == 2
    assert far.passes_to_be_sure == 2 * STEPS
    costs = [advice.ranking[i].cost.seconds_per_step for i in (0, behind)]
    assert far.seconds_to_be_sure == pytest.approx(STEPS * sum(costs))  # type: ignore[arg-type]
    tied = explain(expecting(advice, *[0.1] * behind, 0.1), fitted, base)
    assert tied.runner_up is not None
    assert tied.runner_up.runs_to_be_sure is tied.runner_up.passes_to_be_sure is None
    assert f"not within {MOST_RUNS} full trainings" in tied.in_words(advice)


@pytest.mark.parametrize(
    ("difference", "spread"), [(0.05, 0.05), (0.05, 0.02), (-0.05, 0.05), (0.03, 0.07), (0.5, 0.01)]
)
def test_no_training_more_than_confidence_needs(difference: float, spread: float) -> None:
    runs = runs_to_be_sure(difference, spread)
    assert runs is not None
    assert runs % 2 == 0

    def chance(each: int) -> float:
        return NormalDist(0.0, spread * math.sqrt(2.0 / each)).cdf(abs(difference))

    assert chance(runs // 2) >= CONFIDENCE
    assert runs == 2 or chance(runs // 2 - 1) < CONFIDENCE


@pytest.mark.parametrize(("difference", "spread"), [(0.0, 0.05), (1e-4, 0.05), (0.01, 0.04)])
def test_what_cannot_be_told_apart(difference: float, spread: float) -> None:
    assert runs_to_be_sure(difference, spread) is None


def test_the_spread_between_seeds_is_that_of_repeated_runs(base: Path) -> None:
    noise = 0.005  # of the synthetic base
    assert noise / 4 < seed_spread(synthetic.TASKS, base) < 2 * noise
    assert seed_spread(("no such task",), base) == OFFSET


def test_measured_features_are_those_of_the_profile(advice: Advice) -> None:
    assert advice.explanation is not None
    found = {one.name: one for one in advice.explanation.measured}
    assert found
    for name, one in found.items():
        assert one.unit == TASK_UNITS[name]
        assert math.copysign(1.0, one.deviations) == math.copysign(1.0, one.value - one.typical)
    assert found["log_parameters"].value == pytest.approx(math.log10(5 * 16 + 16 + 16 * 3 + 3))
    if "sharpness" in found:
        assert found["sharpness"].value == advice.profile["values"]["sharpness.initial"]


def test_contributions_add_up(advice: Advice) -> None:
    assert advice.explanation is not None
    found = advice.explanation.contributions
    assert found is not None
    base, score = (math.log(regret + OFFSET) for regret in (found.base, found.score))
    assert base + sum(found.groups.values()) == pytest.approx(score)


def test_abstention_is_said_and_no_feature_gets_the_credit(
    advice: Advice, fitted: MetaModel, base: Path
) -> None:
    abstained = advice.model_copy(update={"abstained": True, "reason": "it is unlike any"})
    found = explain(abstained, fitted, base)
    assert found.contributions is None
    assert found.runner_up is not None
    text = found.in_words(abstained)
    assert "the meta-model abstains: it is unlike any" in text
    assert "Shapley values: none" in text


def test_a_ranking_of_one_has_no_runner_up(advice: Advice, fitted: MetaModel, base: Path) -> None:
    alone = advice.model_copy(update={"ranking": advice.ranking[:1]})
    found = explain(alone, fitted, base)
    assert found.runner_up is found.doubt is None
    assert all(one.runner_up is None for one in found.nearest)
    assert "Runner-up: none" in found.in_words(alone)


def test_without_a_timed_step_no_seconds_are_told(
    advice: Advice, fitted: MetaModel, base: Path
) -> None:
    untimed = advice.model_copy(
        update={
            "ranking": tuple(
                one.model_copy(
                    update={"cost": one.cost.model_copy(update={"seconds_per_step": None})}
                )
                for one in advice.ranking
            )
        }
    )
    found = explain(untimed, fitted, base)
    assert found.runner_up is not None
    assert found.runner_up.more_seconds is found.runner_up.seconds_to_be_sure is None
    assert "a full training takes" not in found.in_words(untimed)


def test_the_text_names_what_it_speaks_of(advice: Advice) -> None:
    assert advice.explanation is not None
    text = advice.explain()
    other = advice.explanation.runner_up
    assert other is not None
    wanted = [advice.best.describe(), other.recipe, f"(rank {other.rank})"]
    wanted += [one.name for one in advice.explanation.nearest]
    wanted += [one.unit for one in advice.explanation.measured]
    assert [phrase for phrase in wanted if phrase not in text] == []


def test_a_goal_of_time_is_told_with_its_times(advice: Advice) -> None:
    assert "the target is predicted" not in advice.explained().explanation.in_words(advice)
    told = advice.explained().explanation
    assert told.runner_up is not None
    shares = [0.31, *(0.5 + 0.01 * place for place in range(1, len(advice.ranking)))]
    ranking = tuple(
        one.model_copy(update={"cost": one.cost.model_copy(update={"to_target": share})})
        for one, share in zip(advice.ranking, shares, strict=True)
    )
    text = told.in_words(advice.model_copy(update={"ranking": ranking}))
    later = shares[told.runner_up.rank - 1]
    assert f"predicted after 31% of the budget, by the runner-up after {later:.0%};" in text


def test_it_is_written_and_read(advice: Advice, tmp_path: Path) -> None:
    advice.save(tmp_path / "advice.json")
    again = Advice.load(tmp_path / "advice.json")
    assert again == advice
    assert again.explain() == advice.explain()


def test_it_can_be_asked_for_later_while_the_advice_lives(advice: Advice, tmp_path: Path) -> None:
    late = advice.model_copy(update={"explanation": None})
    assert late.explained().explanation is not None
    assert "Runner-up" in late.explain()
    assert late.explanation is None, "frozen"
    late.save(tmp_path / "advice.json")
    with pytest.raises(UserError, match="explain=True"):
        Advice.load(tmp_path / "advice.json").explain()


def test_a_file_from_before_there_were_explanations_is_read(advice: Advice) -> None:
    plain = advice.model_dump(mode="json", by_alias=True, exclude={"explanation"})
    assert Advice.model_validate(plain).explanation is None


def test_an_answer_is_printed_as_a_table(advice: Advice) -> None:
    lines = str(advice).splitlines()
    for rank, one in enumerate(advice.ranking, start=1):
        row = next(line for line in lines if line.startswith(f"{rank} "))
        assert row.endswith(one.recipe.describe())
        assert f"{one.expected.score:.3f}" in row
    assert advice.reason in lines[-2]
    finalist = Finalist(recipe=advice.best, validation=(0.5, 0.7), median=0.6, origin="trial 3")
    tuned = Tuned(
        task=advice.task, ranking=(finalist,), trials=7, pruned=2, passes=40.0, seconds=1.0
    )
    assert f"1     0.6     0.5 0.7                         trial 3  {advice.best.describe()}" in (
        str(tuned)
    )
    assert str(tuned).endswith("7 trials, 2 of them pruned; 40 passes in 1.0 s")
    ended = tuned.model_copy(update={"expected_gain": 0.004, "stopped": "not worth it"})
    assert str(ended).splitlines()[-1] == "stopped: not worth it"
