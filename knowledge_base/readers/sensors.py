"""Recordings of several sensors at once, cut into windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knowledge_base.readers.arrays import Arrays, ReadMember, encode_labels
from knowledge_base.readers.restricted_pickle import load_arrays


@dataclass(frozen=True)
class SensorWindows:
    """Reader of a pickled dictionary: recordings, what was done in each, and by whom.

    Windows of one recording overlap, and people differ, so that all windows of a person are one
    group.

    Attributes:
        member: Pickle with the keys X (list of recordings of shape (time, channels)), y and subject
            (one each per recording).
        length: Steps of a window.
        stride: Steps between the starts of windows.
    """

    member: str
    length: int = 100
    stride: int = 50

    def __call__(self, read: ReadMember) -> Arrays:
        """The windows as float32 (N, length, channels), in the order of the recordings."""
        content = load_arrays(read(self.member))
        try:
            recordings, labels, people = (content[key] for key in ("X", "y", "subject"))
        except (KeyError, TypeError):
            raise ValueError(f"{self.member} holds no X, y and subject") from None
        if not len(recordings) == len(labels) == len(people):
            counts = f"{len(recordings)} recordings, {len(labels)} labels, {len(people)} subjects"
            raise ValueError(f"{self.member} has {counts}")
        windows: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = []
        origins: list[int] = []
        for origin, recording in enumerate(recordings):
            values = np.asarray(recording, dtype=np.float32)
            starts = range(0, len(values) - self.length + 1, self.stride)
            windows.extend(values[start : start + self.length] for start in starts)
            origins.extend(origin for _ in starts)
        if not windows:
            raise ValueError(f"{self.member} has no recording of {self.length} steps")
        classes, count = encode_labels([str(labels[origin]) for origin in origins])
        groups, _ = encode_labels([str(people[origin]) for origin in origins])
        inputs = np.stack(windows)
        return Arrays(inputs, classes, "classification", count, scale="channels", groups=groups)
