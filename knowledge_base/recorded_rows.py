"""Which rows of each data set the recorded runs were made on, and whose rows are others by now.

A reader that is mended may give other rows under the same name; losses on those say nothing beside
losses on the old ones. A journal and a pack keep a hash of each data set's rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from knowledge_base.datasets import at_hand, load, split
from knowledge_base.journal import Journal
from knowledge_base.manifest import MANIFEST
from knowledge_base.readers import Arrays
from knowledge_base.state import State
from knowledge_base.store import read_json
from probes.errors import UserError


def hash_of_rows(arrays: Arrays) -> str:
    """The hash of a data set's rows as the split of seed 0 draws them, 64 hexadecimal digits.

    They are taken before they are scaled, so that sums which another processor rounds otherwise
    make no difference. At most 2000 rows are for training: of a larger data set the others count by
    their number alone.
    """
    parts = split(replace(arrays, scale="none", target_scale="none"), seed=0)
    facts = (
        len(arrays.targets), arrays.kind, arrays.classes, arrays.vocabulary, arrays.scale,
        arrays.target_scale,
    )  # fmt: skip
    digest = hashlib.sha256(repr(facts).encode())
    blocks = [block for part in (parts.train, parts.validation, parts.test) for block in part]
    if arrays.graph is not None:
        blocks += [arrays.graph.features, arrays.graph.edges]
    for block in blocks:
        digest.update(f"{block.dtype.str} {block.shape}".encode())
        digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()


def packed_rows(folder: Path) -> dict[str, str]:
    """By data set, the hash that a pack keeps; nothing where an older release wrote it."""
    manifest: Any = read_json(folder / MANIFEST)
    found = manifest.get("rows") if isinstance(manifest, dict) else None
    if not isinstance(found, dict):
        return {}
    return {name: digest for name, digest in found.items() if isinstance(digest, str)}


def note_rows(journal: Journal, state: State, datasets: Iterable[str]) -> tuple[str, ...]:
    """Keep the hashes of data sets that a store has none of, and find those that have changed.

    What is not at hand is passed over: nothing is fetched. The first hash stays, for the runs
    before it was changed stay, too.

    Args:
        journal: Opened for writing.
        state: What it holds; takes the new hashes in.
        datasets: Names of data sets.

    Returns:
        Those whose rows are not the ones that the store has a hash of, in their order.
    """
    new, changed = list[tuple[str, dict[str, Any]]](), list[str]()
    for name in dict.fromkeys(datasets):
        try:
            digest = hash_of_rows(load(name)) if at_hand(name) else None
        except UserError:  # a damaged download: whoever needs it is told
            continue
        if digest is None:
            continue
        if name not in state.rows:
            new.append(("rows", {"dataset": name, "rows": digest}))
        elif state.rows[name] != digest:
            changed.append(name)
    journal.extend(new)
    for kind, record in new:
        state.add(kind, record)
    return tuple(changed)
