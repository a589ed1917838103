"""Which releases of packages an evaluation was made with."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

SOURCE = "source"
"""Stands for the release of a package that is run from a source tree."""


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The release of each package, in the order given."""
    return {package: _version(package) for package in packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return SOURCE
