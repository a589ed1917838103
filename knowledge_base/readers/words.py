"""Short strings with a label: words by language, city names by country, peptides by activity."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass

from knowledge_base.readers import msgpack
from knowledge_base.readers.arrays import Arrays, ReadMember
from knowledge_base.readers.characters import labelled_strings


@dataclass(frozen=True)
class WordsByLanguage:
    """Reader of word lists sorted by frequency, one file per language.

    A file is MessagePack: a header, then one list of words per centibel of frequency, the most
    frequent first.

    Attributes:
        pattern: Path of a file, with {language} in place of its code.
        languages: Codes of the languages, the classes.
        per_language: Words taken of each, the most frequent ones made of letters only.
        length: Characters per word; longer words are cut.
    """

    pattern: str
    languages: tuple[str, ...]
    per_language: int = 3000
    length: int = 16

    def __call__(self, read: ReadMember) -> Arrays:
        """Words that belong to one language alone, as tokens (N, length)."""
        pairs: list[tuple[str, str]] = []
        for language in self.languages:
            _, *lists = msgpack.decode(read(self.pattern.format(language=language)))
            words = [word for words in lists for word in words if word.isalpha()]
            pairs += [(word, language) for word in words[: self.per_language]]
        return labelled_strings(pairs, self.length)


@dataclass(frozen=True)
class CitiesByCountry:
    """Reader of city names with the country each lies in.

    Attributes:
        member: JSON file, an object of cities with "name" and "countrycode".
        countries: How many countries, those with the most cities, are kept as classes.
        length: Characters per name; longer names are cut.
    """

    member: str
    countries: int = 20
    length: int = 24

    def __call__(self, read: ReadMember) -> Arrays:
        """Names that lie in one country alone, as tokens (N, length)."""
        cities = json.loads(read(self.member)).values()
        counts = Counter(city["countrycode"] for city in cities)
        kept = {code for code, _ in counts.most_common(self.countries)}
        pairs = ((city["name"], city["countrycode"]) for city in cities)
        return labelled_strings([pair for pair in pairs if pair[1] in kept], self.length)


@dataclass(frozen=True)
class Peptides:
    """Reader of amino-acid sequences with a class, after one line of counts and class names.

    Attributes:
        member: CSV file of sequence and class number.
        length: Residues per sequence; longer ones are cut.
    """

    member: str
    length: int = 64

    def __call__(self, read: ReadMember) -> Arrays:
        """The sequences as tokens (N, length)."""
        lines = csv.reader(io.StringIO(read(self.member).decode("utf-8")), skipinitialspace=True)
        _, *rows = (line for line in lines if line)
        return labelled_strings([(sequence, label) for sequence, label in rows], self.length)
