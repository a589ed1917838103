from __future__ import annotations

import pytest
from live_cases import live

from advisor.evaluate.mark_notes import GAP_CLOSED, SOONEST, TAIL, WORTH, worse_than_copied
from advisor.evaluate.results import LiveTask


def _task(place: float | None) -> LiveTask:
    task = live({("a", 1): [0.1]}).tasks[0]
    return task.model_copy(update={"copied_place": place})


def test_notes_are_short_and_name_where_more_is() -> None:
    for note in (GAP_CLOSED, SOONEST, TAIL, WORTH, worse_than_copied([])):
        assert len(note.split()) < 50
    for note in (GAP_CLOSED, worse_than_copied([])):
        assert "docs/architecture.md" in note


@pytest.mark.parametrize(
    ("place", "told"), [(0.07, "t0 (7 %)"), (0.0701, "t0 (8 %)"), (1.0, "t0 (100 %)")]
)
def test_the_place_of_the_copied_recipe_is_never_told_better_than_it_is(
    place: float, told: str
) -> None:
    assert worse_than_copied([_task(place)]).endswith(told)


def test_a_task_without_a_place_is_not_named() -> None:
    assert worse_than_copied([_task(None)]) == worse_than_copied([])
    assert worse_than_copied([_task(0.5), _task(None)]) == worse_than_copied([_task(0.5)])
