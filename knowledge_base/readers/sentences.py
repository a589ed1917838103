"""Labelled sentences as numbers of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from knowledge_base.readers.arrays import Arrays, ReadMember, encode_labels, labels_of_each
from knowledge_base.readers.frames import named_columns

_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class LabelledSentences:
    """Reader of sentences, one a line, whose first word is the label, or a file for each label.

    Attributes:
        members: Files, one after the other.
        label_first: Whether a line begins with its label, up to the first white space; else the
            label of a line is its file.
        coarse: Whether a label ends at its first colon ("NUM:date" is "NUM").
        length: Words a sentence; longer ones are cut.
        words: Size of the vocabulary, those that occur most often; with 0 for the padding at the
            end and 1 for every other word.
    """

    members: tuple[str, ...]
    label_first: bool = True
    coarse: bool = True
    length: int = 24
    words: int = 2000

    def __call__(self, read: ReadMember) -> Arrays:
        """The sentences as tokens (N, length); one that occurs with two labels is left out."""
        pairs: list[tuple[str, str]] = []
        for member in self.members:
            # Latin-1 reads every byte; the files hold a few that are no UTF-8.
            for line in read(member).decode("latin-1").splitlines():
                label, _, rest = line.partition(" ") if self.label_first else (member, "", line)
                if self.coarse and self.label_first:
                    label = label.partition(":")[0]
                pairs.append((rest, label))
        return numbered_sentences(pairs, self.length, self.words)


@dataclass(frozen=True)
class FrameSentences:
    """Reader of texts and their labels in two columns of pickled data frames.

    A row whose text or label is no string (a missing one is NaN or None) is left out.

    Attributes:
        members: Files, one after the other.
        text: Column of the texts.
        label: Column of the labels.
        labels: Labels kept; empty for all.
        length: As in `LabelledSentences`.
        words: As in `LabelledSentences`.
    """

    members: tuple[str, ...]
    text: str
    label: str
    labels: tuple[str, ...] = ()
    length: int = 24
    words: int = 2000

    def __call__(self, read: ReadMember) -> Arrays:
        """The texts as tokens (N, length); one that occurs with two labels is left out."""
        pairs: list[tuple[str, str]] = []
        for member in self.members:
            columns = named_columns(member, read, self.text, self.label)
            pairs += [
                (text, label)
                for text, label in zip(*columns, strict=True)
                if isinstance(text, str) and isinstance(label, str)
                if not self.labels or label in self.labels
            ]
        return numbered_sentences(pairs, self.length, self.words)


def numbered_sentences(pairs: Iterable[tuple[str, str]], length: int, words: int) -> Arrays:
    """Texts with labels as tokens (N, length), in the order in which they first occur.

    Rows of tokens, too, are there once each and none with two labels: words that are not in the
    vocabulary are all the same there, and may be all that tells two texts apart.

    Args:
        pairs: Text and label; a text that is cut to the same words as one with another label is
            left out, and so is an empty one.
        length: Words a text; longer ones are cut.
        words: Size of the vocabulary with 0 for padding and 1 for words that are not in it.

    Raises:
        ValueError: No text is left.
    """
    found = ((tuple(_WORD.findall(text.lower()))[:length], label) for text, label in pairs)
    labels = labels_of_each((sentence, label) for sentence, label in found if sentence)
    # Ties in the order of the alphabet: the file's own order must not decide.
    counts = Counter(word for sentence in labels for word in sentence)
    frequent = sorted(counts, key=lambda word: (-counts[word], word))[: words - 2]
    numbers = {word: number for number, word in enumerate(frequent, start=2)}
    rows = labels_of_each(
        (tuple(numbers.get(word, 1) for word in sentence), label)
        for sentence, label in labels.items()
    )
    if not rows:
        raise ValueError("there is no labelled sentence")
    tokens = np.zeros((len(rows), length), dtype=np.int64)
    for place, row in enumerate(rows):
        tokens[place, : len(row)] = row
    classes, count = encode_labels(list(rows.values()))
    return Arrays(tokens, classes, "classification", count, len(frequent) + 2, scale="none")
