"""AlgoPerf's ``measurements.csv``: training rows and evaluation rows as curves.

Columns come in any order. A training row has ``loss`` (of one batch) and ``grad_norm``, an
evaluation row ``train/...``, ``validation/...`` and ``test/...`` and the training time
``accumulated_submission_time``; the last row may have a time alone (``score``). The files are
numbers between commas, without quotes, so a line of text is a row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from knowledge_base.importers.base import Curve, Report, Split
from knowledge_base.importers.members import Member
from knowledge_base.importers.repeats import Repeats, same

_TRAINING: dict[str, str] = {
    "loss": "batch_loss",
    "grad_norm": "gradient_norm",
    "lr": "learning_rate",
}
_SPLITS: dict[str, Split] = {"train": "train", "validation": "validation", "test": "test"}
_TIMES = ("accumulated_submission_time", "score")
_PROBLEMS_A_FILE = 20
_Points = dict[int, tuple[float, float, int]]
"""Value, training time and line by step."""


@dataclass(frozen=True)
class Measurements:
    """What a log holds.

    Attributes:
        curves: One for each metric and split with at least one value.
        seconds: Training time at the last row that has one; NaN where none has.
    """

    curves: tuple[Curve, ...]
    seconds: float


def read_measurements(member: Member, report: Report) -> Measurements | None:
    """The curves of a log, or None where it has no usable row; the report names bad lines.

    A line that repeats an earlier one is left out and counted. Of two values of one step the first
    is kept, and the report names the line of the other.
    """
    lines = member.text.split("\n")
    header = lines[0].strip().split(",")
    if "global_step" not in header or len(set(header)) < len(header):
        fault = "expected a header with global_step, each column once"
        report.problem(member.shown, 1, f"{fault}, got {lines[0][:80]!r}")
        return None
    columns = {name: place for place, name in enumerate(header) if _is_read(name)}
    points: dict[str, _Points] = {name: {} for name in columns}
    seconds, bad = math.nan, 0
    repeats, whole = Repeats(report), set[str]()
    for row, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        try:
            step, values = _row(line.rstrip("\r").split(","), header, columns)
        except ValueError as error:
            bad += 1
            if bad <= _PROBLEMS_A_FILE:
                report.problem(member.shown, row, str(error))
            continue
        if line in whole:
            repeats.exact(member.shown, "row")
            continue
        whole.add(line)
        time = next((values[name] for name in _TIMES if name in values), math.nan)
        for name, value in values.items():
            known = points[name].setdefault(step, (value, time, row))
            if name not in _TIMES and not same(known[0], value):
                repeats.contrary(member.shown, row, _contradiction(name, step, value, known))
        if not math.isnan(time):
            seconds = time if math.isnan(seconds) else max(seconds, time)
    repeats.tell()
    if bad > _PROBLEMS_A_FILE:
        report.problem(member.shown, None, f"{bad - _PROBLEMS_A_FILE} more malformed lines")
    if not whole:
        report.problem(member.shown, None, "expected rows of measurements, got none")
        return None
    curves = (_curve(name, found) for name, found in points.items() if name not in _TIMES and found)
    return Measurements(tuple(curves), seconds)


def _contradiction(
    name: str, step: int, value: float, known: tuple[float, float, int]
) -> str:  # fmt: skip
    return f"{name} {value:g} at step {step}, {known[0]:g} in line {known[2]}"


def _is_read(name: str) -> bool:
    split, _, metric = name.partition("/")
    of_evaluation = split in _SPLITS and metric not in ("", "num_examples")
    return name in _TRAINING or name in _TIMES or of_evaluation


def _row(
    cells: list[str], header: list[str], columns: Mapping[str, int]
) -> tuple[int, dict[str, float]]:
    """Step and values of a line.

    Raises:
        ValueError: It is malformed; the message says how.
    """
    if len(cells) != len(header):
        raise ValueError(f"expected {len(header)} cells, got {len(cells)}")
    step = _number("global_step", cells[header.index("global_step")])
    if not (step.is_integer() and 0 <= step < 2**53):
        raise ValueError(f"expected a step as a whole number from 0, got {step:g}")
    values = {name: _number(name, cells[place]) for name, place in columns.items() if cells[place]}
    return int(step), values


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"expected a number for {name}, got {text[:80]!r}") from None


def _curve(column: str, points: _Points) -> Curve:
    split, _, metric = column.partition("/")
    steps = sorted(points)
    times = tuple(points[step][1] for step in steps)
    return Curve(
        metric=_TRAINING.get(column, metric), split=_SPLITS.get(split, "train"), steps=tuple(steps),
        values=tuple(points[step][0] for step in steps),
        seconds=() if all(map(math.isnan, times)) else times,
    )  # fmt: skip
