"""Organic molecules written as SMILES, with a measured property."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from knowledge_base.readers.arrays import Arrays, ReadMember
from knowledge_base.readers.characters import padded

# Organic molecules: carbon, with the elements and bonds that SMILES writes for them. Metals and
# salts boil thousands of kelvin apart and would be all that a squared error sees.
_ATOM = r"Cl|Br|[BCNOPSFIbcnops]"
_ORGANIC = re.compile(rf"(?=.*[Cc])(?:{_ATOM}|\[(?:{_ATOM})@*H?\d*[+-]?\]|[-=#()/\\%\d])+")


@dataclass(frozen=True)
class MoleculeProperty:
    """Reader of a property by CAS number, joined with the structures by the same number.

    Attributes:
        values: Tab-separated file of CAS number and value, after one header line.
        structures: Tab-separated files without header: CAS number second, SMILES fifth. Where two
            files name a molecule, the first counts.
        length: Characters per molecule; molecules with longer SMILES are left out, for half a
            molecule is another molecule. So are inorganic ones.
        highest: Values above it are mistakes of the source and are left out, in its unit.
    """

    values: str
    structures: tuple[str, ...]
    length: int = 64
    highest: float = math.inf

    def __call__(self, read: ReadMember) -> Arrays:
        """SMILES as tokens (N, length), the property in the file's own unit (N,)."""
        smiles: dict[str, str] = {}
        for member in self.structures:
            for line in read(member).decode("utf-8").splitlines():
                _, number, _, _, structure, *_ = line.split("\t", 5)
                smiles.setdefault(number, structure)
        texts, targets = [], []
        for line in read(self.values).decode("utf-8").splitlines()[1:]:
            number, cell = line.split("\t")
            text, value = smiles.get(number, ""), float(cell)
            if len(text) <= self.length and value <= self.highest and _ORGANIC.fullmatch(text):
                texts.append(text)
                targets.append(value)
        tokens, vocabulary = padded(texts, self.length)
        values = np.asarray(targets, dtype=np.float32)
        return Arrays(tokens, values, "regression", None, vocabulary, scale="none")
