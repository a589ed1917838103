"""What a packed knowledge base holds, in numbers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any


def counts(folder: Path) -> dict[str, Any]:
    """Numbers of a packed knowledge base, whose hashes are checked first.

    Returns:
        ``tasks``, ``datasets``, ``families``, ``runs``, ``curves`` (runs with a learning curve),
        ``recipes``, ``profiles``, ``seeds`` (different ones), ``diverged`` runs, runs by role
        (``reference``, ``searched``, ``repeat``), ``bytes`` on disk, and ``tiers``: profiles by
        tier.

    Raises:
        UserError: There is no packed knowledge base, or its files were changed.
    """
    from knowledge_base.store import check_hashes, load_profiles, load_recipes, load_runs
    from knowledge_base.tasks import task_row

    check_hashes(folder)
    columns = ["task", "recipe", "seed", "role", "diverged", "curve_steps"]
    runs = load_runs(folder, columns)
    profiles = load_profiles(folder)
    names = sorted({str(name) for name in runs["task"]})
    rows = [task_row(name) for name in names]
    roles = Counter(str(role) for role in runs["role"])
    tiers = Counter(int(profile["tier"]) for profile in profiles)
    return {
        "tasks": len(names),
        "datasets": len({row.dataset for row in rows}),
        "families": len({row.family for row in rows}),
        "runs": len(runs["task"]),
        "curves": sum(len(curve) > 0 for curve in runs["curve_steps"]),
        "recipes": len(load_recipes(folder)),
        "profiles": len(profiles),
        "seeds": len({int(seed) for seed in runs["seed"]}),
        "diverged": int(runs["diverged"].sum()),
        "reference": roles["reference"],
        "searched": roles["searched"],
        "repeat": roles["repeat"],
        "bytes": sum(file.stat().st_size for file in folder.iterdir() if file.is_file()),
        "tiers": {str(tier): tiers[tier] for tier in sorted(tiers)},
    }
