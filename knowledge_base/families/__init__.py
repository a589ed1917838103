"""Model families of the benchmark tasks: parameters and the look of the data give a module.

A benchmark task is a row of data (family, parameters, data set, seed). `build_model` turns the
row into a model and `sample_parameters` draws a new row's parameters. A new family is one object
of `Family` in a file here and one entry in `registry.FAMILIES`.

Every family can be sampled in width, depth, activation, normalization, residuals and
initialization, as far as it has them:

- linear: no hidden layers, so an initialization alone.
- siren: sines whose initialization is the method itself; no normalization or skips either.
- lstm, gru: activations are those of the gates.
- cnn, conv1d: plain by definition; resnet and tcn are those with skips.
- resnet, tcn, transformer, mlp_mixer: always residual.
- transformer: layer normalization before or after its parts; mlp_mixer: before.
- embeddings and random frequencies keep their own initialization everywhere.

A parameter that joins later stands last, with a default that builds what was built before: rows
and runs of earlier days stay valid, and a draw of the earlier parameters stays what it was.
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
