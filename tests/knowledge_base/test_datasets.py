"""The table of data sets, and loading those that need no network."""

from __future__ import annotations

import hashlib
import zipfile

import numpy as np
import pytest

from knowledge_base import datasets
from knowledge_base.dataset_rows import Dataset
from knowledge_base.datasets import DATASETS, dataset, load
from knowledge_base.fetch import Wheel
from knowledge_base.readers import Table
from probes.errors import UserError

OFFLINE = {
    "digits": ((1797, 1, 8, 8), 10),
    "wine": ((178, 13), 3),
    "breast_cancer": ((569, 30), 2),
    "diabetes": ((442, 10), None),
}


@pytest.mark.parametrize("name", OFFLINE)
def test_scikit_learn_sets(name):
    shape, classes = OFFLINE[name]
    arrays = load(name)
    assert arrays.inputs.shape == shape
    assert arrays.inputs.dtype == np.float32
    assert arrays.classes == classes
    assert arrays.kind == dataset(name).kind
    if classes is not None:
        assert set(arrays.targets.tolist()) == set(range(classes))
    assert np.array_equal(arrays.inputs, load(name).inputs)


def test_table_is_consistent():
    assert all(name == row.name and row.description for name, row in DATASETS.items())
    assert len(DATASETS) == len(datasets.ROWS), "names are unique"
    alone = {row.name for row in DATASETS.values() if row.leak_group == row.name}
    shared = {row.leak_group for row in DATASETS.values()} - alone
    assert {"peptides", "fruit_flies", "chemicals"} <= shared


def test_unknown_name_gives_near_matches():
    with pytest.raises(UserError, match="did you mean digits"):
        load("digit")


def test_wheel_data_set_is_read_from_the_cache(tmp_path, monkeypatch):
    (tmp_path / "wheels").mkdir()
    path = tmp_path / "wheels" / "made.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("made/table.csv", "1,2,b\n3,4,a\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    wheel = Wheel("made", "1.0", digest, "MIT")
    path.rename(path.with_name(wheel.file_name))
    row = Dataset("made", "tabular", "classification", wheel, Table(("made/table.csv",)), "made")
    monkeypatch.setitem(datasets.DATASETS, "made", row)
    arrays = load("made", tmp_path)
    assert arrays.inputs.tolist() == [[1, 2], [3, 4]]
    assert arrays.targets.tolist() == [1, 0]
    assert row.leak_group == "made"
