"""Which releases of packages, and which edition of the knowledge base, an evaluation is of."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from knowledge_base.manifest import MANIFEST, sha256
from knowledge_base.store import read_json
from probes.errors import UserError

SOURCE = "source"
"""Stands for the release of a package that is run from a source tree."""
_DIGITS = 12


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The release of each package, in the order given."""
    return {package: _version(package) for package in packages}


def edition(folder: Path) -> str:
    """Which packed knowledge base this is, so that two evaluations can be seen to be of one.

    Args:
        folder: Of the packed knowledge base.

    Returns:
        Its number of runs and the first digits of the SHA-256 hash of its manifest, which holds
        the hashes of all its files: ``71,184 runs, manifest 0123456789ab``.

    Raises:
        UserError: The manifest is missing, torn, or tells no number of runs.
    """
    path = folder / MANIFEST
    manifest = read_json(path)
    counts = manifest.get("counts") if isinstance(manifest, dict) else None
    runs = counts.get("runs") if isinstance(counts, dict) else None
    if not isinstance(runs, int):
        raise UserError(
            "a manifest with the number of runs", str(path), "rebuild it with advisor kb build"
        )
    return f"{runs:,} runs, manifest {sha256(path)[:_DIGITS]}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return SOURCE
