"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
from pathlib import Path

from probes.errors import UserError


def write_text(path: Path, text: str) -> None:
    """Put the text at the path at once: a reader never sees half of it.

    Raises:
        UserError: There is no such folder, or it cannot be written.
    """
    if path.is_dir():
        raise UserError("the path of a file", f"the folder {path}", "add a file name")
    if not path.parent.is_dir():
        raise UserError(
            "a path in a folder that exists", str(path), f"create {path.parent} or change the path"
        )
    try:
        if path.exists() and not path.is_file():  # a pipe or a terminal cannot be replaced
            path.write_text(text, encoding="utf-8")
            return
        target = path.resolve()  # a link stays a link
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            "a path that can be written", f"{path} ({error.strerror})", "change the path"
        ) from error
