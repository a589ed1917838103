"""The space that an expert would write for a cold search: few parts, narrow ranges."""

from __future__ import annotations

from probes.recipe.space import Space

_ADAPTIVE = (3e-4, 3e-2)
_MOMENTUM = (1e-2, 0.5)
_DECOUPLED = (1e-3, 0.3)
_ADDED = (1e-5, 1e-2)

EXPERT = Space(
    optimizers=("momentum", "nesterov", "adamw", "nadam", "muon"),
    schedules=("constant", "cosine", "linear", "one_cycle"),
    early_stopping=False,
    ranges={
        "momentum.lr": _MOMENTUM, "nesterov.lr": _MOMENTUM,
        "adamw.lr": _ADAPTIVE, "nadam.lr": _ADAPTIVE, "muon.lr": (1e-3, 5e-2),
        "momentum.weight_decay": _ADDED, "nesterov.weight_decay": _ADDED,
        "adamw.weight_decay": _DECOUPLED, "nadam.weight_decay": _ADDED,
        "muon.weight_decay": _DECOUPLED,
        "warmup": (0.0, 0.1), "clip.max": (0.3, 3.0),
    },
)  # fmt: skip
"""Optimizers and schedules that win in published comparisons, each within a decade or two of its
usual rate: a search here wastes no trial on what an expert knows to be hopeless."""
