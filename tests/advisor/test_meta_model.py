"""The meta-model on a base whose structure is known: it must find it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from advisor import boosting, meta_model
from advisor.feature_table import TASK_UNITS
from advisor.features import recipe_matrix
from advisor.knowledge import Knowledge
from advisor.meta_model import MetaModel
from knowledge_base.tasks import TaskRow, task_rows


@pytest.fixture(scope="module")
def held_out(knowledge: Knowledge) -> list[tuple[int, MetaModel]]:
    """Four tasks, two of each cluster, each with a model that has not seen it."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boosting, "ROUNDS", 20)
        for name in synthetic.TASKS[1:5]:
            task = [row.name for row in knowledge.rows].index(name)
            others = [i for i in range(len(knowledge.rows)) if i != task]
            found.append((task, meta_model.fit(knowledge.part(others), iterations=20)))
    return found


def named(vector: np.ndarray) -> dict[str, float]:
    return dict(zip(TASK_UNITS, vector.tolist(), strict=True))


def scores(model: MetaModel, knowledge: Knowledge, task: int, profile_of: int) -> np.ndarray:
    row: TaskRow = knowledge.rows[task]
    features = named(knowledge.features[0, profile_of])
    return model.scores(features, knowledge.recipes, row.steps, row.batch_size)


def test_it_recovers_the_best_recipes_of_a_new_task(
    knowledge: Knowledge, held_out: list[tuple[int, MetaModel]]
) -> None:
    assert {synthetic.cluster(knowledge.rows[task].name) for task, _ in held_out} == {
        "flat", "sharp",
    }  # fmt: skip
    for task, model in held_out:
        found = scores(model, knowledge, task, task)
        first = int(found.argmin())
        assert knowledge.regrets[task, first] <= 0.05
        assert np.corrcoef(found, knowledge.regrets[task])[0, 1] > 0.9


def test_it_beats_the_single_best(
    knowledge: Knowledge, held_out: list[tuple[int, MetaModel]]
) -> None:
    advised = [
        knowledge.regrets[task, scores(m, knowledge, task, task).argmin()] for task, m in held_out
    ]
    single = [knowledge.regrets[task, m.portfolio[0]] for task, m in held_out]
    for (_, model), recipe in zip(held_out, [m.means.argmin() for _, m in held_out], strict=True):
        assert model.means[model.portfolio[0]] == model.means[recipe]
    assert np.mean(advised) < np.mean(single) - 0.1


def test_another_tasks_profile_changes_the_first_place(
    knowledge: Knowledge, model: MetaModel
) -> None:
    """Each task with the profile of one of the other cluster: the advice must follow it."""
    changed = 0
    names = [row.name for row in knowledge.rows]
    for task, name in enumerate(names):
        other = next(
            i for i, n in enumerate(names) if synthetic.cluster(n) != synthetic.cluster(name)
        )
        own = scores(model, knowledge, task, task).argmin()
        changed += own != scores(model, knowledge, task, other).argmin()
    assert changed >= len(names) / 2


def test_it_abstains_on_an_outlier(knowledge: Knowledge, model: MetaModel) -> None:
    features = named(knowledge.features[0, 0])
    assert not model.abstains(features)
    far = {name: value + 15.0 for name, value in features.items()}
    assert model.similarities(far).max() < model.floor
    assert model.abstains(far)


def test_it_seldom_abstains_on_known_tasks(knowledge: Knowledge, model: MetaModel) -> None:
    abstained = [model.abstains(named(row)) for row in knowledge.features[1]]
    assert np.mean(abstained) <= 0.25


def test_the_interval_covers(knowledge: Knowledge, held_out: list[tuple[int, MetaModel]]) -> None:
    covered = []
    for task, model in held_out:
        found = scores(model, knowledge, task, task)
        for recipe in found.argsort()[:10]:
            low, high = model.interval(found[recipe])
            assert 0.0 <= low <= max(found[recipe], 0.0) <= high <= 1.0
            assert high - low < 0.5, "a wide interval covers everything"
            covered.append(low <= knowledge.regrets[task, recipe] <= high)
    assert np.mean(covered) >= 0.75


def test_the_first_places_do_not_tie(knowledge: Knowledge, model: MetaModel) -> None:
    for task in range(len(knowledge.rows)):
        best = np.sort(scores(model, knowledge, task, task))[:5]
        assert (np.diff(best) > 0).all()


def test_a_recipe_that_cannot_serve_a_task_counts_as_its_mean(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boosting, "ROUNDS", 5)
    part = knowledge.part(range(4))
    regrets, learned = part.regrets.copy(), part.learned.copy()
    regrets[1, 3] = learned[1, 3] = np.nan
    changed = dataclasses.replace(part, regrets=regrets, learned=learned)
    fitted = meta_model.fit(changed, iterations=2)
    others = part.learned[[0, 2, 3], 3].mean()
    assert fitted.regrets[1, 3] == pytest.approx(others)
    assert fitted.means[3] == pytest.approx(others)
    assert np.isfinite(scores(fitted, part, 1, 1)).all()


@given(arrays.arrays(np.float64, 5, elements=st.floats(0, 1)))
def test_the_scale_of_outcomes_is_invertible(regrets: np.ndarray) -> None:
    again = meta_model.regret_of(meta_model.outcome_of(regrets))
    np.testing.assert_allclose(again, regrets, atol=1e-12)


def test_inner_folds_keep_data_sets_together(knowledge: Knowledge) -> None:
    rows = task_rows()
    names = ["letter-mlp-1", "letter-mlp-2", "vowel-mlp-1", "vowel-mlp-2", "wine-mlp-1"]
    part = knowledge.part(range(5))
    object.__setattr__(part, "rows", tuple(rows[name] for name in names))
    tested = []
    for train, test in meta_model._inner_folds(part):
        assert not {part.rows[i].group for i in train} & {part.rows[i].group for i in test}
        assert sorted([*train, *test]) == list(range(5))
        tested += test
    assert sorted(tested) == list(range(5))


def test_same_seed_same_model(knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boosting, "ROUNDS", 20)
    part = knowledge.part(range(4))
    first, second = (meta_model.fit(part, 3, 5, weights=(0.5,)) for _ in range(2))
    assert first.booster is not None
    assert second.booster is not None
    assert first.booster.model_to_string() == second.booster.model_to_string()
    np.testing.assert_array_equal(first.gaussian.weights, second.gaussian.weights)


def test_without_a_share_there_is_no_booster(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boosting, "ROUNDS", 5)
    fitted = meta_model.fit(knowledge.part(range(4)), iterations=2, weights=(0.0,))
    assert fitted.booster is None
    assert np.isfinite(scores(fitted, knowledge, 0, 0)).all()


def test_a_recipe_far_from_the_known_ones_is_scored_worse(
    model: MetaModel, knowledge: Knowledge
) -> None:
    """Of two with the same mean, that of which less is known."""
    plain = dataclasses.replace(model, booster=None)
    known = list(knowledge.recipes)
    centre = known[0]
    strange = centre.with_(
        optimizer={**centre.optimizer.model_dump(), "lr": 5.0},
        normalization="spectral",
        regularization={"label_smoothing": 0.2},
    )
    vector = knowledge.features[0, 0]
    columns = recipe_matrix([*known, strange])
    outlook = model.gaussian.outlook(vector, columns)
    assert outlook.excess[-1] > outlook.excess[:-1].max()
    assert outlook.excess[:-1].min() == pytest.approx(0.0, abs=1e-9)
    row = knowledge.rows[0]
    found = plain.scores(named(vector), [*known, strange], row.steps, row.batch_size)
    raised = meta_model.outcome_of(found) - outlook.mean
    np.testing.assert_allclose(raised, meta_model.CAUTION * outlook.excess, atol=1e-9)
    again = plain.scores(named(vector), [*known, strange], row.steps, row.batch_size, columns)
    np.testing.assert_array_equal(again, found)
