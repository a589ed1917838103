"""What one row of the table of data sets says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from knowledge_base.data_folder import DataFile
from knowledge_base.fetch import Wheel
from knowledge_base.readers import Kind, Reader

Modality: TypeAlias = Literal[
    "image",
    "tabular",
    "series",
    "text",
    "audio",
    "molecule",
    "biology",
    "physics",
    "recommendation",
    "graph",
    "field",
]
Source: TypeAlias = Wheel | DataFile | Literal["scikit-learn"]


@dataclass(frozen=True)
class Dataset:
    """One row of the table.

    Attributes:
        name: Its name in the knowledge base.
        modality: What an input is.
        kind: What is predicted.
        source: The wheel that holds it, a file of the user's data folder, or the installed package
            that has it.
        reader: Turns its files into arrays.
        description: What a row and the target are.
        leak_group: Data sets that share rows, inputs or targets have the same group: what was
            learned on one must not be tested on another. The name itself where it stands alone.
    """

    name: str
    modality: Modality
    kind: Kind
    source: Source
    reader: Reader
    description: str
    leak_group: str = ""

    def __post_init__(self) -> None:
        """A data set that shares nothing is a group of its own."""
        object.__setattr__(self, "leak_group", self.leak_group or self.name)
