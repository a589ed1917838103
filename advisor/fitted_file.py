"""Files that ``advisor kb fit`` writes, and what is said of one that is missing or damaged."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from probes.errors import UserError

FOLDER = Path(__file__).parent / "data"
"""Where the package's own lie."""


def remedy(folder: Path) -> str:
    """What to do about files of a folder: the command that writes them there."""
    if folder.resolve() == FOLDER.resolve():
        return "run advisor kb fit"
    return f"run advisor kb fit --out {shlex.quote(str(folder))}"


def missing(path: Path, what: str) -> UserError:
    """The error for a file that is not there; ``what`` it should hold, in words."""
    return UserError(what, f"no {path}", remedy(path.parent))


def damaged(path: Path, what: str) -> UserError:
    """The error for a file that does not hold what it should; ``what`` in words."""
    return UserError(what, f"{path}, which is damaged", remedy(path.parent))


def of_another(path: Path, what: str) -> UserError:
    """The error for a file that goes with another release or other files; ``what`` in words."""
    return UserError(what, f"{path} of another", remedy(path.parent))


def unreadable(path: Path, what: str, error: OSError) -> UserError:
    """The error for a file that the system does not hand out; ``what`` in words."""
    if isinstance(error, FileNotFoundError):
        return missing(path, what)
    told = f"{path} ({error.strerror or 'cannot be read'})"
    return UserError(what, told, remedy(path.parent))


def read_fitted(path: Path, what: str) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        path: The file.
        what: What it should hold, in words.

    Raises:
        UserError: It is not there, cannot be read, or holds none.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(path, what, error) from None
    except (ValueError, RecursionError):
        raise damaged(path, what) from None
    if not isinstance(data, dict):
        raise damaged(path, what)
    return data
