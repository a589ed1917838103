"""The source text that gives a model a normalization without this project."""

from __future__ import annotations

import ast
import inspect
from types import ModuleType

from probes.errors import unknown_name
from probes.recipe.normalization import finder, layers, surgery, weight
from probes.recipe.normalization.apply import KINDS, NORMALIZATIONS


def standalone_source(name: str) -> tuple[str, str, str]:
    """Python text for a file of one's own that needs torch alone.

    Args:
        name: One of `NORMALIZATIONS`.

    Returns:
        The import lines, the definitions, and the call that changes a module named `model` (it
        takes `num_groups=` for "group"). All three are empty for "keep".

    Raises:
        UserError: The name is unknown.

    Example:
        >>> standalone_source("weight")[2]
        'normalize_weights(model)'
    """
    if name not in NORMALIZATIONS:
        raise unknown_name("a normalization", name, NORMALIZATIONS)
    if name == "keep":
        return "", "", ""
    if name == "weight":
        return *_joined(weight), "normalize_weights(model)"
    call = (
        f'change_normalization(model, "{name}")' if name in KINDS else "remove_normalization(model)"
    )
    return *_joined(layers, finder, surgery), call


def _joined(*modules: ModuleType) -> tuple[str, str]:
    """The imports of some modules of this package but for each other, and what follows them."""
    imports: set[str] = set()
    bodies = []
    for module in modules:
        text = inspect.getsource(module)
        lines, end = text.splitlines(), 0
        for node in ast.parse(text).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                end = node.end_lineno or end
                if not (isinstance(node, ast.ImportFrom) and str(node.module).startswith("probes")):
                    imports.add(ast.unparse(node))
        bodies.append("\n".join(lines[end:]).strip())
    return "\n".join(sorted(imports)), "\n\n\n".join(bodies)
