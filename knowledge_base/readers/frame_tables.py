"""Tables and ratings in pickled data frames."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowledge_base.readers.arrays import Arrays, Integers, ReadMember
from knowledge_base.readers.columns import Cells, Columns
from knowledge_base.readers.frames import frame_columns, named_columns


@dataclass(frozen=True)
class FrameTable(Columns):
    """Reader of a table in one or more pickled data frames with the same columns."""

    def __call__(self, read: ReadMember) -> Arrays:
        """The table as float32 features (N, F)."""
        frames = [frame_columns(read(member)) for member in self.members]
        if len({tuple(frame) for frame in frames}) != 1:
            raise ValueError(f"{self.members} have different columns")
        return self.arrays(
            {name: _cells(np.concatenate([frame[name] for frame in frames])) for name in frames[0]}
        )


def _cells(column: NDArray[Any]) -> Cells:
    """A column of numbers as it is; one of objects as words, whatever is no word as missing."""
    if column.dtype != object:
        return column
    return [cell if isinstance(cell, str) else "" for cell in column]


@dataclass(frozen=True)
class Ratings:
    """Reader of ratings that users gave to items, in a pickled data frame.

    Nearly all pairs have no rating, and most users and items have few. Kept are the items with
    the most ratings, and then the users who rated the most of these.

    Attributes:
        member: The file; one row per rating.
        user: Column of the user's number.
        item: Column of the item's number.
        rating: Column to predict.
        users: How many users are kept.
        items: How many items are kept.
    """

    member: str
    user: str
    item: str
    rating: str
    users: int = 150
    items: int = 150

    def __call__(self, read: ReadMember) -> Arrays:
        """The ratings (N,), and tokens (N, 2): the user in [0, users), then the item above."""
        users, items, ratings = named_columns(self.member, read, self.user, self.item, self.rating)
        popular = _most_frequent(items, self.items)
        rows = np.flatnonzero(np.isin(items, popular))
        active = _most_frequent(users[rows], self.users)
        rows = rows[np.isin(users[rows], active)]
        tokens = np.stack(
            [
                np.searchsorted(active, users[rows]),
                len(active) + np.searchsorted(popular, items[rows]),
            ],
            axis=1,
        ).astype(np.int64)
        return Arrays(
            tokens, ratings[rows].astype(np.float32), "regression",
            vocabulary=len(active) + len(popular), scale="none",
        )  # fmt: skip


def _most_frequent(numbers: NDArray[Any], count: int) -> Integers:
    """The numbers that occur most often, sorted; of those that occur as often, the smaller."""
    counts = Counter(numbers.tolist())
    chosen = sorted(counts, key=lambda number: (-counts[number], number))[:count]
    return np.sort(np.asarray(chosen, dtype=np.int64))
