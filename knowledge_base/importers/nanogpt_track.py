"""Validation curves of the optimizer track of the NanoGPT speed runs, one CSV.

Columns ``run_id,step,metric,value,group``: a ``run_id`` is a log of a run, or of several with other
seeds one after the other; its group is the record it belongs to. What a record trains with is told
by its name at most (``20260503_normuon``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from knowledge_base.importers.base import Curve, ImportedMethod, ImportedRun, Report, catalogue_name
from knowledge_base.importers.members import Member, members
from knowledge_base.importers.repeats import Repeats, same

COLUMNS = ("run_id", "step", "metric", "value", "group")
_DATED = re.compile(r"\d{8}_(\w+)")
_MISSING_OF_RUN = {
    "seconds": "not published with the curves",
    "seed": "not published with the curves",
    "target": "not part of the curves",
    "train": "only validation losses are published",
    "test": "only validation losses are published",
}
_Points = dict[int, tuple[float, int]]
"""Value and line by step, of one run."""


class NanoGptTrack:
    """The importer of the curves of the optimizer track."""

    source = "NanoGPT speed runs, optimizer track"
    licence = "MIT"
    layout = f"a CSV of curves with the columns {','.join(COLUMNS)} (.csv or .csv.gz)"

    def read(self, path: Path, report: Report) -> Iterator[ImportedRun]:
        """The runs of each ``run_id`` of a group; see ``Importer``.

        Where a log has several, their ``origin`` and ``numbers["repetition"]`` count them from 1.
        """
        repeats = Repeats(report)
        for member in members(path, _is_csv, report):
            methods: dict[str, ImportedMethod] = {}
            for (group, run), log in _logs(member, report, repeats).items():
                method = methods.setdefault(group, _method(group))
                runs = _runs(log, member, repeats)
                for place, points in enumerate(runs, start=1):
                    origin = f"{group}#{run}" + (f".{place}" if len(runs) > 1 else "")
                    curve = _curve(points)
                    line = next(iter(points.values()))[1]
                    content = repr((curve.steps, curve.values))
                    if not repeats.is_first(origin, content, member.shown, line, f"run {origin}"):
                        continue
                    yield ImportedRun(
                        source=self.source, licence=self.licence, origin=origin,
                        task="modded_nanogpt", method=method, curves=(curve,),
                        trial=int(run) if run.isascii() and run.isdigit() and len(run) < 10
                        else None,
                        diverged=not math.isfinite(curve.values[-1]), missing=_MISSING_OF_RUN,
                        numbers={"repetition": place} if len(runs) > 1 else {},
                    )  # fmt: skip
        repeats.tell()


def _is_csv(name: PurePosixPath) -> bool:
    return name.suffix == ".csv"


def _logs(
    member: Member, report: Report, repeats: Repeats
) -> dict[tuple[str, str], list[_Points]]:  # fmt: skip
    """The runs of each (group, run_id) in their order; malformed lines are reported and left out.

    A run that has gone on and comes to its first step again is another run of the same log.
    """
    lines = member.text.split("\n")
    header = lines[0].strip().split(",")
    found: dict[tuple[str, str], list[_Points]] = {}
    if absent := [name for name in COLUMNS if name not in header]:
        report.problem(member.shown, 1, f"expected the column {absent[0]}, got {lines[0][:80]!r}")
        return found
    places = [header.index(name) for name in COLUMNS]
    for row, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = line.strip().split(",")
        if len(cells) != len(header):
            report.problem(member.shown, row, f"expected {len(header)} cells, got {len(cells)}")
            continue
        run, step, metric, value, group = (cells[place] for place in places)
        if not (step.isascii() and step.isdigit() and len(step) < 19 and run and group):
            report.problem(member.shown, row, f"expected a run, group and step, got {line[:80]!r}")
            continue
        if metric != "val_loss":
            report.problem(member.shown, row, f"expected val_loss, got {metric!r}")
            continue
        try:
            number = float(value)
        except ValueError:
            report.problem(member.shown, row, f"expected a number as value, got {value[:80]!r}")
            continue
        log = found.setdefault((group, run), [{}])
        if len(log[-1]) > 1 and int(step) == next(iter(log[-1])):
            log.append({})
        _add(log[-1], int(step), (number, row), member, repeats)
    return found


def _add(
    points: _Points, step: int, new: tuple[float, int], member: Member, repeats: Repeats
) -> None:  # fmt: skip
    value, line = new
    known, first = points.setdefault(step, new)
    if first == line:
        return
    if same(known, value):
        repeats.exact(member.shown, "row")
    else:
        message = f"val_loss {value:g} at step {step}, {known:g} in line {first}"
        repeats.contrary(member.shown, line, message)


def _runs(log: list[_Points], member: Member, repeats: Repeats) -> list[_Points]:
    """The runs of a log but for what only repeats, or at one step contradicts, an earlier one."""
    runs: list[_Points] = []
    for points in log:
        values = {(step, repr(value)) for step, (value, _) in points.items()}
        if any(values <= {(step, repr(known[0])) for step, known in run.items()} for run in runs):
            repeats.exact(member.shown, "row", len(points))
        elif runs and len(points) == 1:
            ((step, new),) = points.items()
            _add(runs[0], step, new, member, repeats)
        else:
            runs.append(points)
    return runs


def _curve(points: _Points) -> Curve:
    steps = sorted(points)
    return Curve(
        metric="loss", split="validation", steps=tuple(steps),
        values=tuple(points[step][0] for step in steps),
    )  # fmt: skip


def _method(group: str) -> ImportedMethod:
    """The method of a record; only a name that is exactly a catalogue's is taken for it."""
    dated = _DATED.fullmatch(group)
    ours = catalogue_name(dated[1]) if dated else None
    missing = {"hyperparameters": "the curves come without them", "recipe": "no hyperparameters"}
    if ours is None:
        missing["optimizer"] = "told by the name of the record at most"
    return ImportedMethod(
        name=group, optimizer=ours or (dated[1] if dated else group), in_catalogue=ours is not None,
        hyperparameters={}, missing=missing,
    )  # fmt: skip
