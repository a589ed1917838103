"""Pictures as functions of the place: coordinates in, brightness out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knowledge_base.readers.arrays import Arrays, Floats, ReadMember
from knowledge_base.readers.images import decode_png


@dataclass(frozen=True)
class PictureCoordinates:
    """Reader of a picture whose pixels are to be told from their coordinates.

    Attributes:
        member: An 8-bit PNG, grey or RGB.
        side: The picture is cut to a square and averaged down to this many pixels a side.
    """

    member: str
    side: int = 64

    def __call__(self, read: ReadMember) -> Arrays:
        """Coordinates (N, 2) in (-1, 1), row before column, and brightness (N, 1) or (N, 3)."""
        pixels = decode_png(read(self.member)).astype(np.float32)
        small = shrunk(pixels.reshape(*pixels.shape[:2], -1), self.side)
        # The centre of a cell: the first and the last lie half a cell inside the border.
        axis = (2 * np.arange(self.side) + 1) / self.side - 1
        places = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
        return Arrays(
            places.astype(np.float32), small.reshape(len(places), -1), "regression", scale="none",
            target_scale="overall",
        )  # fmt: skip


def shrunk(pixels: Floats, side: int) -> Floats:
    """The square at the centre, averaged down to (side, side, channels).

    Args:
        pixels: (height, width, channels), each side at least `side`.
        side: Pixels a side of the result.

    Raises:
        ValueError: The picture is smaller than that.
    """
    height, width = pixels.shape[:2]
    block = min(height, width) // side
    if block == 0:
        raise ValueError(f"a picture of at least {side} pixels a side, got {height} x {width}")
    top, left = (height - block * side) // 2, (width - block * side) // 2
    square = pixels[top : top + block * side, left : left + block * side]
    blocks = square.reshape(side, block, side, block, -1)
    mean: Floats = blocks.mean(axis=(1, 3), dtype=np.float32)
    return mean
