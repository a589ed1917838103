"""The folds are those that were written down, and nothing leaks from one side to the other."""

from __future__ import annotations

import json

import pytest

from knowledge_base import splits
from knowledge_base.families import FAMILIES
from knowledge_base.splits import FAMILY_GROUPS, load_folds, make_folds, write_folds
from knowledge_base.tasks import task_rows

FOLDS = [
    pytest.param(column, fold, id=f"{column}-{fold.test[0]}")
    for column, folds in load_folds().items()
    for fold in folds
]


def test_the_file_holds_the_folds_that_follow_from_the_tasks() -> None:
    assert load_folds() == make_folds(), "run python -m knowledge_base.splits"


def test_writing_gives_the_same_file(tmp_path, monkeypatch) -> None:
    before = splits.FOLDS_FILE.read_text()
    monkeypatch.setattr(splits, "FOLDS_FILE", tmp_path / "folds.json")
    write_folds()
    assert (tmp_path / "folds.json").read_text() == before
    assert json.loads(before)["schema"] == 1


@pytest.mark.parametrize("column", ["dataset", "dataset_and_family"])
def test_every_task_is_tested_once(column) -> None:
    tested = [name for fold in load_folds()[column] for name in fold.test]
    assert sorted(tested) == sorted(task_rows())


@pytest.mark.parametrize(("column", "fold"), FOLDS)
def test_no_group_and_no_family_on_both_sides(column, fold) -> None:
    rows = task_rows()
    assert fold.test
    assert fold.train
    assert not set(fold.test) & set(fold.train)
    assert not {rows[n].group for n in fold.test} & {rows[n].group for n in fold.train}
    assert not {rows[n].dataset for n in fold.test} & {rows[n].dataset for n in fold.train}
    if column == "dataset_and_family":
        sides = [{FAMILY_GROUPS[rows[n].family] for n in side} for side in (fold.test, fold.train)]
        assert len(sides[0]) == 1
        assert not sides[0] & sides[1]


@pytest.mark.parametrize(("column", "fold"), FOLDS)
def test_all_that_may_be_learned_from_is(column, fold) -> None:
    rows = task_rows()
    groups = {rows[name].group for name in fold.test}
    families = {FAMILY_GROUPS[rows[name].family] for name in fold.test}
    allowed = [
        name
        for name, row in rows.items()
        if row.group not in groups
        and (column == "dataset" or FAMILY_GROUPS[row.family] not in families)
    ]
    assert sorted(fold.train) == sorted(allowed)


def test_every_family_has_a_group() -> None:
    assert set(FAMILY_GROUPS) == set(FAMILIES)
