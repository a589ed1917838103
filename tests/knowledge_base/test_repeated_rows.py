"""No row of tokens is trained on and tested on: a model could know its answer by heart."""

from __future__ import annotations

import pytest

from knowledge_base.datasets import DATASETS, at_hand, load, split

TOKENS = ("text", "molecule", "biology", "recommendation")
"""Modalities whose inputs are tokens."""
KNOWN = {"fly_coding": 1, "fly_next_base": 1, "wiki_characters": 1}
"""Repeated rows at most: windows of one long text that happen to be alike."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [row.name for row in DATASETS.values() if row.modality in TOKENS]
)  # fmt: skip
def test_no_row_of_tokens_is_in_two_parts(name: str) -> None:
    if not at_hand(name):
        pytest.skip("its data are not on this machine")
    arrays = load(name)
    assert arrays.vocabulary is not None
    parts = split(arrays, 0)
    train, validation, test = (
        [row.tobytes() for row in part.inputs]
        for part in (parts.train, parts.validation, parts.test)
    )
    pairs = ((validation, set(train)), (test, set(train)), (test, set(validation)))
    repeated = sum(row in others for rows, others in pairs for row in rows)
    assert repeated <= KNOWN.get(name, 0)
