"""The one error style: what was expected, what came, what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from reprlib import Repr

_LONGEST = 200
_TAIL = 80
_LISTED = 60
_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)", re.DOTALL)
_REPR = Repr()
_REPR.maxstring = _REPR.maxother = 120
_REPR.maxlevel = 3


class UserError(ValueError):
    """Something the user handed over is wrong.

    The command line prints it as one line and exits with status 2; a bug of ours is any other
    exception.

    Args:
        expected: What was expected, as a noun phrase ("a learning rate above 0").
        got: What came instead, with the value or type; its middle is left out where it is long.
        fix: What to do next, as an instruction.

    Example:
        >>> print(UserError("a learning rate above 0", "-0.1", "give lr a positive number"))
        expected a learning rate above 0, got -0.1; give lr a positive number
    """

    def __init__(self, expected: str, got: str, fix: str) -> None:
        self.expected, self.got, self.fix = map(one_line, (expected, got, fix))
        if len(self.got) > _LONGEST:  # the end often names the line
            self.got = f"{self.got[: _LONGEST - _TAIL]} ... {self.got[-_TAIL:]}"
        super().__init__(f"expected {self.expected}, got {self.got}; {self.fix}")


def unknown_name(kind: str, name: object, choices: Iterable[str]) -> UserError:
    """An error for a name that is not in a table, with near matches.

    Args:
        kind: What the name stands for, with its article ("an optimizer").
        name: The name that came.
        choices: The names that exist.
    """
    known = sorted(choices)
    near = difflib.get_close_matches(_text(name).lower(), known, n=3, cutoff=0.5)
    listed = ", ".join(known[:_LISTED])
    if len(known) > _LISTED:
        listed += f" ... ({len(known)} in all)"
    fix = f"did you mean {' or '.join(near)}?" if near else f"choose one of {listed}"
    return UserError(f"the name of {kind}", shown(name), fix)


def _text(name: object) -> str:
    return name[:_LONGEST] if isinstance(name, str) else shown(name)


def shown(value: object) -> str:
    """A value's ``repr``, cut short where it is long, deep or repeats itself."""
    return _REPR.repr(value)


def one_line(text: str) -> str:
    """The text on one line, without what a terminal would obey."""
    words = " ".join(_TERMINAL.sub("", text).split())
    return "".join(letter for letter in words if letter.isprintable())
