"""A meta-model is read as it was written, and what is no meta-model is told from one."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic

from advisor import boosting, meta_model
from advisor.feature_table import TASK_UNITS
from advisor.knowledge import Knowledge
from advisor.meta_model import MetaModel
from advisor.model_file import write_model
from advisor.shipped import load_shipped
from probes.errors import UserError


def write(model: MetaModel, knowledge: Knowledge, folder: Path) -> None:
    """Write the meta-model with times and ranges that are easy to tell."""
    write_model(model, {"adamw": 1.0}, {row.name: 2.0 for row in knowledge.rows}, folder)


def test_save_and_load_give_equal_scores(
    tmp_path: Path, model: MetaModel, knowledge: Knowledge
) -> None:
    write(model, knowledge, tmp_path)
    loaded = load_shipped(synthetic.TIER, tmp_path).model
    assert loaded.names == model.names
    assert loaded.recipes == model.recipes
    assert loaded.portfolio == model.portfolio
    for task, row in enumerate(knowledge.rows):
        features = dict(zip(TASK_UNITS, knowledge.features[0, task].tolist(), strict=True))
        args = (features, knowledge.recipes, row.steps, row.batch_size)
        np.testing.assert_allclose(loaded.scores(*args), model.scores(*args), atol=1e-3)
        assert loaded.abstains(features) == model.abstains(features)


@pytest.fixture
def corrected(knowledge: Knowledge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MetaModel:
    """A meta-model with a share of LightGBM's correction, written to the test's folder."""
    monkeypatch.setattr(boosting, "ROUNDS", 5)
    model = meta_model.fit(knowledge.part(range(4)), iterations=2, weights=(0.5,))
    write(model, knowledge.part(range(4)), tmp_path)
    return model


def test_the_booster_survives_its_file(
    corrected: MetaModel, tmp_path: Path, knowledge: Knowledge
) -> None:
    loaded = load_shipped(synthetic.TIER, tmp_path).model
    rows = knowledge.pair_rows(0, knowledge.features[0, 0])
    assert loaded.weight == 0.5
    assert loaded.booster is not None
    assert corrected.booster is not None
    np.testing.assert_array_equal(loaded.booster.predict(rows), corrected.booster.predict(rows))


def test_a_missing_booster_is_the_users_error(corrected: MetaModel, tmp_path: Path) -> None:
    (tmp_path / f"booster_{synthetic.TIER}.txt").unlink()
    with pytest.raises(UserError, match="advisor kb fit"):
        load_shipped(synthetic.TIER, tmp_path)


def test_a_model_without_lightgbm_leaves_no_booster(
    corrected: MetaModel, tmp_path: Path, knowledge: Knowledge
) -> None:
    plain = dataclasses.replace(corrected, weight=0.0, booster=None)
    write(plain, knowledge.part(range(4)), tmp_path)
    load_shipped.cache_clear()
    assert load_shipped(synthetic.TIER, tmp_path).model.booster is None
    assert not list(tmp_path.glob("booster_*"))


@pytest.mark.parametrize("key", ["schema", "columns"])
def test_models_of_another_release_are_refused(
    models_folder: Path, tmp_path: Path, key: str
) -> None:
    shutil.copytree(models_folder, tmp_path / "old")
    path = tmp_path / "old" / "meta_model_0.json"
    data = json.loads(path.read_text())
    data[key] = 99 if key == "schema" else data[key][:-1]
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match="advisor kb fit"):
        load_shipped(0, tmp_path / "old")


def test_missing_and_torn_models_are_the_users_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="advisor kb fit"):
        load_shipped(16, tmp_path)
    (tmp_path / "meta_model_16.json").write_text('{"schema": 1, "colu')
    with pytest.raises(UserError, match="which is damaged; run advisor kb fit"):
        load_shipped(16, tmp_path)


def test_json_that_is_no_model_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "meta_model_16.json").write_text("[]")
    with pytest.raises(UserError, match="which is damaged; run advisor kb fit"):
        load_shipped(16, tmp_path)


def changed(data: dict[str, Any], place: str, value: Any) -> None:
    """Change what lies at a place such as "gaussian.tasks", or take it away."""
    *way, last = place.split(".")
    for name in way:
        data = data[name]
    if value == "GONE":
        del data[last]
    else:
        data[last] = value


DAMAGES: list[tuple[str, Any]] = [
    ("tier", 64), ("weight", "x"), ("weight", 2.0), ("low", "x"), ("low", "GONE"), ("low", "-1.0"),
    ("high", float("nan")), ("floor", None), ("recipes", []), ("recipes", [{"optimizer": "no"}]),
    ("recipes", ["adamw"]), ("portfolio", [99999]), ("portfolio", [-1]), ("portfolio", [0.5]),
    ("names", 3), ("names", []), ("regrets", [[0.5]]), ("regrets", "GONE"),
    ("relative_seconds", []), ("relative_seconds", {"adamw": "x"}),
    ("relative_seconds", {"adamw": 0.0}), ("relative_seconds", {"nobody": 1.0}),
    ("log_ranges", {}), ("log_ranges", "GONE"), ("gaussian", {}), ("gaussian", None),
    ("gaussian.level", "x"), ("gaussian.scale", 0.0), ("gaussian.tasks", [[0.0]]),
    ("gaussian.weights", [[0.0, 1.0], [0.0]]), ("gaussian.parameters", [0.0]),
    ("gaussian.task_groups", [[99999]]), ("gaussian.recipe_mean", [0.0]),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value"), DAMAGES, ids=lambda one: str(one)[:30])
def test_a_model_with_a_damaged_part_is_the_users_error(
    models_folder: Path, tmp_path: Path, place: str, value: Any
) -> None:
    data = json.loads((models_folder / "meta_model_0.json").read_text())
    changed(data, place, value)
    (tmp_path / "meta_model_0.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match="json, which is damaged; run advisor kb fit"):
        load_shipped(0, tmp_path)


def test_a_torn_booster_is_the_users_error(corrected: MetaModel, tmp_path: Path) -> None:
    (tmp_path / f"booster_{synthetic.TIER}.txt").write_text("tree\nversion=")
    with pytest.raises(UserError, match="txt, which is damaged; run advisor kb fit"):
        load_shipped(synthetic.TIER, tmp_path)
