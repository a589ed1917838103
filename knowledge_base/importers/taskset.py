"""TaskSet (Metz et al. 2020): Adam with eight hyperparameters on small tasks.

A file is a task, a list of records: ``{"hp": {...}, "train"|"valid"|"test": {"loss": [...]}}``.
The same configurations run on every task, in the same order. Losses are evenly spaced; which steps
they belong to is not said, so the index is all there is of time. NaN where a run diverged.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from knowledge_base.importers.base import (
    Curve,
    ImportedMethod,
    ImportedRun,
    Report,
    Setting,
    Split,
    catalogue_name,
)
from knowledge_base.importers.members import members
from knowledge_base.importers.reading import number, read_json, settings
from knowledge_base.importers.repeats import Repeats

_SPLITS: dict[str, Split] = {"train": "train", "valid": "validation", "test": "test"}
_NAMES = {"learning_rate": "lr", "epsilon": "eps"}
_HYPERPARAMETERS = (
    "learning_rate", "beta1", "beta2", "epsilon", "l1", "l2", "linear_decay", "exponential_decay",
)  # fmt: skip
_MISSING_OF_RUN = {
    "steps": "the publication has an index of evaluations, not the steps they belong to",
    "seconds": "not published",
    "seed": "not published",
    "metric": "only losses are published",
}
_MISSING_OF_METHOD = {
    "recipe": "l1, l2 and the two decays of the rate work per step, and the number of steps is "
    "not published",
}


class TaskSet:
    """The importer of TaskSet's records."""

    source = "TaskSet"
    licence = "Apache-2.0"
    layout = "TaskSet files (TASK.json: a list of records with hp, train, valid and test)"

    def read(self, path: Path, report: Report) -> Iterator[ImportedRun]:
        """A run for each task and configuration, the first of each; see ``Importer``."""
        repeats = Repeats(report)
        methods: dict[tuple[tuple[str, Setting], ...], ImportedMethod] = {}
        for member in members(path, _is_json, report):
            records = read_json(member, list, report)
            for place, record in enumerate(records or ()):
                try:
                    hyperparameters, curves = _read(record)
                except ValueError as error:  # the file is one line: the record is told instead
                    report.problem(member.shown, 1, f"record {place}: {error}")
                    continue
                known = tuple(hyperparameters.items())
                key, what = (member.name.stem, known), f"record {place}"
                if not repeats.is_first(key, _digest(curves), member.shown, 1, what):
                    continue
                method = methods.get(known) or _method(hyperparameters)
                methods[known] = method
                yield ImportedRun(
                    source=self.source, licence=self.licence, origin=f"{member.name.name}#{place}",
                    task=member.name.stem, method=method, trial=place, step_unit="index",
                    curves=curves, missing=_MISSING_OF_RUN,
                    diverged=any(not math.isfinite(curve.values[-1]) for curve in curves),
                )  # fmt: skip
        repeats.tell()


def _digest(curves: tuple[Curve, ...]) -> bytes:
    """The same for the same losses, NaN included: a fraction of what the losses take to keep."""
    found = hashlib.sha256()
    for curve in curves:
        found.update(array("d", [len(curve.values), *curve.values]).tobytes())
    return found.digest()


def _is_json(name: PurePosixPath) -> bool:
    return name.suffix == ".json"


def _read(record: Any) -> tuple[dict[str, Setting], tuple[Curve, ...]]:
    """Hyperparameters and curves of a record.

    Raises:
        ValueError: It is malformed; the message says how.
    """
    if not isinstance(record, dict):
        raise ValueError(f"expected an object, got {type(record).__name__}")
    found = settings(record.get("hp"))
    if found is None or not set(_HYPERPARAMETERS) <= set(found):
        raise ValueError(f"expected numbers for {', '.join(_HYPERPARAMETERS)} under hp")
    curves = []
    for published, split in _SPLITS.items():
        part = record.get(published)
        losses = part.get("loss") if isinstance(part, dict) else None
        values = [number(value) for value in losses] if isinstance(losses, list) else []
        whole = tuple(value for value in values if value is not None)
        if not values or len(whole) < len(values):
            raise ValueError(f"expected a list of numbers at {published}.loss")
        curves.append(
            Curve(metric="loss", split=split, steps=tuple(range(len(whole))), values=whole)
        )
    return {name: found[name] for name in sorted(found)}, tuple(curves)


def _method(hyperparameters: dict[str, Setting]) -> ImportedMethod:
    ours = catalogue_name("adam")
    return ImportedMethod(
        name="Adam", optimizer=ours or "Adam", in_catalogue=ours is not None,
        hyperparameters={_NAMES.get(name, name): value for name, value in hyperparameters.items()},
        missing=_MISSING_OF_METHOD,
    )  # fmt: skip
