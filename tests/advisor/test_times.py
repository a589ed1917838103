"""How soon recipes reach a loss, read off learning curves and predicted."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic

from advisor.knowledge import Knowledge, load_knowledge
from advisor.meta_model import MetaModel
from advisor.shipped import load_shipped
from advisor.times import FILE, LEVELS, Times, load_times, times_of
from knowledge_base.reference import COPIED
from knowledge_base.store import load_runs
from knowledge_base.tasks import task_rows
from probes.errors import UserError


@pytest.fixture(scope="module")
def times(base: Path, knowledge: Knowledge) -> Times:
    return times_of(knowledge, base)


def test_times_are_those_of_the_curves(times: Times, base: Path, knowledge: Knowledge) -> None:
    """A synthetic curve falls once, from the first step to the tenth and last."""
    assert times.logs.shape == (1 + len(LEVELS), len(knowledge.rows), len(knowledge.recipes))
    columns = load_runs(base, ("task", "recipe", "seed", "final"))
    final = {
        (task, key): float(loss)
        for task, key, seed, loss in zip(*columns.values(), strict=True)
        if seed == 0
    }
    for t, row in enumerate(knowledge.rows):
        target = final[row.name, COPIED.key]
        for r, recipe in enumerate(knowledge.recipes):
            share, loss = math.exp(times.until(None)[t, r]), final[row.name, recipe.key]
            if loss > target:
                assert share == 1.0, "a target that is missed costs the whole budget"
            else:
                fallen = (synthetic.UNTRAINED - target) / (synthetic.UNTRAINED - loss)
                assert share == pytest.approx(math.expm1(fallen * math.log1p(10)) / row.steps)


def test_a_harder_target_is_never_reached_sooner(times: Times) -> None:
    levels = np.linspace(0.0, 1.0, 41)
    shares = np.stack([times.until(level) for level in levels])
    assert (np.diff(shares, axis=0) <= 1e-12).all()
    assert (shares <= 0.0).all()


@pytest.mark.parametrize("index", [0, 3, len(LEVELS) - 1])
def test_known_levels_are_taken_as_they_are(times: Times, index: int) -> None:
    np.testing.assert_allclose(times.until(LEVELS[index]), times.logs[1 + index])


@pytest.mark.parametrize("kind", ["flat", "sharp"])
def test_the_best_of_a_cluster_is_predicted_soonest(
    times: Times, model: MetaModel, kind: str
) -> None:
    name = next(task for task in synthetic.TASKS if synthetic.cluster(task) == kind)
    features = synthetic.features(task_rows()[name], kind, seed=5)
    shares = times.predict(model, features, model.recipes, 0.2)
    assert ((shares > 0.0) & (shares <= 1.0)).all()
    truth = np.asarray([synthetic.regret(recipe, kind) for recipe in model.recipes])
    assert truth[shares.argmin()] <= np.quantile(truth, 0.25)
    missed = truth > 0.4
    assert shares[missed].min() > shares.min()


def test_without_the_copied_recipe_any_fall_reaches_the_target(
    base: Path, knowledge: Knowledge
) -> None:
    without = replace(
        knowledge,
        recipes=tuple(recipe for recipe in knowledge.recipes if recipe.key != COPIED.key),
        regrets=knowledge.regrets[:, [r.key != COPIED.key for r in knowledge.recipes]],
    )
    logs = times_of(without, base, iterations=0).until(None)
    assert (logs < np.log(0.05)).all()


def test_a_task_unlike_the_known_ones_gets_their_mean(times: Times, model: MetaModel) -> None:
    shares = times.predict(model, None, model.recipes[:5], 0.3)
    np.testing.assert_allclose(np.log(shares), times.until(0.3).mean(0)[:5])


def test_missing_and_torn_files_are_refused(
    models_folder: Path, model: MetaModel, tmp_path: Path
) -> None:
    for data in (None, b"", (models_folder / FILE).read_bytes()[:100]):
        if data is not None:
            (tmp_path / FILE).write_bytes(data)
        with pytest.raises(UserError, match="advisor kb fit"):
            load_times(tmp_path, model)


@pytest.mark.parametrize("what", ["names", "recipes"])
def test_times_of_other_tasks_or_recipes_are_refused(models_folder: Path, what: str) -> None:
    model = load_shipped(0, models_folder).model
    load_times(models_folder, model)
    other = replace(model, **{what: tuple(reversed(getattr(model, what)))})
    with pytest.raises(UserError, match="advisor kb fit"):
        load_times(models_folder, other)


def test_what_is_written_is_read(models_folder: Path, base: Path) -> None:
    found = load_times(models_folder, load_shipped(0, models_folder).model)
    made = times_of(load_knowledge(0, base), base)
    np.testing.assert_allclose(found.logs, made.logs, atol=0.01)
    np.testing.assert_allclose(found.parameters, made.parameters)
