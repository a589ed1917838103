"""What a journal holds, indexed: what is done, what could not be done, what is damaged.

A recipe's key is computed anew from its fields, so that a journal or a pack whose keys an older
release made still counts: a stored key only says which run belongs to which recipe.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from knowledge_base.journal import Journal
from knowledge_base.records import RECORDS, checked
from probes.errors import one_line, shown
from probes.recipe.schema import Recipe

RunPlace = tuple[str, str, int]
"""Task, key of the recipe, seed."""
ProfilePlace = tuple[str, int, int]
"""Task, tier, seed."""
FailedPlace = tuple[str, str, int, int]
"""Task, key of the recipe ("" for a profile), seed, tier (0 for a run)."""


@dataclass
class Stage:
    """The stage that began last.

    Attributes:
        name: Which one.
        total: Pieces of work it had to do.
        began: Seconds since 1970.
        done: Pieces of work done since.
        failed: Those of them that crashed or ran out of time.
    """

    name: str
    total: int
    began: float
    done: int = 0
    failed: int = 0


@dataclass
class State:
    """What a journal holds, indexed for resuming.

    Attributes:
        runs: Finished runs, in the order in which they finished.
        refused: Why a recipe cannot serve a task, by task and key.
        failed: Why a piece of work failed.
        recipes: Recipes as plain data, by key.
        profiles: Profiles taken.
        rows: By data set, the hash of the rows that the runs were made on, as first noted.
        stage: The stage that began last, where one did.
        records: Whole lines.
        half_seeded: Whether copying from a pack was cut short.
        damaged: What was set aside, and why.
    """

    runs: dict[RunPlace, dict[str, Any]] = field(default_factory=dict)
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    failed: dict[FailedPlace, str] = field(default_factory=dict)
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)
    profiles: dict[ProfilePlace, dict[str, Any]] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=dict)
    stage: Stage | None = None
    records: int = 0
    half_seeded: bool = False
    damaged: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, journal: Journal) -> State:
        """Read a journal; what cannot be used is named in ``damaged``.

        That is what no builder wrote, and what is of a task that this release does not know or of
        a recipe whose line is damaged.

        Raises:
            UserError: It is no journal, or cannot be read.
        """
        from knowledge_base.tasks import known_tasks  # torch; a worker needs no state

        journal.refuse_foreign()
        state = cls()
        lines = list(journal.numbered(state.damaged))
        state.records = len(lines)
        keys: dict[str, str] = {}
        for number, kind, record in lines:
            if kind == "recipe":
                try:
                    plain = checked(kind, record)
                    key = Recipe.parse(plain["recipe"]).key
                except (ValueError, TypeError) as error:
                    state._set_aside(journal, number, kind, error)
                else:
                    keys[plain["key"]] = key
                    state.recipes[key] = plain["recipe"]
        known = known_tasks()
        for number, kind, record in lines:
            if kind == "recipe":
                continue
            try:
                plain = checked(kind, record)
                if "task" in plain and plain["task"] not in known:
                    raise ValueError(f"its task, {shown(plain['task'])}, is not of this release")
                if "recipe" in plain:
                    plain["recipe"] = keys.get(plain["recipe"], plain["recipe"])
                if kind == "run" and plain["recipe"] not in state.recipes:
                    raise ValueError(f"its recipe, {plain['recipe']}, is lost")
                state.add(kind, plain)
            except ValueError as error:
                state._set_aside(journal, number, kind, error)
        return state

    def add(self, kind: str, record: dict[str, Any]) -> None:
        """Take in one record.

        Raises:
            KeyError: It lacks a field, or its kind is not known.
        """
        if kind == "run":
            task, key, seed = record["task"], record["recipe"], record["seed"]
            self.runs[task, key, seed] = record
            self.failed.pop((task, key, seed, 0), None)
        elif kind == "refused":
            self.refused[record["task"], record["recipe"]] = record["reason"]
        elif kind == "failed":
            place = (record["task"], record["recipe"], record["seed"], record["tier"])
            self.failed[place] = record["reason"]
        elif kind == "recipe":
            self.recipes[record["key"]] = record["recipe"]
        elif kind == "profile":
            task, tier, seed = record["task"], record["tier"], record["seed"]
            self.profiles[task, tier, seed] = record
            self.failed.pop((task, "", seed, tier), None)
        elif kind == "rows":
            self.rows.setdefault(record["dataset"], record["rows"])
            return
        elif kind == "stage":
            self.stage = Stage(record["stage"], record["total"], record["began"])
            return
        elif kind in ("seeding", "seeded"):
            self.half_seeded = kind == "seeding"
            return
        else:
            raise KeyError(f"no such kind of record: {kind}")
        if self.stage is not None and kind != "recipe":
            self.stage.done += 1
            self.stage.failed += kind == "failed"

    def has(self, task: str, key: str, seed: int) -> bool:
        """Whether this run is done (or known to be impossible)."""
        return (
            (task, key, seed) in self.runs
            or (task, key) in self.refused
            or (task, key, seed, 0) in self.failed
        )

    def has_profile(self, task: str, tier: int, seed: int) -> bool:
        """Whether this profile is taken (or known to be impossible)."""
        return (task, tier, seed) in self.profiles or (task, "", seed, tier) in self.failed

    def _set_aside(self, journal: Journal, number: int, kind: str, error: Exception) -> None:
        name = kind if kind in RECORDS else "record"
        reason = one_line(str(error))[:200]
        self.damaged.append(f"{journal.path}:{number}: {name} that cannot be used ({reason})")
