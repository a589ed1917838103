"""Model families of the benchmark tasks: parameters and the look of the data give a module.

A benchmark task is a row of data (family, parameters, data set, seed). `build_model` turns the
row into a model and `sample_parameters` draws a new row's parameters. A new family is one object
of `Family` in a file here and one entry in `registry.FAMILIES`.
"""

from knowledge_base.families.family import Draw, Family, Parameters
from knowledge_base.families.registry import (
    FAMILIES,
    build_model,
    families_for,
    sample_parameters,
)
from knowledge_base.families.signature import InputKind, Signature

__all__ = [
    "FAMILIES",
    "Draw",
    "Family",
    "InputKind",
    "Parameters",
    "Signature",
    "build_model",
    "families_for",
    "sample_parameters",
]
