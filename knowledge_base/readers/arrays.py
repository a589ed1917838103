"""What a reader returns: a whole data set as arrays, with what a split must respect."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from knowledge_base.graph import Graph

Kind: TypeAlias = Literal[
    "classification", "regression", "multilabel", "next_token", "autoencoding", "forecasting"
]
Scale: TypeAlias = Literal["columns", "channels", "overall", "none"]
Floats: TypeAlias = NDArray[np.float32]
Integers: TypeAlias = NDArray[np.int64]
ReadMember: TypeAlias = Callable[[str], bytes]
Item = TypeVar("Item", bound=Hashable)


@dataclass(frozen=True, eq=False)
class Arrays:
    """A whole data set in a fixed row order.

    Attributes:
        inputs: float32 (N, features), (N, time, channels) or (N, channels, height, width); int64
            (N, time) where they are tokens in [0, vocabulary), or node numbers (N, 1).
        targets: int64 (N,) in [0, classes) for classification; float32 (N,) or (N, values) for
            regression, (N, values) for autoencoding (the flattened inputs) and forecasting (what
            comes after the inputs); float32 (N, classes) of zeros and ones for multilabel; int64
            (N, time) for next_token.
        kind: What is predicted.
        classes: Number of classes, of labels, or of tokens for next_token; else None.
        vocabulary: Number of tokens where the inputs are tokens, else None.
        scale: What shares one mean and standard deviation when inputs are standardized: each
            feature, each channel of a series, all pixels, or nothing (tokens).
        in_order: Whether neighbouring rows belong together, so that the parts of a split must be
            contiguous blocks.
        groups: int64 (N,): rows with the same number must stay in the same part of a split; None
            where rows are independent.
        target_scale: As `scale`, for targets that are numbers.
        gap: Rows left out between the parts of a split in order, because neighbours overlap.
        graph: What joins the samples where they are nodes, else None.
    """

    inputs: Floats | Integers
    targets: Floats | Integers
    kind: Kind
    classes: int | None = None
    vocabulary: int | None = None
    scale: Scale = "columns"
    in_order: bool = False
    groups: Integers | None = None
    target_scale: Scale = "columns"
    gap: int = 0
    graph: Graph | None = None

    def __post_init__(self) -> None:
        """Refuse what no training run could use; a data set with gaps is a reader's mistake."""
        if len(self.inputs) != len(self.targets) or len(self.inputs) == 0:
            raise ValueError(f"{len(self.inputs)} inputs and {len(self.targets)} targets")
        if not (np.isfinite(self.inputs).all() and np.isfinite(self.targets).all()):
            raise ValueError("inputs or targets are not finite")


class Reader(Protocol):
    """Turns the files of one data set into arrays."""

    def __call__(self, read: ReadMember) -> Arrays:
        """Read the data set; `read` gives the decompressed bytes of a named member."""
        ...


def encode_labels(labels: Sequence[str] | NDArray[Any]) -> tuple[Integers, int]:
    """Class numbers (N,) in the sorted order of the labels, and how many classes there are."""
    names, numbers = np.unique(np.asarray(labels), return_inverse=True)
    return numbers.astype(np.int64), len(names)


def labels_of_each(pairs: Iterable[tuple[Item, str]]) -> dict[Item, str]:
    """The label of each item, in the order in which they first occur.

    No item may be in two parts of a split or have two right answers: one that occurs twice is kept
    once, and one with two labels is left out.
    """
    labels: dict[Item, str | None] = {}
    for item, label in pairs:
        labels[item] = label if labels.get(item, label) == label else None
    return {item: label for item, label in labels.items() if label is not None}
