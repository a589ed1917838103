"""What was imported of other people's results, in numbers, a format each."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def imported_counts(folder: Path) -> dict[str, dict[str, Any]]:
    """Numbers of every format that was imported into a folder, hashes checked first.

    Returns:
        By format: ``runs``, ``curves`` (runs with a curve of the validation loss), ``tasks``,
        ``methods``, ``recipes`` (that say a method), ``censored`` and ``diverged`` runs and
        ``bytes``; ``problem`` alone where it cannot be read. Empty where nothing was imported.
    """
    from knowledge_base.importers import formats_in
    from probes.errors import UserError

    found: dict[str, dict[str, Any]] = {}
    for name, tier in formats_in(folder).items():
        try:
            found[name] = _counts(folder, name, tier)
        except UserError as error:  # the knowledge base beside it is whole
            found[name] = {"problem": str(error)}
    return found


def _counts(folder: Path, name: str, tier: Path) -> dict[str, Any]:
    from knowledge_base.importers import check_imported, load_methods
    from knowledge_base.store import load_recipes, load_runs

    files = check_imported(tier)
    runs = load_runs(tier, ["task", "diverged", "censored", "curve_steps"])
    return {
        "runs": len(runs["task"]),
        "curves": sum(len(curve) > 0 for curve in runs["curve_steps"]),
        "tasks": len(set(runs["task"])),
        "methods": len(load_methods(folder, [name])),
        "recipes": len(load_recipes(tier)),
        "censored": sum(map(bool, runs["censored"])),
        "diverged": int(runs["diverged"].sum()),
        "bytes": sum(file.stat().st_size for file in files),
    }


def imported_shown(counts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The same for people: a named value for each format."""
    from advisor.cli.output import size

    return {
        f"imported:{name}": found.get("problem") or {**found, "bytes": size(found["bytes"])}
        for name, found in counts.items()
    }
