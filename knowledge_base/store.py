"""The store of runs: a journal that loses nothing, and the packed files that are shipped.

The journal is one text file, a line a record: the CRC-32 of the JSON, a tab, the JSON. One writer
holds a lock on it, appends, flushes and fsyncs; a line torn by a crash is named, set aside and does
not stop the rest. ``pack`` turns a journal into Parquet and a manifest with hashes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from probes.errors import UserError
from probes.files import write_text

SCHEMA_VERSION = 1
SHIPPED = Path(__file__).parent / "data"
_PACKED = ("runs.parquet", "recipes.json", "profiles.parquet")
Role = Literal["reference", "searched", "repeat"]


class RunRecord(BaseModel):
    """One finished run of a recipe on a benchmark task.

    Attributes:
        task: Name of the task.
        recipe: Key of the recipe (``Recipe.key``).
        seed: Seed of weights and batch order.
        role: "reference" recipes run on every task; "searched" ones were chosen adaptively, on
            this task's validation loss; "repeat" runs are further seeds of either.
        initial: Validation loss before the first step.
        final: Validation loss at the end (NaN where it diverged).
        test: Test loss at the end.
        metric: Validation metric at the end (NaN where the task has none).
        test_metric: Test metric at the end.
        steps: Optimizer steps done.
        passes: Passes spent, in batches of the task's batch size.
        seconds_per_step: Wall time of a step on one core.
        diverged: Whether it was stopped for its loss.
        curve_steps: Steps of the evaluations, the first 0.
        curve_validation: Validation losses there.
        curve_train: Mean training loss since the evaluation before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")
    task: str
    recipe: str
    seed: int
    role: Role
    initial: float
    final: float
    test: float
    metric: float
    test_metric: float
    steps: int
    passes: float
    seconds_per_step: float
    diverged: bool
    curve_steps: tuple[int, ...]
    curve_validation: tuple[float, ...]
    curve_train: tuple[float, ...]


class Journal:
    """Durable, append-only records of three kinds: "recipe", "run" and "profile".

    Args:
        path: The journal's file; made if it is not there.

    Raises:
        UserError: Another builder holds the store, or it cannot be written there.

    Use as a context manager to write; reading needs no lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a+b")
        except (OSError, ValueError) as error:  # a null byte
            raise UserError(
                "a store that can be written", f"{self.path} ({error})", "give another --store"
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise UserError(
                "a store no other builder writes to", f"{self.path}, which is locked",
                "wait for the other builder or give another --store",
            ) from None  # fmt: skip
        if self._file.seek(0, os.SEEK_END) > 0:
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":  # a torn last line must not swallow the next one
                self._file.write(b"\n")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._file = None

    def append(self, kind: str, record: dict[str, Any]) -> None:
        """Write one record through to the disk."""
        text = json.dumps({"kind": kind, **record}, separators=(",", ":")).encode()
        self._file.write(b"%08x\t%s\n" % (zlib.crc32(text), text))
        self._file.flush()
        os.fsync(self._file.fileno())

    def read(self, damaged: list[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """(kind, record) of every whole line; the others are named in ``damaged``."""
        if not self.path.exists():
            return
        with open(self.path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                record = _whole(line)
                if record is not None:
                    yield record.pop("kind"), record
                elif damaged is not None:
                    damaged.append(f"{self.path}:{number}: torn or foreign line, set aside")


def _whole(line: bytes) -> dict[str, Any] | None:
    """The record of a line, or None where the line is torn or not ours."""
    checksum, tab, text = line.rstrip(b"\n").partition(b"\t")
    if not tab or checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "kind" in record else None


_RUN_SCHEMA = pa.schema(
    [
        ("task", pa.dictionary(pa.int16(), pa.string())),
        ("recipe", pa.dictionary(pa.int16(), pa.string())),
        ("seed", pa.int16()),
        ("role", pa.dictionary(pa.int8(), pa.string())),
        ("initial", pa.float32()),
        ("final", pa.float32()),
        ("test", pa.float32()),
        ("metric", pa.float32()),
        ("test_metric", pa.float32()),
        ("steps", pa.int32()),
        ("passes", pa.float32()),
        ("seconds_per_step", pa.float32()),
        ("diverged", pa.bool_()),
        ("curve_steps", pa.list_(pa.int32())),
        ("curve_validation", pa.list_(pa.float32())),
        ("curve_train", pa.list_(pa.float32())),
    ]
)


_PROFILE_SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("tier", pa.int16()),
        ("seed", pa.int16()),
        ("passes", pa.float64()),
        ("seconds", pa.float64()),
        ("seconds_per_pass", pa.float64()),
        ("device", pa.string()),
        ("values", pa.map_(pa.string(), pa.float64())),
        ("missing", pa.map_(pa.string(), pa.string())),
    ]
)


def pack(journal: Journal, folder: Path, made_by: str, details: dict[str, Any]) -> dict[str, Any]:
    """Write a journal as Parquet and JSON with a manifest of hashes; returns the manifest.

    Args:
        journal: What to pack; a run recorded twice is kept once, one whose recipe's line was
            damaged is left out and counted.
        folder: Where the files go.
        made_by: The command that made the runs.
        details: Further facts for the manifest (versions, date).
    """
    runs: dict[tuple[str, str, int], dict[str, Any]] = {}
    recipes: dict[str, Any] = {}
    profiles: dict[tuple[str, int, int], dict[str, Any]] = {}
    damaged: list[str] = []
    for kind, record in journal.read(damaged):
        if kind == "run":
            runs[record["task"], record["recipe"], record["seed"]] = record
        elif kind == "recipe":
            recipes[record["key"]] = record["recipe"]
        elif kind == "profile":
            profiles[record["task"], record["tier"], record["seed"]] = record
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise UserError(
            "a folder that can be made", f"{folder} ({error})", "change the path"
        ) from None
    # in the order they finished: a search can be replayed
    ordered = [run for run in runs.values() if run["recipe"] in recipes]
    used = {run["recipe"] for run in ordered}
    pq.write_table(
        pa.Table.from_pylist(ordered, _RUN_SCHEMA), folder / "runs.parquet", compression="zstd",
        compression_level=12,
    )  # fmt: skip
    _write_json(folder / "recipes.json", {key: recipes[key] for key in sorted(used)})
    rows = [profiles[key] for key in sorted(profiles)]
    write_profiles(folder, rows)
    manifest = {
        "schema": SCHEMA_VERSION,
        "made_by": made_by,
        **details,
        "files": {name: _sha256(folder / name) for name in _PACKED},
        "counts": {
            "runs": len(ordered),
            "recipes": len(used),
            "profiles": len(profiles),
            "set_aside": len(damaged) + len(runs) - len(ordered),
        },
    }
    _write_json(folder / "manifest.json", manifest, indent=1)
    return manifest


def check_hashes(folder: Path = SHIPPED) -> None:
    """Compare the packed files with their manifest.

    Raises:
        UserError: A file is missing or was changed.
    """
    manifest = read_json(folder / "manifest.json")
    facts = manifest if isinstance(manifest, dict) else {"schema": SCHEMA_VERSION}
    if facts.get("schema") != SCHEMA_VERSION:
        raise UserError(
            f"a knowledge base of schema {SCHEMA_VERSION}", f"schema {facts.get('schema')}",
            "install the release that wrote it",
        )  # fmt: skip
    listed = facts.get("files")
    if not isinstance(listed, dict) or not set(_PACKED) <= set(listed):
        raise UserError(
            f"a manifest with the hashes of {', '.join(_PACKED)}", str(folder / "manifest.json"),
            "rebuild it with advisor kb build",
        )  # fmt: skip
    for name, expected in listed.items():
        path = folder / name
        if not path.is_file() or _sha256(path) != expected:
            raise UserError(
                f"{name} as the manifest describes it", "a missing or changed file",
                "reinstall optimizer-advisor or rebuild with advisor kb build",
            )  # fmt: skip


def load_runs(folder: Path = SHIPPED, columns: Iterable[str] | None = None) -> dict[str, Any]:
    """The packed runs as columns: NumPy arrays, curves as lists of arrays."""
    path = folder / "runs.parquet"
    if not path.exists():
        raise UserError("a packed knowledge base", f"no {path}", "run advisor kb build")
    wanted = None if columns is None else list(columns)
    loaded = pq.read_table(path, columns=wanted)
    result: dict[str, Any] = {}
    for name in loaded.column_names:
        column = loaded.column(name)
        if pa.types.is_list(column.type):
            result[name] = [np.asarray(row) for row in column.to_pylist()]
        else:
            result[name] = np.asarray(column.to_pylist() if pa.types.is_dictionary(column.type)
                                      else column.to_numpy())  # fmt: skip
    return result


def load_recipes(folder: Path = SHIPPED) -> dict[str, dict[str, Any]]:
    """The recipes of the packed runs by key, as plain data."""
    recipes: dict[str, dict[str, Any]] = read_json(folder / "recipes.json")
    return recipes


def load_profiles(folder: Path = SHIPPED) -> list[dict[str, Any]]:
    """The packed profiles: a record a task, tier and seed, with what was measured."""
    path = folder / "profiles.parquet"
    if not path.exists():
        raise UserError("a packed knowledge base", f"no {path}", "run advisor kb build")
    records = []
    for row in pq.read_table(path).to_pylist(maps_as_pydicts="strict"):
        place = {name: row.pop(name) for name in ("task", "tier", "seed")}
        records.append({**place, "profile": row})
    return records


def write_profiles(folder: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write profiles as Parquet; each record has task, tier, seed and the profile as plain data."""
    rows = [
        {
            **{name: record["profile"].get(name) for name in _PROFILE_SCHEMA.names},
            **{name: record[name] for name in ("task", "tier", "seed")},
            "values": list(record["profile"].get("values", {}).items()),
            "missing": list(record["profile"].get("missing", {}).items()),
        }
        for record in records
    ]
    pq.write_table(
        pa.Table.from_pylist(rows, _PROFILE_SCHEMA), folder / "profiles.parquet",
        compression="zstd", compression_level=12,
    )  # fmt: skip


def read_json(path: Path) -> Any:
    """What a JSON file of the knowledge base holds.

    Raises:
        UserError: It is missing or torn.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError("a packed knowledge base", f"no {path}", "run advisor kb build") from None
    except OSError as error:  # a part of the path is a file, or it is too long
        raise UserError(
            "a packed knowledge base", f"{path} ({error.strerror})", "check the path"
        ) from None
    except (ValueError, RecursionError) as error:  # torn, or no text at all
        raise UserError(f"complete JSON in {path}", str(error), "rebuild it") from None


def _write_json(path: Path, data: Any, indent: int | None = None) -> None:
    separators = (",", ":") if indent is None else None
    write_text(path, json.dumps(data, indent=indent, separators=separators) + "\n")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
