"""Imported records on the disk: a folder for each format, apart from the runs of our own.

``FOLDER/<format>/`` holds ``runs.parquet`` and ``recipes.json`` as a packed knowledge base does, so
``knowledge_base.store`` reads them, ``methods.json`` and ``manifest.json`` with the schema version,
the counts and the hashes. The runs have the columns of our own, wider numbers, and further ones:
``tier`` ("imported:algoperf"), ``source``, ``licence``, ``censored`` and all else that was
published. ``recipe`` is None where no recipe says the method that ``method`` names. Importing a
format again takes the place of the earlier import where that is asked for, and is refused else.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from knowledge_base.importers.base import ImportedMethod, ImportedRun
from knowledge_base.importers.columns import run_columns
from knowledge_base.manifest import MANIFEST, check_place, put_in_place, sha256
from knowledge_base.run_columns import RUN_SCHEMA
from knowledge_base.store import read_json
from probes.errors import UserError
from probes.files import write_text
from probes.recipe.schema import Recipe

SCHEMA_VERSION = 2
FILES = ("runs.parquet", "recipes.json", "methods.json")
BATCH = 1000
_ALWAYS = ("runs.parquet", "methods.json")  # of every schema
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


def _wide(kind: Any) -> Any:
    """The type of a column of ours with room for whatever number was published."""
    if pa.types.is_list(kind):
        return pa.list_(_wide(kind.value_type))
    if pa.types.is_floating(kind):
        return pa.float64()
    return pa.int64() if pa.types.is_integer(kind) else kind


_SCHEMA = pa.schema(
    [
        *((column.name, _wide(column.type)) for column in RUN_SCHEMA),
        ("tier", pa.string()),
        ("source", pa.string()),
        ("licence", pa.string()),
        ("censored", pa.bool_()),
        ("origin", pa.string()),
        ("method", pa.string()),
        ("trial", pa.int64()),
        ("step_unit", pa.string()),
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
        self._recipes: dict[str, dict[str, Any]] = {}
        self._recipes_of: dict[str, str | None] = {}
        self._keys: dict[int, tuple[str, ImportedMethod]] = {}
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        if check_place(self._target, FILES, _ALWAYS):
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
        recipe = None if method.recipe is None else Recipe.parse(method.recipe)
        self._recipes_of[key] = recipe.key if recipe else None
        if recipe:
            self._recipes.setdefault(recipe.key, recipe.plain())
        return key

    def run(self, run: ImportedRun) -> None:
        """Write one run."""
        row = run.model_dump(exclude={"method", *_MAPS})
        row.update(run_columns(run))
        row["method"] = self.method(run.method)
        row["recipe"] = self._recipes_of[row["method"]]
        row["tier"] = f"imported:{self._format}"
        row["censored"] = run.ending.censored if run.ending else None
        for name in _MAPS:
            row[name] = list(getattr(run, name).items())
        self._rows.append(row)
        if len(self._rows) == BATCH:
            self._flush()

    def finish(self, facts: dict[str, Any]) -> None:
        """Close the files and put them, with a manifest of these facts, in the place of the old."""
        self._flush()
        self._parquet.close()
        methods = {key: method.model_dump() for key, method in self._methods.items()}
        for name, plain in (("recipes.json", self._recipes), ("methods.json", methods)):
            write_text(self._new / name, json.dumps(plain, separators=(",", ":")) + "\n")
        manifest = {
            "schema": SCHEMA_VERSION,
            "format": self._format,
            **facts,
            "files": {name: sha256(self._new / name) for name in FILES},
        }
        write_text(self._new / MANIFEST, json.dumps(manifest, indent=1) + "\n")
        put_in_place(self._new, self._target, FILES)

    def _flush(self) -> None:
        if self._rows:
            self._parquet.write_table(pa.Table.from_pylist(self._rows, _SCHEMA))
            self._rows = []


def _records(manifest: Any) -> int:
    """Runs (of a list: methods) that an import has brought; 0 where its counts are no counts."""
    counts = manifest.get("counts")
    by_source = counts.get("by_source") if isinstance(counts, dict) else None
    found = by_source.values() if isinstance(by_source, dict) else ()
    return sum(count for count in found if isinstance(count, int))
