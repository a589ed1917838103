"""Splits: disjoint, stratified, scaled with train statistics, repeatable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_base.partition import Splits, split
from knowledge_base.readers import Arrays
from probes.errors import UserError


def parts_of(splits: Splits):
    return splits.train, splits.validation, splits.test


def numbered(counts: list[int], **options) -> Arrays:
    """Tokens that number the rows, so that a split shows which rows it took."""
    labels = np.repeat(np.arange(len(counts)), counts)
    rows = np.arange(len(labels))[:, None]
    return Arrays(rows, labels, "classification", len(counts), len(labels), scale="none", **options)


def regression(rows: int = 200) -> Arrays:
    generator = np.random.default_rng(0)
    inputs = generator.normal([5, -3, 7], [2, 0.1, 0], (rows, 3)).astype(np.float32)
    return Arrays(inputs, (inputs[:, 0] * 30 + 100).astype(np.float32), "regression")


@given(
    counts=st.lists(st.integers(5, 60), min_size=2, max_size=6),
    seed=st.integers(0, 100),
    maximum=st.integers(1, 80),
)
def test_parts_share_no_row_and_keep_their_maxima(counts, seed, maximum):
    splits = split(numbered(counts), seed, maximum, maximum, maximum)
    rows = [part.inputs[:, 0].tolist() for part in parts_of(splits)]
    together = [row for part in rows for row in part]
    assert len(together) == len(set(together))
    assert all(0 < len(part) <= maximum for part in rows)


@given(counts=st.lists(st.integers(20, 200), min_size=2, max_size=5), seed=st.integers(0, 100))
def test_classes_keep_their_proportions(counts, seed):
    splits = split(numbered(counts), seed)
    for part in parts_of(splits):
        expected = np.asarray(counts) / sum(counts) * len(part.targets)
        assert np.abs(np.bincount(part.targets, minlength=len(counts)) - expected).max() <= 3


def test_whole_data_set_is_used_when_it_fits():
    splits = split(numbered([100, 100]), 0)
    assert [len(part.targets) for part in parts_of(splits)] == [130, 30, 40]


def test_same_seed_same_split_other_seed_another():
    arrays = numbered([100, 50])
    first, again, other = split(arrays, 1), split(arrays, 1), split(arrays, 2)
    assert np.array_equal(first.train.inputs, again.train.inputs)
    assert np.array_equal(first.test.targets, again.test.targets)
    assert set(first.test.inputs[:, 0]) != set(other.test.inputs[:, 0])


def test_columns_and_targets_are_scaled_with_train_statistics_alone():
    arrays = regression()
    splits = split(arrays, 0)
    train, validation, test = parts_of(splits)
    assert np.allclose(train.inputs.mean(0), 0, atol=1e-5)
    assert np.allclose(train.inputs.std(0), [1, 1, 0], atol=1e-5), "a constant column stays quiet"
    assert train.targets.mean() == pytest.approx(0, abs=1e-5)
    assert train.targets.std() == pytest.approx(1, abs=1e-5)
    assert abs(test.targets.mean()) > 1e-4, "not scaled by its own mean"
    # Changing the rows that were not trained on changes no statistic.
    changed = arrays.inputs.copy()
    trained = np.isin(arrays.inputs[:, 0], _unscaled(train.inputs[:, 0], arrays, splits))
    assert 100 < trained.sum() < 200
    changed[~trained] += 1000
    moved = split(Arrays(changed, arrays.targets, "regression"), 0)
    assert np.allclose(moved.train.inputs, train.inputs, atol=1e-5)
    assert moved.validation.inputs[:, 0].min() > validation.inputs[:, 0].max() + 100


def _unscaled(column, arrays, splits):
    """The values of the train part before scaling, found by rank among all rows."""
    order = np.concatenate([part.inputs[:, 0] for part in parts_of(splits)])
    ranks = np.argsort(np.argsort(order))[: len(column)]
    return np.sort(arrays.inputs[:, 0])[ranks]


@pytest.mark.parametrize(("scale", "axes"), [("channels", (0, 1)), ("overall", (0, 1, 2))])
def test_series_share_statistics_per_channel_and_images_overall(scale, axes):
    generator = np.random.default_rng(0)
    inputs = generator.normal([1, 20], [1, 5], (60, 4, 2)).astype(np.float32)
    labels = np.arange(60) % 3
    train = split(Arrays(inputs, labels, "classification", 3, scale=scale), 0).train.inputs
    assert np.allclose(train.mean(axes), 0, atol=1e-5)
    assert np.allclose(train.std(axes), 1, atol=1e-5)
    if scale == "overall":
        assert train[..., 1].mean() > train[..., 0].mean() + 1, "channels keep their difference"


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_together(seed):
    groups = np.repeat(np.arange(15), 12)
    splits = split(numbered([90, 90], groups=groups), seed)
    seen = [set(groups[part.inputs[:, 0]]) for part in parts_of(splits)]
    assert all(seen)
    assert sum(map(len, seen)) == len(set.union(*seen)) == 15
    assert len(seen[0]) >= 8


@pytest.mark.parametrize("sizes", [[1, 1, 58], [58, 1, 1], [20, 20, 20], [30, 15, 10, 5]])
@pytest.mark.parametrize("seed", range(4))
def test_uneven_groups_leave_no_part_empty(sizes, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    for part in parts_of(split(numbered([30, 30], groups=groups), seed)):
        assert len(part.targets) > 0


def test_ordered_rows_come_in_blocks_train_first():
    splits = split(numbered([100], in_order=True), 0, max_train=20)
    train, validation, test = (part.inputs[:, 0] for part in parts_of(splits))
    assert train.max() < validation.min() <= validation.max() < test.min()
    assert len(train) == 20


@pytest.mark.parametrize("maxima", [(0, 1, 1), (1, 0, 1), (1, 1, -1)])
def test_empty_parts_are_refused(maxima):
    with pytest.raises(UserError, match="at least 1 row"):
        split(numbered([20, 20]), 0, *maxima)


def test_too_few_rows_or_groups_are_refused():
    with pytest.raises(UserError, match="10 rows"):
        split(numbered([5, 4]), 0)
    with pytest.raises(UserError, match="3 groups"):
        split(numbered([10, 10], groups=np.repeat([0, 1], 10)), 0)
