from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synthetic

from advisor.evaluate import copied_place
from advisor.evaluate.copied_place import copied_places
from knowledge_base.reference import COPIED

Row = tuple[str, str, str, float, bool]


def _places(monkeypatch: pytest.MonkeyPatch, *rows: Row) -> dict[str, float]:
    names = ("task", "recipe", "role", "test", "diverged")
    columns = {name: np.asarray([row[at] for row in rows]) for at, name in enumerate(names)}
    monkeypatch.setattr(copied_place, "load_runs", lambda folder, wanted: columns)
    return copied_places(["a", "b"])


@pytest.mark.parametrize(
    ("own", "place"), [(0.1, 0.25), (0.2, 0.5), (0.5, 0.75), (2.0, 0.75), (float("nan"), 1.0)]
)
def test_the_place_among_reference_recipes(
    monkeypatch: pytest.MonkeyPatch, own: float, place: float
) -> None:
    found = _places(
        monkeypatch,
        ("a", COPIED.key, "reference", own, False),
        ("a", "x", "reference", 0.2, False),
        ("a", "y", "reference", 0.3, False),
        ("a", "z", "reference", 0.1, True),  # its loss says nothing
        ("a", "searched", "searched", 0.0, False),
        ("b", "x", "reference", 0.2, False),
    )
    assert found == {"a": place}


def test_a_knowledge_base_gives_one_for_each_of_its_tasks(base: Path) -> None:
    found = copied_places([*synthetic.TASKS, "elsewhere"], base)
    assert set(found) <= set(synthetic.TASKS)
    assert all(0.0 < place <= 1.0 for place in found.values())
