"""Imported records on the disk: a folder for each format, apart from the runs of our own.

``FOLDER/<format>/`` holds ``runs.parquet``, ``methods.json`` and ``manifest.json`` with the schema
version, the counts and the hashes. Importing a format again takes the place of the earlier import
where that is asked for, and is refused else.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from knowledge_base.importers.base import ImportedMethod, ImportedRun
from knowledge_base.manifest import MANIFEST, check_place, put_in_place, sha256
from knowledge_base.store import read_json
from probes.errors import UserError
from probes.files import write_text

SCHEMA_VERSION = 1
_FILES = ("runs.parquet", "methods.json")
_BATCH = 1000
_CURVE = pa.struct(
    [
        ("metric", pa.string()),
        ("split", pa.string()),
        ("steps", pa.list_(pa.int64())),
        ("values", pa.list_(pa.float64())),
        ("seconds", pa.list_(pa.float64())),
    ]
)
_ENDING = pa.struct(
    [
        ("metric", pa.string()),
        ("target", pa.float64()),
        ("higher_is_better", pa.bool_()),
        ("reached", pa.bool_()),
        ("censored", pa.bool_()),
        ("step", pa.int64()),
        ("seconds", pa.float64()),
        ("cause", pa.string()),
        ("limit_seconds", pa.float64()),
    ]
)
_SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("licence", pa.string()),
        ("origin", pa.string()),
        ("task", pa.string()),
        ("method", pa.string()),
        ("seed", pa.int64()),
        ("trial", pa.int64()),
        ("step_unit", pa.string()),
        ("diverged", pa.bool_()),
        ("ending", _ENDING),
        ("curves", pa.list_(_CURVE)),
        ("numbers", pa.map_(pa.string(), pa.float64())),
        ("words", pa.map_(pa.string(), pa.string())),
        ("missing", pa.map_(pa.string(), pa.string())),
    ]
)
_MAPS = ("numbers", "words", "missing")


class TierWriter:
    """Writes one format's folder; nothing of it is seen before ``finish``.

    Args:
        folder: Where the folders of all formats are; made if it is not there.
        format_name: Name of the format.
        replace: Whether an earlier import of the format may be replaced.

    Attributes:
        replaces: Runs (of a list: methods) of the earlier import.

    Raises:
        UserError: It cannot be written there, files of somebody else's are in the way, or an
            earlier import that is not to be replaced.

    Use as a context manager: leaving it without ``finish`` leaves what was there.
    """

    def __init__(self, folder: Path, format_name: str, replace: bool) -> None:
        self._target = folder / format_name
        self._format = format_name
        self._replace = replace
        self.replaces = 0
        self._methods: dict[str, ImportedMethod] = {}
        self._keys: dict[int, tuple[str, ImportedMethod]] = {}
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        if check_place(self._target, _FILES, _FILES):
            self.replaces = _records(read_json(self._target / MANIFEST))
            if not self._replace:
                raise UserError(
                    "no earlier import in the place of a new one",
                    f"{self.replaces} record{'s' if self.replaces != 1 else ''} in {self._target}",
                    "add --replace to put the new one in its place, or give another --out",
                )
        try:
            self._target.mkdir(parents=True, exist_ok=True)
            self._scratch = tempfile.TemporaryDirectory(dir=self._target, prefix=".import")
        except (OSError, ValueError) as error:
            raise UserError(
                "a folder that can be written", f"{self._target} ({error})", "give another --out"
            ) from None
        self._new = Path(self._scratch.name)
        self._parquet = pq.ParquetWriter(
            self._new / "runs.parquet", _SCHEMA, compression="zstd", compression_level=6
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._parquet.close()
        self._scratch.cleanup()
        if not os.listdir(self._target):
            self._target.rmdir()

    def method(self, method: ImportedMethod) -> str:
        """Keep a method; returns its key."""
        known = self._keys.get(id(method))  # one object serves many runs, and a hash takes time
        if known is not None:
            return known[0]
        key = method.key
        self._keys[id(method)] = (key, method)  # held, or another could get its id
        self._methods.setdefault(key, method)
        return key

    def run(self, run: ImportedRun) -> None:
        """Write one run."""
        row = run.model_dump(exclude={"method", *_MAPS})
        row["method"] = self.method(run.method)
        for name in _MAPS:
            row[name] = list(getattr(run, name).items())
        self._rows.append(row)
        if len(self._rows) == _BATCH:
            self._flush()

    def finish(self, facts: dict[str, Any]) -> None:
        """Close the files and put them, with a manifest of these facts, in the place of the old."""
        self._flush()
        self._parquet.close()
        methods = {key: method.model_dump() for key, method in self._methods.items()}
        write_text(self._new / "methods.json", json.dumps(methods, separators=(",", ":")) + "\n")
        manifest = {
            "schema": SCHEMA_VERSION,
            "format": self._format,
            **facts,
            "files": {name: sha256(self._new / name) for name in _FILES},
        }
        write_text(self._new / MANIFEST, json.dumps(manifest, indent=1) + "\n")
        put_in_place(self._new, self._target, _FILES)

    def _flush(self) -> None:
        if self._rows:
            self._parquet.write_table(pa.Table.from_pylist(self._rows, _SCHEMA))
            self._rows = []


def load_imported(folder: Path, formats: Iterable[str] | None = None) -> list[ImportedRun]:
    """The imported runs of a folder, hashes and schema checked first.

    Args:
        folder: What was given as ``--out``.
        formats: Only these; None takes all that are there.

    Raises:
        UserError: Nothing was imported there, or a file was changed or is of a newer schema.
    """
    runs = []
    for tier in _tiers(folder, formats):
        methods = _methods(tier)
        for batch in pq.ParquetFile(tier / "runs.parquet").iter_batches(batch_size=_BATCH):
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
    found = {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{MANIFEST}"))}
    for name in found if formats is None else formats:
        if name not in found:
            raise UserError(
                f"imported results of {name}", f"none in {folder}", "run advisor kb import"
            )
    if not found:
        raise UserError("imported results", f"none in {folder}", "run advisor kb import")
    for name in found if formats is None else formats:
        _manifest(found[name])
        yield found[name]


def _manifest(tier: Path) -> dict[str, Any]:
    """The manifest, its schema and the hashes of its files checked."""
    manifest = read_json(tier / MANIFEST, "import it again")
    facts = manifest if isinstance(manifest, dict) else {}
    if facts.get("schema") != SCHEMA_VERSION:
        raise UserError(
            f"imported results of schema {SCHEMA_VERSION}", f"schema {facts.get('schema')}",
            "import them again, or install the release that wrote them",
        )  # fmt: skip
    hashes = facts.get("files")
    for name in _FILES:
        expected = hashes.get(name) if isinstance(hashes, dict) else None
        if not (tier / name).is_file() or sha256(tier / name) != expected:
            raise UserError(
                f"{tier / name} as its manifest describes it", "a missing or changed file",
                "import it again",
            )  # fmt: skip
    return facts


def _methods(tier: Path) -> dict[str, ImportedMethod]:
    data = read_json(tier / "methods.json", "import it again")
    try:
        return {key: ImportedMethod.model_validate(method) for key, method in data.items()}
    except ValidationError as error:
        raise UserError(f"methods in {tier}", str(error), "import it again") from None


def _records(manifest: Any) -> int:
    """Runs (of a list: methods) that an import has brought; 0 where its counts are no counts."""
    counts = manifest.get("counts")
    by_source = counts.get("by_source") if isinstance(counts, dict) else None
    found = by_source.values() if isinstance(by_source, dict) else ()
    return sum(count for count in found if isinstance(count, int))
