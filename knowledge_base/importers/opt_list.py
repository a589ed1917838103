"""The learned list of optimizer configurations (Metz et al. 2020): NAdamW, best first.

A record is ``{learning_rate, beta1, beta2, epsilon, use_nesterov, adamw_weight_decay,
l2_weight_decay, warmup_fraction, min_learning_rate_mult, constant_fraction}``. The rate rises over
``warmup_fraction`` of the steps, is held until ``constant_fraction`` of them and falls by half a
cosine to its ``min_learning_rate_mult``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from knowledge_base.importers.base import (
    ImportedMethod,
    Report,
    catalogue_name,
    recipe_or_reason,
)
from knowledge_base.importers.members import members
from knowledge_base.importers.reading import finite, read_json
from knowledge_base.importers.repeats import Repeats
from probes.recipe.catalogue import method

_NUMBERS = (
    "learning_rate", "beta1", "beta2", "epsilon", "adamw_weight_decay", "l2_weight_decay",
    "warmup_fraction", "min_learning_rate_mult", "constant_fraction",
)  # fmt: skip
_EPSILON = (
    "stands beside the second moment before its bias is corrected, so it weighs more in the first "
    "steps than the catalogue's"
)
_L2 = (
    "a second decay, added to the gradient (with which sign differs between the list's description "
    "and its training code); a recipe has one weight decay"
)
_NESTEROV = "Nesterov's momentum without the growing momentum of the catalogue's NAdam"


class OptList:
    """The importer of the learned list: methods with recipes, no runs."""

    source = "opt_list"
    licence = "Apache-2.0"
    layout = "the learned list (a .json with a list of NAdamW configurations, best first)"

    def read(self, path: Path, report: Report) -> Iterator[ImportedMethod]:
        """A method for each configuration, in the list's order; see ``Importer``."""
        rank, repeats = 0, Repeats(report)
        for member in members(path, _is_json, report):
            for place, record in enumerate(read_json(member, list, report) or ()):
                rank += 1  # a malformed one keeps its place
                try:
                    method = _method(rank, record)
                except ValueError as error:
                    report.problem(member.shown, 1, f"record {place}: {error}")
                    continue
                content = json.dumps(record, sort_keys=True)
                if repeats.is_first(content, content, member.shown, 1, "record"):
                    yield method
        repeats.tell()


def _is_json(name: PurePosixPath) -> bool:
    return name.suffix == ".json"


def _method(rank: int, record: object) -> ImportedMethod:
    """The method of a record.

    Raises:
        ValueError: It is malformed; the message says how.
    """
    if not isinstance(record, dict):
        raise ValueError(f"expected an object, got {type(record).__name__}")
    numbers = {name: finite(record.get(name)) for name in _NUMBERS}
    found = {name: value for name, value in numbers.items() if value is not None}
    if absent := [name for name in _NUMBERS if name not in found]:
        raise ValueError(f"expected a number at {', '.join(absent)}")
    nesterov = record.get("use_nesterov")
    if not isinstance(nesterov, bool):
        raise ValueError("expected true or false at use_nesterov")
    ours = catalogue_name("nadamw" if nesterov else "adamw")
    missing = {"epsilon": _EPSILON}
    if found["l2_weight_decay"]:
        missing["l2_weight_decay"] = _L2
    if nesterov:
        missing["momentum"] = _NESTEROV
    optimizer = {
        "lr": found["learning_rate"], "beta1": found["beta1"], "beta2": found["beta2"],
        "eps": found["epsilon"], "weight_decay": found["adamw_weight_decay"],
    }  # fmt: skip
    shortest = _shortest_decay()
    if 1.0 - found["constant_fraction"] < shortest:
        missing["constant_fraction"] = f"the catalogue's decay takes {shortest:g} of the steps"
    recipe, reason = recipe_or_reason(
        {"optimizer": {"name": ours, **optimizer}, "schedule": _schedule(found, shortest)}
    )
    return ImportedMethod(
        name=f"opt_list_{rank}", optimizer=ours or ("NAdamW" if nesterov else "AdamW"),
        in_catalogue=ours is not None,
        hyperparameters={**found, "use_nesterov": nesterov}, recipe=recipe, rank=rank,
        missing={**missing, **reason},
    )  # fmt: skip


def _schedule(found: dict[str, float], shortest: float) -> dict[str, float | str]:
    """The rate's course: our decay is a share, no less than ``shortest``, after the warm-up."""
    warmup = min(found["warmup_fraction"], found["constant_fraction"])
    decay = (1.0 - found["constant_fraction"]) / (1.0 - warmup) if warmup < 1.0 else 0.0
    final = found["min_learning_rate_mult"]
    return {
        "name": "warmup_stable_decay", "warmup": warmup, "decay": max(decay, shortest),
        "shape": "cosine", "final": final,
    }  # fmt: skip


def _shortest_decay() -> float:
    row = method("schedule", "warmup_stable_decay")
    return next(setting.valid[0] for setting in row.hyperparameters if setting.name == "decay")
