"""A published run in the columns of our own runs, and for what stays empty the reason."""

from __future__ import annotations

import math
from typing import Any

from knowledge_base.importers.base import Curve, ImportedRun, Split

ROLE = "imported"
"""The role of every published run: no code that asks for a role of ours takes it for one."""

_REASONS = {
    "seed": "not published",
    "initial": "no validation loss before the first step",
    "final": "no validation loss",
    "test": "no test loss",
    "metric": "no validation metric beside the loss",
    "test_metric": "no test metric beside the loss",
    "steps": "the evaluations are counted, not the steps",
    "passes": "not published",
    "seconds_per_step": "no training time at a step",
    "curve_steps": "no validation loss",
    "curve_validation": "no validation loss",
    "curve_train": "no training loss where the validation loss was taken",
}


def run_columns(run: ImportedRun) -> dict[str, Any]:
    """What a published run says in the columns of ``runs.parquet``, the recipe aside.

    Names and units are those of ``knowledge_base.records.RunRecord``; losses and metrics are the
    publication's own. Three columns differ in what was measured: ``seconds_per_step`` is that of
    the publication's machine, ``curve_train`` the loss of the training split at an evaluation, not
    the mean since the one before, and ``curve_steps`` counts evaluations where ``run.step_unit`` is
    "index".

    Returns:
        The columns; None where the publication does not tell.
    """
    loss = next((curve.metric for curve in run.curves if _is_loss(curve)), "")
    validation = _curve(run, "validation", loss)
    train = _curve(run, "train", loss)
    counted = run.step_unit == "step"
    metric = run.ending.metric if run.ending and not run.ending.metric.endswith("loss") else ""
    final = math.nan if run.diverged else _last(validation)
    starts = validation is not None and counted and validation.steps[0] == 0
    return {
        "task": run.task,
        "seed": run.seed,
        "role": ROLE,
        "initial": validation.values[0] if validation and starts else None,
        "final": final if validation else None,
        "test": _last(_curve(run, "test", loss)),
        "metric": _last(_curve(run, "validation", metric)),
        "test_metric": _last(_curve(run, "test", metric)),
        "steps": max(curve.steps[-1] for curve in run.curves) if counted and run.curves else None,
        "passes": None,
        "seconds_per_step": _seconds_per_step(run) if counted else None,
        "diverged": run.diverged,
        "curve_steps": validation.steps if validation else None,
        "curve_validation": validation.values if validation else None,
        "curve_train": _at(validation, train) if validation and train else None,
    }


def with_reasons(run: ImportedRun) -> ImportedRun:
    """The run, and in its ``missing`` a reason for every column that stays empty.

    A reason that the importer gave stands.
    """
    empty = [name for name, value in run_columns(run).items() if value is None]
    reasons = {name: _REASONS[name] for name in empty if name not in run.missing}
    return run.model_copy(update={"missing": {**run.missing, **reasons}}) if reasons else run


def _is_loss(curve: Curve) -> bool:
    return curve.metric.endswith("loss") and curve.metric != "batch_loss"


def _curve(run: ImportedRun, split: Split, metric: str) -> Curve | None:
    found = (curve for curve in run.curves if (curve.split, curve.metric) == (split, metric))
    return next((curve for curve in found if curve.steps), None)


def _last(curve: Curve | None) -> float | None:
    return curve.values[-1] if curve else None


def _at(validation: Curve, train: Curve) -> list[float]:
    """The training loss at the steps of the validation loss, NaN where there is none."""
    known = dict(zip(train.steps, train.values, strict=True))
    return [known.get(step, math.nan) for step in validation.steps]


def _seconds_per_step(run: ImportedRun) -> float | None:
    """Training time over steps at the last evaluation that has both."""
    ends = [
        (curve.steps[-1], curve.seconds[-1])
        for curve in run.curves
        if curve.seconds and curve.steps[-1] > 0 and math.isfinite(curve.seconds[-1])
    ]
    step, seconds = max(ends, default=(0, 0.0))
    return seconds / step if step else None
