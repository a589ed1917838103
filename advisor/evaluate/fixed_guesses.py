"""Recipes that are taken without a look at the task, which replay and live evaluation share."""

from __future__ import annotations

from collections.abc import Mapping

from knowledge_base.reference import COPIED, NADAM_DEFAULTS
from probes.recipe.schema import Recipe

COPIED_NAME = "AdamW 1e-3 cosine"
FIXED_GUESSES: Mapping[str, Recipe] = {
    COPIED_NAME: COPIED,
    "AdamW 1e-2 cosine": COPIED.with_(optimizer={"name": "adamw", "lr": 1e-2}),
    "NAdam defaults": NADAM_DEFAULTS,
}
"""By the name that tables give them, in their order there."""
