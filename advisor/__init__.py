"""Recommends a training recipe for your PyTorch model and data.

``recommend(model, data)`` probes, recalls and decides; the names below load what they need when
they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from advisor.advice import Advice, Candidate
    from advisor.recommender import recommend
    from advisor.tuned import Tuned
    from probes.errors import UserError
    from probes.recipe.schema import Recipe
    from probes.run import Run
    from probes.task import Task

__version__ = "0.1.0"
__all__ = ["Advice", "Candidate", "Recipe", "Run", "Task", "Tuned", "UserError", "recommend"]

_HOME = {
    "Advice": "advisor.advice",
    "Candidate": "advisor.advice",
    "Tuned": "advisor.tuned",
    "recommend": "advisor.recommender",
    "Recipe": "probes.recipe.schema",
    "Task": "probes.task",
    "Run": "probes.run",
    "UserError": "probes.errors",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'advisor' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
