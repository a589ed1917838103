"""Forecasting: windows over a measured series, and what comes after each."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np

from knowledge_base.readers.arrays import Arrays, ReadMember


@dataclass(frozen=True)
class Forecast:
    """Reader of a table in the order of time, cut into windows that overlap.

    Attributes:
        member: CSV file with a header.
        columns: Series that are seen; the first is the one to be told.
        past: Steps that are seen.
        future: Steps to be told.
        stride: Steps between the starts of windows.
    """

    member: str
    columns: tuple[str, ...]
    past: int = 32
    future: int = 4
    stride: int = 1

    def __call__(self, read: ReadMember) -> Arrays:
        """The windows as float32 (N, past, columns), the next values of the first (N, future)."""
        lines = csv.DictReader(io.StringIO(read(self.member).decode("utf-8-sig")))
        rows = [[line[name] for name in self.columns] for line in lines]
        series = np.asarray(rows, dtype=np.float64)
        length = self.past + self.future
        if len(series) < length:
            raise ValueError(f"{self.member} has {len(series)} rows, fewer than {length}")
        windows = np.lib.stride_tricks.sliding_window_view(series, length, axis=0)[:: self.stride]
        windows = windows.swapaxes(1, 2)
        return Arrays(
            windows[:, : self.past].astype(np.float32),
            windows[:, self.past :, 0].astype(np.float32),
            "forecasting",
            scale="channels",
            in_order=True,
            target_scale="overall",
            # The last window of a part ends this many windows after its first step.
            gap=-(-(length - 1) // self.stride),
        )
