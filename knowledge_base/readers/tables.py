"""Comma-separated tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from knowledge_base.readers.arrays import Arrays, ReadMember
from knowledge_base.readers.columns import Cells, Columns


@dataclass(frozen=True)
class Table(Columns):
    """Reader of one table, possibly in several files with the same columns.

    Columns are named by the header, or "0", "1", ... from the left where the file has none. An
    empty cell is a missing one.

    Attributes:
        header: Whether the first line names the columns.
        target_members: Files with the targets where these lie apart, one per member, one column.
    """

    header: bool = False
    target_members: tuple[str, ...] = ()

    def __call__(self, read: ReadMember) -> Arrays:
        """The table as float32 features (N, F)."""
        columns = self._columns(self.members, read)
        if self.target_members:
            (answers,) = self._columns(self.target_members, read).values()
            columns["target"] = answers
        return self.arrays(columns)

    def _columns(self, members: Sequence[str], read: ReadMember) -> dict[str, Cells]:
        """The cells of each column, by the column's name."""
        rows: list[list[str]] = []
        names: list[str] = []
        for member in members:
            text = read(member).decode("utf-8-sig")
            lines = [
                [cell.strip() for cell in line]
                for line in csv.reader(io.StringIO(text), skipinitialspace=True)
                if line
            ]
            names = lines.pop(0) if self.header else [str(index) for index in range(len(lines[0]))]
            rows.extend(lines)
        if any(len(row) != len(names) for row in rows):
            raise ValueError(f"{members} has rows with missing cells")
        return dict(zip(names, (list(cells) for cells in zip(*rows, strict=True)), strict=True))
