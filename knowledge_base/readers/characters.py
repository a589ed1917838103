"""Text as integer tokens: an alphabet, windows for next-character models, padded strings."""

from __future__ import annotations

import html
import re
import string
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from knowledge_base.readers.arrays import (
    Arrays,
    Integers,
    ReadMember,
    encode_labels,
    labels_of_each,
)

PRINTABLE = "\n" + "".join(sorted(string.digits + string.ascii_letters + string.punctuation + " "))


def encode(text: str, alphabet: str) -> Integers:
    """The position of each character in the alphabet, (len(text),).

    Characters outside the alphabet get the number len(alphabet).
    """
    points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    known = np.asarray([ord(character) for character in alphabet], dtype=np.uint32)
    order = np.argsort(known)
    place = np.minimum(np.searchsorted(known, points, sorter=order), len(alphabet) - 1)
    nearest = order[place]
    tokens: Integers = np.where(known[nearest] == points, nearest, len(alphabet))
    return tokens


def next_character(text: str, alphabet: str, length: int = 64) -> Arrays:
    """Windows that do not overlap; the target of each position is the character after it.

    Args:
        text: The whole text.
        alphabet: The known characters; every other one is the token len(alphabet).
        length: Tokens per window.

    Returns:
        inputs and targets int64 (N, length), in the order of the text.
    """
    tokens = encode(text, alphabet)
    windows = tokens[: len(tokens) // (length + 1) * (length + 1)].reshape(-1, length + 1)
    size = len(alphabet) + 1
    return Arrays(
        windows[:, :-1], windows[:, 1:], "next_token", size, size, scale="none", in_order=True
    )


def padded(texts: list[str], length: int) -> tuple[Integers, int]:
    """Strings as tokens (N, length) and the vocabulary's size.

    The alphabet is the sorted set of characters that occur, numbered from 1; 0 pads shorter
    strings at the end, and longer ones are cut.
    """
    cut = [text[:length] for text in texts]
    alphabet = "".join(sorted(set("".join(cut))))
    filled = np.arange(length) < np.asarray([len(text) for text in cut])[:, None]
    tokens = np.zeros(filled.shape, dtype=np.int64)
    tokens[filled] = encode("".join(cut), alphabet) + 1
    return tokens, len(alphabet) + 1


def labelled_strings(pairs: Iterable[tuple[str, str]], length: int) -> Arrays:
    """A classification of strings, from (string, label) pairs.

    Longer strings are cut to `length`. One that occurs twice is then kept once, and one with two
    labels is left out: no row may be in two parts of a split or have two right answers.
    """
    labels = labels_of_each((text[:length], label) for text, label in pairs)
    tokens, vocabulary = padded(list(labels), length)
    numbers, classes = encode_labels(list(labels.values()))
    return Arrays(tokens, numbers, "classification", classes, vocabulary, scale="none")


@dataclass(frozen=True)
class WikiPages:
    """Reader of a MediaWiki export for a next-character model, markup included.

    Attributes:
        member: The XML file.
        per_page: Characters taken from the start of each page.
        length: Tokens per window.
    """

    member: str
    per_page: int = 8000
    length: int = 64

    def __call__(self, read: ReadMember) -> Arrays:
        """Windows over the pages."""
        export = read(self.member).decode("utf-8")
        pages = re.findall(r"<text[^>]*>(.*?)</text>", export, flags=re.DOTALL)
        text = "\n".join(html.unescape(page)[: self.per_page] for page in pages)
        return next_character(text, PRINTABLE, self.length)
