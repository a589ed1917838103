"""Imported records as they were published: every curve, fact and method, hashes checked first.

What a published run shares with the runs of our own is read by ``knowledge_base.store.load_runs``
from the same files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pydantic import ValidationError

from knowledge_base.fetch import cache_directory
from knowledge_base.importers.base import ImportedMethod, ImportedRun
from knowledge_base.importers.tier import BATCH, FILES, SCHEMA_VERSION
from knowledge_base.manifest import MANIFEST, sha256
from knowledge_base.store import read_json
from probes.errors import UserError


def default_folder() -> Path:
    """Where imported results are kept unless another folder is named."""
    return cache_directory() / "imported"


def formats_in(folder: Path) -> dict[str, Path]:
    """The folders of the formats that were imported, by name; unchecked."""
    return {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{MANIFEST}"))}


def check_imported(tier: Path) -> tuple[Path, ...]:
    """Compare the files of a format with their manifest.

    Returns:
        The files, the manifest the last.

    Raises:
        UserError: It is of another schema, or a file is missing or was changed.
    """
    manifest = read_json(tier / MANIFEST, "import it again with --replace")
    facts: dict[str, Any] = manifest if isinstance(manifest, dict) else {}
    if facts.get("schema") != SCHEMA_VERSION:
        raise UserError(
            f"imported results of schema {SCHEMA_VERSION} in {tier}",
            f"schema {facts.get('schema')}",
            "import them again with advisor kb import --replace, or install the release that wrote "
            "them",
        )  # fmt: skip
    hashes = facts.get("files")
    for name in FILES:
        expected = hashes.get(name) if isinstance(hashes, dict) else None
        if not (tier / name).is_file() or sha256(tier / name) != expected:
            raise UserError(
                f"{tier / name} as its manifest describes it", "a missing or changed file",
                "import it again with --replace",
            )  # fmt: skip
    return (*(tier / name for name in FILES), tier / MANIFEST)


def load_imported(folder: Path, formats: Iterable[str] | None = None) -> list[ImportedRun]:
    """The imported runs of a folder, hashes and schema checked first.

    Args:
        folder: What was given as ``--out``.
        formats: Only these; None takes all that are there.

    Raises:
        UserError: Nothing was imported there, a file was changed, or its schema is another.
    """
    runs = []
    fields = list(ImportedRun.model_fields)
    for tier in _tiers(folder, formats):
        methods = _methods(tier)
        table = pq.ParquetFile(tier / "runs.parquet")
        for batch in table.iter_batches(batch_size=BATCH, columns=fields):
            for row in batch.to_pylist(maps_as_pydicts="strict"):
                row["method"] = methods[row["method"]]
                runs.append(ImportedRun.model_validate(row))
    return runs


def load_methods(folder: Path, formats: Iterable[str] | None = None) -> list[ImportedMethod]:
    """The imported methods of a folder, lists of configurations in their order.

    Args and errors as ``load_imported``.
    """
    return [method for tier in _tiers(folder, formats) for method in _methods(tier).values()]


def _tiers(folder: Path, formats: Iterable[str] | None) -> Iterator[Path]:
    found = formats_in(folder)
    wanted = list(found if formats is None else formats)
    for name in wanted:
        if name not in found:
            raise UserError(
                f"imported results of {name}", f"none in {folder}", "run advisor kb import"
            )
    if not found:
        raise UserError("imported results", f"none in {folder}", "run advisor kb import")
    for name in wanted:
        check_imported(found[name])
        yield found[name]


def _methods(tier: Path) -> dict[str, ImportedMethod]:
    data = read_json(tier / "methods.json", "import it again with --replace")
    try:
        return {key: ImportedMethod.model_validate(method) for key, method in data.items()}
    except ValidationError as error:
        raise UserError(
            f"methods in {tier}", str(error), "import it again with --replace"
        ) from None
