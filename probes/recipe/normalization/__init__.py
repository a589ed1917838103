"""Normalization as a part of a recipe: what it does to the user's own model.

`layers` holds the normalization layers for any layout, `finder` finds those that a model has,
`surgery` and `weight` change the model (these four need torch alone), `apply` is the public call
with its refusals, `source` gives the text for an exported file.
"""

from probes.recipe.normalization.apply import (
    KINDS,
    NORMALIZATIONS,
    apply_normalization,
    normalization_layers,
    refuse_normalization,
)
from probes.recipe.normalization.layers import Kind
from probes.recipe.normalization.source import standalone_source

__all__ = [
    "KINDS",
    "NORMALIZATIONS",
    "Kind",
    "apply_normalization",
    "normalization_layers",
    "refuse_normalization",
    "standalone_source",
]
