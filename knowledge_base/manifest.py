"""Folders that hold files of ours: a manifest lists them, and nobody else's are written over."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection
from pathlib import Path

from probes.errors import UserError

MANIFEST = "manifest.json"


def sha256(path: Path) -> str:
    """The hash of a file, as 64 hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def put_in_place(new: Path, folder: Path, names: Collection[str]) -> None:
    """Move finished files to where they belong, their manifest first.

    One that is stopped midway leaves files that do not all have the hashes of the manifest, so
    that nobody reads them, and that the manifest lists, so that they may be written over.

    Args:
        new: The folder that holds them, on the same disk.
        folder: Where they go.
        names: The files, the manifest aside.
    """
    for name in (MANIFEST, *names):
        (new / name).replace(folder / name)


def check_place(folder: Path, names: Collection[str], always: Collection[str]) -> bool:
    """Whether a folder holds files of ours; refuses one where a file of somebody else's would go.

    A manifest of ours, of whatever release, has a schema's number and the hashes of its files.

    Args:
        folder: Where files are to be written; it need not be there.
        names: The files to be written, the manifest aside.
        always: Those of them that every manifest of ours lists.

    Raises:
        UserError: Its manifest is none of ours, or one of the files is there and no manifest of
            ours lists it.
    """
    listed = _listed(folder, always)
    if listed is None and os.path.lexists(folder / MANIFEST):
        raise _not_ours(folder, f"a {MANIFEST} that it did not write")
    foreign = [
        name for name in names if name not in (listed or ()) and os.path.lexists(folder / name)
    ]
    if foreign:
        raise _not_ours(folder, f"{' and '.join(foreign)} that no manifest of it lists")
    return listed is not None


def _not_ours(folder: Path, what: str) -> UserError:
    return UserError(
        "a folder with no such files, or with those that advisor wrote", f"{folder} with {what}",
        "give another folder, or move these files away",
    )  # fmt: skip


def _listed(folder: Path, always: Collection[str]) -> Collection[str] | None:
    """The files that a manifest of ours lists; None where there is none of ours."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(manifest, dict) or type(manifest.get("schema")) is not int:
        return None
    files = manifest.get("files")
    return files.keys() if isinstance(files, dict) and files.keys() >= set(always) else None
