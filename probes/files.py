"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from probes.errors import UserError, shown


def write_text(path: Path, text: str) -> None:
    """Put the text at the path at once, in UTF-8: a reader never sees half of it.

    Raises:
        UserError: There is no such folder, or it cannot be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Put the bytes at the path at once: a reader never sees half of them.

    Raises:
        UserError: There is no such folder, or it cannot be written.
    """
    _check_place(path)
    try:
        if path.exists() and not path.is_file():  # a pipe or a terminal cannot be replaced
            path.write_bytes(data)
            return
        target = path.resolve()  # a link stays a link
        temporary = _beside(target)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise _not_writable(path, error) from error


def check_writable(path: Path) -> None:
    """Try whether ``write_text`` could write there, before the work whose result it is to take.

    Raises:
        UserError: It could not.
    """
    _check_place(path)
    try:
        if path.exists() and not path.is_file():
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        temporary = _beside(path.resolve())
        temporary.touch()
        temporary.unlink()
    except OSError as error:
        raise _not_writable(path, error) from error


def as_path(value: object) -> Path:
    """A path from what the user handed over.

    Raises:
        UserError: It is neither text nor a path.
    """
    if isinstance(value, (str, Path)):
        return Path(value)
    raise UserError("a path as text or pathlib.Path", shown(value), "change the path")


def _check_place(path: Path) -> None:
    # os.path, as pathlib raises on names that are too long
    if "\0" in str(path):
        raise UserError("a path without null bytes", repr(str(path)), "change the path")
    if os.path.isdir(path):
        raise UserError("the path of a file", f"the folder {path}", "add a file name")
    if not os.path.isdir(path.parent):
        raise UserError(
            "a path in a folder that exists", str(path), f"create {path.parent} or change the path"
        )


def _beside(target: Path) -> Path:
    """A hidden neighbour; part of the name will do, as the whole may leave no room for more."""
    return target.with_name(f".{target.name[:40]}.{os.getpid()}")


def _not_writable(path: Path, error: OSError) -> UserError:
    return UserError("a path that can be written", f"{path} ({error.strerror})", "change the path")
