"""A limit of memory, as people write it: bytes, or ``2GB``; and what is counted towards it."""

from __future__ import annotations

import math
import re

from probes.errors import UserError

COUNTED = (
    "parameters, their gradients, the optimizer's state, averaged weights and an ensemble's members"
)
"""What a limit is compared with: gradients and state are those of the parameters that are trained,
the state as the catalogue tells it."""
NOT_COUNTED = "activations, buffers, batches and the best weights that early stopping keeps"
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20,
          "GIB": 2**30}  # fmt: skip


def parse_memory(memory: int | str | None) -> int | None:
    """Bytes, from a number or a text such as "512MB" (10^6 each) or "2GiB" (2^30 each).

    Raises:
        UserError: Anything else.
    """
    if memory is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(memory))
    size = _UNITS.get(match[2].upper()) if match else None
    whole = not isinstance(memory, bool)
    if not whole or match is None or size is None or not 0 < float(match[1]) < math.inf:
        raise UserError("max_memory as bytes or a text such as 2GB", repr(memory), "change it")
    return int(float(match[1]) * size)
