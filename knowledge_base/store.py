"""The packed knowledge base: a journal as Parquet and JSON, with a manifest of hashes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from knowledge_base.journal import Journal
from knowledge_base.manifest import MANIFEST, check_place, put_in_place, sha256
from knowledge_base.run_columns import RUN_SCHEMA, as_arrays
from knowledge_base.state import State
from probes.errors import UserError
from probes.files import write_text
from probes.recipe.schema import Recipe

SCHEMA_VERSION = 1
SHIPPED = Path(__file__).parent / "data"
_PACKED = ("runs.parquet", "recipes.json", "profiles.parquet")
_WRITTEN = (*_PACKED, "refused.json")

_OF_EVERY_RUN = ("task", "recipe", "seed", "role")

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

    All files are written beside their places first and then put there: one that is stopped midway
    leaves the pack before it, or one that ``check_hashes`` refuses and that may be packed anew.

    Args:
        journal: What to pack; a run recorded twice is kept once, one whose recipe's line was
            damaged is left out and counted.
        folder: Where the files go.
        made_by: The command that made the runs.
        details: Further facts for the manifest (versions, date).

    Raises:
        UserError: The folder cannot be made or written, or see ``check_pack_place``.
    """
    check_pack_place(folder)
    state = State.of(journal)
    used = {run["recipe"] for run in state.runs.values()} | {
        key for _, key in state.refused if key in state.recipes
    }
    refused: dict[str, dict[str, str]] = {}
    for (task, key), reason in sorted(state.refused.items()):
        if key in used:
            refused.setdefault(task, {})[key] = reason
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".pack-") as beside:
            new = Path(beside)
            # in the order they finished: a search can be replayed
            write_runs(new, state.runs.values())
            _write_json(new / "recipes.json", {key: state.recipes[key] for key in sorted(used)})
            write_profiles(new, [state.profiles[place] for place in sorted(state.profiles)])
            _write_json(new / "refused.json", refused)
            manifest = {
                "schema": SCHEMA_VERSION,
                "made_by": made_by,
                **details,
                "rows": dict(sorted(state.rows.items())),
                "files": {name: sha256(new / name) for name in _WRITTEN},
                "counts": {
                    "runs": len(state.runs),
                    "recipes": len(used),
                    "profiles": len(state.profiles),
                    "refused": sum(map(len, refused.values())),
                    "set_aside": len(state.damaged),
                },
            }
            _write_json(new / MANIFEST, manifest, indent=1)
            put_in_place(new, folder, _WRITTEN)
    except (OSError, ValueError) as error:
        raise UserError(
            "a folder that can be made", f"{folder} ({error})", "change the path"
        ) from None
    return manifest


def check_pack_place(folder: Path) -> None:
    """Refuse to pack into a folder where files of somebody else's would be written over.

    Raises:
        UserError: It holds files of these names that no manifest of a pack lists.
    """
    check_place(folder, _WRITTEN, _PACKED)


def check_hashes(folder: Path = SHIPPED) -> tuple[Path, ...]:
    """Compare the packed files with their manifest.

    Returns:
        The files of the pack, its manifest the last; the folder may hold others beside them.

    Raises:
        UserError: A file is missing or was changed.
    """
    manifest = read_json(folder / MANIFEST)
    facts = manifest if isinstance(manifest, dict) else {"schema": SCHEMA_VERSION}
    if facts.get("schema") != SCHEMA_VERSION:
        raise UserError(
            f"a knowledge base of schema {SCHEMA_VERSION}", f"schema {facts.get('schema')}",
            "install the release that wrote it",
        )  # fmt: skip
    listed = facts.get("files")
    if not isinstance(listed, dict) or not set(_PACKED) <= set(listed):
        raise UserError(
            f"a manifest with the hashes of {', '.join(_PACKED)}", str(folder / MANIFEST),
            "rebuild it with advisor kb build",
        )  # fmt: skip
    for name, expected in listed.items():
        path = folder / name
        if not path.is_file() or sha256(path) != expected:
            raise UserError(
                f"{name} as the manifest describes it", "a missing or changed file",
                "reinstall optimizer-advisor or rebuild with advisor kb build",
            )  # fmt: skip
    return (*(folder / name for name in listed), folder / MANIFEST)


def load_runs(folder: Path = SHIPPED, columns: Iterable[str] | None = None) -> dict[str, Any]:
    """The runs of a folder as columns: NumPy arrays, curves as lists of arrays.

    The column ``recipe`` holds keys as this release makes them (``Recipe.key``), whatever release
    wrote the folder.

    Args:
        folder: A packed knowledge base, or what was imported of one format. That has further
            columns (``knowledge_base.importers.tier``), and where it says nothing of a run there is
            NaN, None or an empty curve.
        columns: Only these; None takes all that are there.

    Raises:
        UserError: There are no runs, or they lack a column that is asked for.
    """
    path = folder / "runs.parquet"
    if not path.exists():
        raise UserError("a packed knowledge base", f"no {path}", "run advisor kb build")
    names = None if columns is None else list(columns)
    known = pq.read_schema(path).names
    if absent := [name for name in names or _OF_EVERY_RUN if name not in known]:
        raise UserError(
            f"runs with the column {absent[0]}", f"none in {path}",
            "pack them anew, or import them again with advisor kb import --replace",
        )  # fmt: skip
    loaded = pq.read_table(path, columns=names).unify_dictionaries()
    return {
        name: as_arrays(
            loaded.column(name).combine_chunks(), _keys(folder) if name == "recipe" else None
        )
        for name in loaded.column_names
    }


def load_recipes(folder: Path = SHIPPED) -> dict[str, dict[str, Any]]:
    """The recipes of the packed runs as plain data, by key as this release makes it."""
    recipes: dict[str, dict[str, Any]] = read_json(folder / "recipes.json")
    keys = _keys(folder)
    return {keys[key]: plain for key, plain in recipes.items()}


def load_refused(folder: Path = SHIPPED) -> dict[tuple[str, str], str]:
    """Why a recipe cannot serve a task, by task and key; nothing where no file says so."""
    path = folder / "refused.json"
    if not path.exists():
        return {}
    keys = _keys(folder)
    return {
        (task, keys.get(key, key)): reason
        for task, reasons in read_json(path).items()
        for key, reason in reasons.items()
    }


def _keys(folder: Path) -> dict[str, str]:
    """Keys as the pack has them, to those of this release."""
    path = folder / "recipes.json"
    facts = path.stat() if path.exists() else None
    return _keys_of(path, (facts.st_mtime_ns, facts.st_size) if facts else (0, 0))


@lru_cache(maxsize=4)
def _keys_of(path: Path, version: tuple[int, int]) -> dict[str, str]:
    return {key: Recipe.parse(plain).key for key, plain in read_json(path).items()}


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


def write_runs(folder: Path, runs: Iterable[Mapping[str, Any]]) -> None:
    """Write runs as Parquet; each has the fields of a ``RunRecord``."""
    table = pa.Table.from_pylist([dict(run) for run in runs], RUN_SCHEMA)
    pq.write_table(table, folder / "runs.parquet", compression="zstd", compression_level=12)


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


def read_json(path: Path, fix: str = "rebuild it with advisor kb build") -> Any:
    """What a JSON file of the knowledge base holds.

    Args:
        path: The file.
        fix: What mends a torn one.

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
        raise UserError(f"complete JSON in {path}", str(error), fix) from None


def _write_json(path: Path, data: Any, indent: int | None = None) -> None:
    separators = (",", ":") if indent is None else None
    write_text(path, json.dumps(data, indent=indent, separators=separators) + "\n")
