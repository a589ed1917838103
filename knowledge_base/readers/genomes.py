"""Windows of DNA from FASTA files: the next base, the species, whether they code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from knowledge_base.readers.arrays import Arrays, Integers, ReadMember
from knowledge_base.readers.characters import encode

BASES = "ACGT"
_COMPLEMENT = str.maketrans("ACGT", "TGCA")


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


@dataclass(frozen=True)
class CodingOrNot:
    """Reader of one genome and its genes: does a window code for a protein?

    Of each gene the longest coding sequence counts, for its others repeat the same exons. Windows
    of the genome that share `shared` bases in a row with a gene, on either strand, are left out;
    of the others every n-th is taken, n such that about as many come from each side.

    Attributes:
        genome: FASTA file of the chromosome.
        genes: FASTA file of coding sequences; headers say [gene=NAME].
        length: Bases per window.
        shared: Bases in a row that make a window of the genome a piece of a gene.
    """

    genome: str
    genes: str
    length: int = 128
    shared: int = 24

    def __call__(self, read: ReadMember) -> Arrays:
        """Windows (N, length); class 1 codes. A gene's windows stay together in a split."""
        longest: dict[str, str] = {}
        for record in read(self.genes).decode("ascii").split(">")[1:]:
            header, *lines = record.splitlines()
            name = re.search(r"\[gene=([^\]]+)\]", header)
            sequence = "".join(lines).upper()
            if name is not None and len(sequence) > len(longest.get(name[1], "")):
                longest[name[1]] = sequence
        coding = [windows(gene.encode("ascii"), self.length) for gene in longest.values()]
        counts = [len(rows) for rows in coding]
        other = self._outside(windows(read(self.genome), self.length), longest.values())
        other = other[:: max(1, round(len(other) / sum(counts)))]
        labels = np.repeat(np.asarray([1, 0], dtype=np.int64), [sum(counts), len(other)])
        groups = np.concatenate(
            [np.repeat(np.arange(len(counts)), counts), len(counts) + np.arange(len(other))]
        )
        return Arrays(
            np.concatenate([*coding, other]),
            labels,
            "classification",
            2,
            len(BASES),
            scale="none",
            groups=groups,
        )

    def _outside(self, cut: Integers, genes: Iterable[str]) -> Integers:
        """The windows that hold no piece of a gene."""
        pieces: set[str] = set()
        for gene in genes:
            for strand in (gene, gene.translate(_COMPLEMENT)[::-1]):
                starts = range(len(strand) - self.shared + 1)
                pieces.update(strand[start : start + self.shared] for start in starts)
        texts = np.asarray(list(BASES))[cut]
        starts = range(self.length - self.shared + 1)
        outside = [
            pieces.isdisjoint(text[start : start + self.shared] for start in starts)
            for text in map("".join, texts)
        ]
        kept: Integers = cut[np.asarray(outside, dtype=bool)]
        return kept
