"""The one error style: what was expected, what came, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user handed over is wrong.

    The command line prints it as one line and exits with status 2; a bug of ours is any other
    exception.

    Args:
        expected: What was expected, as a noun phrase ("a learning rate above 0").
        got: What came instead, with the value or type.
        fix: What to do next, as an instruction.

    Example:
        >>> print(UserError("a learning rate above 0", "-0.1", "give lr a positive number"))
        expected a learning rate above 0, got -0.1; give lr a positive number
    """

    def __init__(self, expected: str, got: str, fix: str) -> None:
        self.expected, self.got, self.fix = expected, got, fix
        message = f"expected {expected}, got {got}; {fix}"
        super().__init__(" ".join(message.split()))


def unknown_name(kind: str, name: object, choices: Iterable[str]) -> UserError:
    """An error for a name that is not in a table, with near matches.

    Args:
        kind: What the name stands for, with its article ("an optimizer").
        name: The name that came.
        choices: The names that exist.
    """
    known = sorted(choices)
    near = difflib.get_close_matches(str(name).lower(), known, n=3, cutoff=0.5)
    fix = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(known)}"
    return UserError(f"the name of {kind}", repr(name), fix)
