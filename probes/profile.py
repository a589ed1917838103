"""What the probes add up to: a profile at a fixed tier, the same for users and for benchmarks."""

from __future__ import annotations

import time
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from probes.counts import seed_number
from probes.device import resolve_device
from probes.errors import UserError
from probes.measures.base import TIERS, Context, Measure
from probes.measures.data_facts import DataFacts
from probes.measures.device_facts import DeviceFacts
from probes.measures.landmark_run import LandmarkRun
from probes.measures.model_facts import ModelFacts
from probes.measures.races import Races
from probes.measures.range_test import RangeTest
from probes.sandbox import differentiable, sandbox
from probes.task import Task

MEASURES: tuple[Measure, ...] = (
    ModelFacts(),
    DataFacts(),
    DeviceFacts(),
    LandmarkRun(),
    Races(),
    RangeTest(),
)
"""All probes in the order they are taken; a later one may use what an earlier one found."""

FACTS_ONLY = 0
"""The tier of a budget too small for any training: facts of model, data and device alone."""


class Profile(BaseModel):
    """How a model and its data behave under training.

    Attributes:
        tier: Passes it was allowed (one of 0, 16, 64, 256, 1024).
        passes: Passes it cost.
        seconds: Wall time it took.
        seconds_per_pass: Median wall time of a landmark step (in two halves, so rather too
            long than too short), or None without one.
        seed: Its seed.
        device: Where it was taken.
        values: Measured numbers by name; units are in ``units()``.
        missing: Why a probe has no value.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)
    schema_version: Literal[1] = Field(default=1, alias="schema")
    tier: int
    passes: float
    seconds: float
    seconds_per_pass: float | None
    seed: int
    device: str
    values: dict[str, float]
    missing: dict[str, str]


def units() -> dict[str, str]:
    """Unit of every value a profile can hold, by name."""
    return {name: unit for measure in MEASURES for name, unit in measure.units.items()}


def tier_for(passes: float) -> int:
    """The largest tier that a number of passes pays for; 0 where it pays for none."""
    return max((tier for tier in TIERS if tier <= passes), default=FACTS_ONLY)


def take_profile(task: Task, *, tier: int, seed: int = 0, device: str = "auto") -> Profile:
    """Measure a task; what is the user's stays as it was.

    Args:
        task: What to measure.
        tier: Passes it may cost, one of TIERS, or 0 for facts alone.
        seed: Of weights, batch order and noise.
        device: "auto", "cpu", "cuda", ...

    Raises:
        UserError: The task or the device is wrong, or the tier is none of TIERS.
    """
    if tier not in (FACTS_ONLY, *TIERS):
        raise UserError(f"a tier of {', '.join(map(str, TIERS))}", repr(tier), "choose one of them")
    seed = seed_number(seed)
    begin = time.perf_counter()
    context = Context(task, resolve_device(device), seed, tier)
    with sandbox(task.train, task.validation, task.test), differentiable():
        for measure in MEASURES:
            reason = measure.skip(context)
            if reason is None:
                try:
                    context.found |= measure.measure(context)
                except UserError:
                    raise
                except (RuntimeError, ValueError, ArithmeticError) as error:
                    # one probe that fails must not cost the others
                    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            if reason is not None:
                context.missing[measure.name] = reason
    return Profile(
        tier=tier, passes=context.spent, seconds=time.perf_counter() - begin,
        seconds_per_pass=context.step_seconds, seed=seed, device=context.device,
        values=context.found, missing=context.missing,
    )  # fmt: skip
