"""Going on from a packed knowledge base: its recipes, runs and profiles as a journal's beginning.

On another machine, or with new tasks or recipes, only what is missing is then run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from knowledge_base.journal import Journal
from knowledge_base.recorded_rows import packed_rows
from knowledge_base.state import State
from knowledge_base.store import (
    SHIPPED,
    check_hashes,
    load_profiles,
    load_recipes,
    load_refused,
    load_runs,
)


def seed_journal(journal: Journal, folder: Path = SHIPPED) -> State:
    """Copy a packed knowledge base into a journal that holds nothing yet; returns its state.

    A journal that holds something is left as it is; where copying was cut short before (the last
    record tells), it is done anew.

    Args:
        journal: A journal opened for writing.
        folder: The packed knowledge base.

    Raises:
        UserError: There is no packed knowledge base, or its files were changed.
    """
    state = State.of(journal)
    if state.records and not state.half_seeded:
        return state
    check_hashes(folder)
    rows = packed_rows(folder).items()
    records: list[tuple[str, dict[str, Any]]] = [
        ("rows", {"dataset": name, "rows": digest}) for name, digest in rows
    ]
    records += packed_records(folder)
    if state.half_seeded:  # nothing was run yet: that comes after "seeded"
        journal.clear()
    journal.extend([("seeding", {"records": len(records)})])
    journal.extend(records)
    journal.extend([("seeded", {"records": len(records)})])
    return State.of(journal)


def packed_records(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The (kind, record) pairs of a packed knowledge base as a journal would hold them."""
    for key, plain in load_recipes(folder).items():
        yield "recipe", {"key": key, "recipe": plain}
    columns = {name: _plain(column) for name, column in load_runs(folder).items()}
    for row in zip(*columns.values(), strict=True):
        yield "run", dict(zip(columns, row, strict=True))
    for (task, key), reason in load_refused(folder).items():
        yield "refused", {"task": task, "recipe": key, "reason": reason}
    for profile in load_profiles(folder):
        yield "profile", profile


def _plain(column: Any) -> list[Any]:
    """A column as what JSON takes."""
    if isinstance(column, list):
        return [curve.tolist() for curve in column]
    values: list[Any] = column.tolist()
    return values
