"""Windows of DNA from FASTA files: the next base, or the species."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knowledge_base.readers.arrays import Arrays, Integers, ReadMember
from knowledge_base.readers.characters import encode

BASES = "ACGT"


def windows(fasta: bytes, length: int) -> Integers:
    """Windows (N, length) of base numbers in [0, 4) that do not overlap, in genome order.

    Repeats marked in lower case count like any other base; a window with an unknown base is left
    out.
    """
    lines = fasta.decode("ascii").splitlines()
    sequence = "".join(line for line in lines if not line.startswith(">")).upper()
    tokens = encode(sequence, BASES)
    cut = tokens[: len(tokens) // length * length].reshape(-1, length)
    known: Integers = cut[(cut < len(BASES)).all(axis=1)]
    return known


@dataclass(frozen=True)
class NextBase:
    """Reader of one genome for a model of the next base.

    Attributes:
        member: FASTA file.
        length: Bases per window.
    """

    member: str
    length: int = 64

    def __call__(self, read: ReadMember) -> Arrays:
        """Inputs and targets (N, length); the target of a position is the base after it."""
        cut = windows(read(self.member), self.length + 1)
        size = len(BASES)
        return Arrays(
            cut[:, :-1], cut[:, 1:], "next_token", size, size, scale="none", in_order=True
        )


@dataclass(frozen=True)
class SpeciesOfWindow:
    """Reader of several genomes: which one does a window come from?

    Attributes:
        members: FASTA files, one per class.
        length: Bases per window.
    """

    members: tuple[str, ...]
    length: int = 128

    def __call__(self, read: ReadMember) -> Arrays:
        """Windows (N, length), species by species."""
        cut = [windows(read(member), self.length) for member in self.members]
        numbers = np.repeat(np.arange(len(cut), dtype=np.int64), [len(rows) for rows in cut])
        return Arrays(
            np.concatenate(cut), numbers, "classification", len(cut), len(BASES), scale="none"
        )
