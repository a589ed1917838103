"""A block of a text file between two marks, written anew by a command."""

from __future__ import annotations

from pathlib import Path

from probes.errors import UserError
from probes.files import write_text


def between_marks(path: Path, begin: str, end: str, text: str) -> None:
    """Put the text between two marks; what stands outside them stays as it is.

    Args:
        path: Of the file.
        begin: The mark before the block; the first one counts.
        end: The mark after it.
        text: What shall stand between them, without the line breaks at the marks.

    Raises:
        UserError: The file does not hold the two marks in this order.
    """
    head, tail = around_marks(path, begin, end)
    write_text(path, f"{head}{begin}\n{text}\n{end}{tail}")


def around_marks(path: Path, begin: str, end: str) -> tuple[str, str]:
    """What stands before the first mark and after the second; see ``between_marks``."""
    head, begun, rest = path.read_text(encoding="utf-8").partition(begin)
    _, ended, tail = rest.partition(end)
    if not (begun and ended):
        raise UserError(f"a file with {begin} and {end}", str(path), "add the two lines")
    return head, tail
