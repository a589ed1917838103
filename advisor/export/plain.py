"""A recipe as the text that ``Recipe.load`` reads back: YAML and JSON."""

from __future__ import annotations

import json

import yaml

from probes.recipe.schema import Recipe


def yaml_text(recipe: Recipe, total_steps: int | None = None, task_name: str = "") -> str:
    """The recipe as YAML, every default written out.

    Args:
        recipe: With its batch size.
        total_steps: Not part of a recipe: left out.
        task_name: Not part of a recipe: left out.
    """
    return yaml.safe_dump(recipe.plain(), sort_keys=False, allow_unicode=True)


def json_text(recipe: Recipe, total_steps: int | None = None, task_name: str = "") -> str:
    """The recipe as JSON, every default written out; arguments as for ``yaml_text``."""
    return json.dumps(recipe.plain(), indent=2) + "\n"
