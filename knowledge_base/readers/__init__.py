"""Readers of data files, one kind of file each; every reader returns `Arrays`."""

from knowledge_base.readers.arrays import Arrays, Kind, Reader, ReadMember
from knowledge_base.readers.characters import SourceText, WikiPages
from knowledge_base.readers.genomes import CodingOrNot, NextBase, SpeciesOfWindow
from knowledge_base.readers.images import FacesAndOthers, PixelRows, TexturePatches
from knowledge_base.readers.installed import ScikitLearn
from knowledge_base.readers.molecules import MoleculeProperty
from knowledge_base.readers.series import TimeSeriesFile
from knowledge_base.readers.tables import Table
from knowledge_base.readers.words import CitiesByCountry, Peptides, WordsByLanguage

__all__ = [
    "Arrays",
    "CitiesByCountry",
    "CodingOrNot",
    "FacesAndOthers",
    "Kind",
    "MoleculeProperty",
    "NextBase",
    "Peptides",
    "PixelRows",
    "ReadMember",
    "Reader",
    "ScikitLearn",
    "SourceText",
    "SpeciesOfWindow",
    "Table",
    "TexturePatches",
    "TimeSeriesFile",
    "WikiPages",
    "WordsByLanguage",
]
