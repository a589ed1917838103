"""From the named columns of a table to features and targets: numbers as they are, words one-hot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from knowledge_base.readers.arrays import Arrays, Kind, encode_labels

Cells: TypeAlias = list[str] | NDArray[Any]
"""One column: words, "" where one is missing, or an array of numbers, NaN where one is."""


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are; base of the readers of tables.

    A column whose every cell is a number becomes one feature; any other column becomes one
    feature of zeros and ones per category, categories in sorted order.

    Attributes:
        members: Files, their rows one after the other.
        targets: Columns to predict; several for multilabel or regression. Empty: the last column.
        kind: What is predicted.
        categorical: Columns of numbers that are codes of categories.
        drop: Columns to leave out.
        group: Column whose equal values keep rows together in a split; left out of the features.
        log_target: Predict the natural logarithm of the (positive) target.
        floor: A target that is lower is raised to this, before the logarithm.
        missing: What a missing cell in a column that is not dropped does: the table is refused,
            its row is left out, or it is a category of its own in a column of words.
        rows: Rows kept at most, drawn with a fixed seed; None keeps all.
    """

    members: tuple[str, ...]
    targets: tuple[str, ...] = ()
    kind: Kind = "classification"
    _: KW_ONLY
    categorical: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    group: str | None = None
    log_target: bool = False
    floor: float | None = None
    missing: Literal["refused", "left out", "category"] = "refused"
    rows: int | None = None

    def arrays(self, table: Mapping[str, Cells]) -> Arrays:
        """The columns as float32 features (N, F) and targets.

        Args:
            table: The columns by name, all of the same length.

        Raises:
            ValueError: Cells are missing and may not be, or a target is not finite.
        """
        columns = self._kept(table)
        targets = self.targets or (list(columns)[-1],)
        answers = [columns.pop(name) for name in targets]
        groups = None
        if self.group is not None:
            groups, _ = encode_labels(columns.pop(self.group))
        features = np.concatenate(
            [_features(cells, name in self.categorical) for name, cells in columns.items()], axis=1
        ).astype(np.float32)
        if self.kind == "classification":
            numbers, classes = encode_labels(answers[0])
            return Arrays(features, numbers, "classification", classes, groups=groups)
        values = np.asarray([np.asarray(cells, dtype=np.float64) for cells in answers]).T
        if self.kind == "multilabel":
            labels = values.astype(np.float32)
            return Arrays(features, labels, "multilabel", labels.shape[1], groups=groups)
        if self.floor is not None:
            values = np.maximum(values, self.floor)
        answer = np.log(values) if self.log_target else values
        answer = answer[:, 0] if len(targets) == 1 else answer
        return Arrays(features, answer.astype(np.float32), "regression", groups=groups)

    def _kept(self, table: Mapping[str, Cells]) -> dict[str, Cells]:
        """The columns that are not dropped, without the rows that are left out."""
        named = {*self.drop, *self.targets, *self.categorical}
        if absent := (named | ({self.group} if self.group else set())) - table.keys():
            raise ValueError(f"{self.members} have no columns {', '.join(sorted(absent))}")
        columns = {name: cells for name, cells in table.items() if name not in self.drop}
        needed = [
            cells
            for name, cells in columns.items()
            if self.missing != "category" or name in self.targets or _are_numbers(cells)
        ]
        lost = np.any([_gaps(cells) for cells in needed], axis=0)
        if lost.any() and self.missing != "left out":
            raise ValueError(f"{self.members} has rows with missing cells")
        chosen = np.flatnonzero(~lost)
        if self.rows is not None:
            # Not the first rows: tables are often sorted.
            chosen = np.sort(np.random.default_rng(0).permutation(chosen)[: self.rows])
        return {name: _taken(cells, chosen) for name, cells in columns.items()}


def _gaps(cells: Cells) -> NDArray[np.bool_]:
    """Where a column has no value, (N,)."""
    if isinstance(cells, list):
        return np.asarray([cell == "" for cell in cells], dtype=np.bool_)
    return np.isnan(cells) if cells.dtype.kind == "f" else np.zeros(len(cells), dtype=np.bool_)


def _are_numbers(cells: Cells) -> bool:
    """Whether every cell that is not missing is a number."""
    try:
        np.asarray([cell or "nan" for cell in cells] if isinstance(cells, list) else cells, float)
    except ValueError:
        return False
    return True


def _taken(cells: Cells, chosen: NDArray[np.int64]) -> Cells:
    return [cells[row] for row in chosen] if isinstance(cells, list) else cells[chosen]


def _features(cells: Cells, categorical: bool) -> NDArray[np.float64]:
    """One column of cells as features (N, 1), or (N, categories) of zeros and ones."""
    if not categorical and _are_numbers(cells):
        return np.asarray(cells, dtype=np.float64)[:, None]
    numbers, count = encode_labels(cells)
    return np.eye(count)[numbers]
