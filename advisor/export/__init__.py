"""A recipe as a file that others run. Adding a format is adding a function and a row to FORMATS.

``torch_file`` writes plain PyTorch (from ``torch_file.py.jinja`` and, cut down by ``source_text``,
this project's own sources), ``plain`` writes YAML and JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from advisor.export.plain import json_text, yaml_text
from advisor.export.torch_file import torch_text
from probes.errors import UserError, unknown_name
from probes.files import as_path, write_text
from probes.recipe.schema import Recipe

Format = Callable[[Recipe, int | None, str], str]
"""Takes a recipe with its batch size, the optimizer steps of the task's budget (None if unknown)
and the task's name ("" if unknown); returns the text of the file."""

FORMATS: dict[str, Format] = {"torch": torch_text, "yaml": yaml_text, "json": json_text}
"""Every format by the name that ``to`` takes."""


def export(
    recipe: Recipe,
    path: Path | str | None,
    to: str,
    *,
    batch_size: int,
    steps: int | None = None,
    task_name: str = "",
) -> str:
    """Write a recipe in another form.

    Args:
        recipe: The recipe.
        path: File to write, whole or not at all; None only returns the text.
        to: Name of a format in ``FORMATS``.
        batch_size: The task's batch size, at least 1: taken where the recipe names none.
        steps: The task's budget in batches of ``batch_size``, for the instructions in the file;
            None leaves them open.
        task_name: What the recipe was chosen for, for the heading of the file.

    Returns:
        The text of the file.

    Raises:
        UserError: An unknown format, a path that cannot be written, or a recipe that the format
            cannot express.

    Example:
        >>> print(export(Recipe(), None, "yaml", batch_size=32).splitlines()[0])
        schema: 1
    """
    if to not in FORMATS:
        raise unknown_name("an export format", to, FORMATS)
    for what, value in (("batch_size", batch_size), ("steps", 1 if steps is None else steps)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UserError(f"{what} as a whole number above 0", repr(value), f"change {what}")
    filled = recipe if recipe.batch_size else recipe.with_(batch_size=batch_size)
    total = None
    if steps is not None:  # the whole budget: the file itself applies the recipe's horizon
        total = filled.with_(horizon=1.0).steps_for(steps, batch_size)
    text = FORMATS[to](filled, total, task_name)
    if path is not None:
        write_text(as_path(path), text)
    return text
