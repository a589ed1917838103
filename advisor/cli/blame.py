"""Whose fault an exception is: that of the user's code or ours."""

from __future__ import annotations

import sysconfig
import traceback
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from probes.errors import UserError

_LONGEST = 300


def fault_of_user(error: BaseException) -> UserError | None:
    """The exception as a UserError if the user's code raised it, else None.

    The last frame that is either ours or the user's decides: a library that the user's code calls
    fails on their account, one that ours calls on ours.
    """
    frames = [
        (frame, _owner(frame.filename)) for frame in traceback.extract_tb(error.__traceback__)
    ]
    told = [(frame, owner) for frame, owner in frames if owner != "library"]
    if not told or told[-1][1] == "us":
        return None
    frame = told[-1][0]
    return raised_at(f"{frame.name} in {frame.filename} to run", error, frame)


def last_frame_of_user(error: BaseException) -> traceback.FrameSummary | None:
    """Where in the user's code the exception came from, whoever raised it in the end."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame for frame in reversed(frames) if _owner(frame.filename) == "user"), None)


def raised_at(
    expected: str, error: BaseException, frame: traceback.FrameSummary | None
) -> UserError:
    """A UserError that names an exception and the line it came from."""
    if frame is None:
        return UserError(expected, brief(error), "mend it")
    return UserError(
        expected, f"{brief(error)} at line {frame.lineno} of {frame.filename}",
        f"mend the line {(frame.line or '').strip()[:_LONGEST]!r}",
    )  # fmt: skip


def brief(error: BaseException) -> str:
    """Type and message of an exception in one line."""
    message = " ".join(str(error).split())
    if len(message) > _LONGEST:
        message = message[:_LONGEST] + " ..."
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _owner(file: str) -> Literal["us", "library", "user"]:
    if any(_within(file, folder) for folder in _our_folders()):
        return "us"  # asked first, as we may be installed among the libraries
    if file.startswith("<") or any(_within(file, folder) for folder in _library_folders()):
        return "library"
    return "user"


def _within(file: str, folder: Path) -> bool:
    return Path(file).is_relative_to(folder)


@cache
def _our_folders() -> tuple[Path, ...]:
    specs = [find_spec(name) for name in ("advisor", "knowledge_base", "probes")]
    return tuple(Path(spec.origin).parent for spec in specs if spec and spec.origin)


@cache
def _library_folders() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return tuple({Path(paths[key]) for key in ("stdlib", "platstdlib", "purelib", "platlib")})
