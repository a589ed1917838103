"""The packed knowledge base: a journal as Parquet and JSON, with a manifest of hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from knowledge_base.journal import Journal
from probes.errors import UserError
from probes.files import write_text

SCHEMA_VERSION = 1
SHIPPED = Path(__file__).parent / "data"
_PACKED = ("runs.parquet", "recipes.json", "profiles.parquet")


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
