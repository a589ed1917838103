"""Readers of data files, one kind of file each; every reader returns `Arrays`."""

from knowledge_base.readers.arrays import Arrays, Kind, Reader, ReadMember
from knowledge_base.readers.category_tokens import CategoryTokens
from knowledge_base.readers.characters import WikiPages
from knowledge_base.readers.citations import CitationGraph
from knowledge_base.readers.coordinates import PictureCoordinates
from knowledge_base.readers.forecasts import Forecast
from knowledge_base.readers.frame_tables import FrameTable, Ratings
from knowledge_base.readers.genomes import CodingOrNot, NextBase, SpeciesOfWindow
from knowledge_base.readers.images import FacesAndOthers, PixelRows, TexturePatches
from knowledge_base.readers.installed import ScikitLearn
from knowledge_base.readers.molecules import MoleculeProperty
from knowledge_base.readers.motion import Transitions
from knowledge_base.readers.one_dimensional_digits import OneDimensionalDigits
from knowledge_base.readers.photographs import Photographs
from knowledge_base.readers.reconstructions import Reconstruction
from knowledge_base.readers.sensors import SensorWindows
from knowledge_base.readers.sentences import FrameSentences, LabelledSentences
from knowledge_base.readers.series import TimeSeriesFile
from knowledge_base.readers.spoken import SpokenCharacters
from knowledge_base.readers.tables import Table
from knowledge_base.readers.words import CitiesByCountry, Peptides, WordsByLanguage

__all__ = [
    "Arrays",
    "CategoryTokens",
    "CitationGraph",
    "CitiesByCountry",
    "CodingOrNot",
    "FacesAndOthers",
    "Forecast",
    "FrameSentences",
    "FrameTable",
    "Kind",
    "LabelledSentences",
    "MoleculeProperty",
    "NextBase",
    "OneDimensionalDigits",
    "Peptides",
    "Photographs",
    "PictureCoordinates",
    "PixelRows",
    "Ratings",
    "ReadMember",
    "Reader",
    "Reconstruction",
    "ScikitLearn",
    "SensorWindows",
    "SpeciesOfWindow",
    "SpokenCharacters",
    "Table",
    "TexturePatches",
    "TimeSeriesFile",
    "Transitions",
    "WikiPages",
    "WordsByLanguage",
]
