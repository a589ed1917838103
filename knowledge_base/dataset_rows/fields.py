"""Rows whose inputs are coordinates: pictures to be fitted.

The pictures are those that `texture_patches` is cut from, so they are one leak group.
"""

from __future__ import annotations

from knowledge_base import wheels
from knowledge_base.dataset_rows.row import Dataset
from knowledge_base.readers import PictureCoordinates


def _picture(name: str, description: str) -> Dataset:
    reader = PictureCoordinates(f"skimage/data/{name}.png")
    return Dataset(
        f"{name}_picture", "field", "regression", wheels.SCIKIT_IMAGE, reader, description,
        "texture_patches",
    )  # fmt: skip


ROWS: tuple[Dataset, ...] = (
    _picture("moon", "Place in a photograph of the moon's surface to its brightness"),
    _picture("cell", "Place in a picture of a cell to its brightness"),
)
