"""Time series in the text format of the UEA and UCR archives (.ts)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knowledge_base.readers.arrays import Arrays, ReadMember, encode_labels


@dataclass(frozen=True)
class TimeSeriesFile:
    """Reader of labelled series, one per line: channels and then the label, separated by colons.

    Comment lines start with "#", directives with "@"; values follow "@data". Shorter series are
    padded with zeros at the end to the length of the longest.

    Attributes:
        members: Files, their series one after the other.
    """

    members: tuple[str, ...]

    def __call__(self, read: ReadMember) -> Arrays:
        """The series as float32 (N, time, channels)."""
        series: list[list[list[float]]] = []
        labels: list[str] = []
        for member in self.members:
            in_data = False
            for line in read(member).decode("utf-8").splitlines():
                if in_data and line.strip():
                    *texts, label = line.split(":")
                    series.append([[float(cell) for cell in text.split(",")] for text in texts])
                    labels.append(label.strip())
                in_data = in_data or line.strip().lower() == "@data"
        if not series:
            raise ValueError(f"{self.members} have no series after a line @data")
        length = max(len(channel) for channels in series for channel in channels)
        values = np.zeros((len(series), length, len(series[0])), dtype=np.float32)
        for row, channels in enumerate(series):
            for column, channel in enumerate(channels):
                values[row, : len(channel), column] = channel
        numbers, classes = encode_labels(labels)
        return Arrays(values, numbers, "classification", classes, scale="channels")
