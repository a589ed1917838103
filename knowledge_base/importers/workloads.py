"""AlgoPerf trials in no workload's folder: copies of others, and those that their facts place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_FACTS = (
    "workload.target_metric_name", "workload.validation_target_value",
    "workload.test_target_value", "workload.step_hint", "workload.num_train_examples",
)  # fmt: skip


class Workloads:
    """What the trials that do lie in a workload's folder tell of those that do not.

    The benchmark has another target for each workload and each variant of it, so the facts of
    ``meta_data_0.json`` that come from the benchmark, not from the machine, tell workloads apart.
    """

    def __init__(self) -> None:
        self._by_facts: dict[str, set[str]] = {}
        self._by_content: dict[tuple[bytes, ...], str] = {}

    def learn(
        self, workload: str, facts: Mapping[str, Any], content: tuple[bytes, ...], origin: str
    ) -> None:
        """Take in a trial of a known workload.

        Args:
            workload: Name of its workload.
            facts: Its ``meta_data_0.json``.
            content: Hashes of its files.
            origin: Where it is in the publication.
        """
        key = _key(facts)
        if key is not None:
            self._by_facts.setdefault(key, set()).add(workload)
        self._by_content.setdefault(content, origin)

    def copied(self, content: tuple[bytes, ...]) -> str | None:
        """Where the trial with the very same files is; None where none has them."""
        return self._by_content.get(content)

    def of(self, facts: Mapping[str, Any]) -> str | None:
        """The one workload whose trials have these facts; None where none has, or several have."""
        key = _key(facts)
        known = self._by_facts.get(key, set()) if key is not None else set()
        return next(iter(known)) if len(known) == 1 else None


def _key(facts: Mapping[str, Any]) -> str | None:
    found = [facts.get(name) for name in _FACTS]
    return None if None in found else json.dumps(found)
