"""One import: from a path of a published format into a folder, with counts and problems."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from knowledge_base.importers.algoperf import AlgoPerf
from knowledge_base.importers.base import ImportedMethod, ImportedRun, Importer, Problem, Report
from knowledge_base.importers.columns import with_reasons
from knowledge_base.importers.nanogpt_track import NanoGptTrack
from knowledge_base.importers.opt_list import OptList
from knowledge_base.importers.taskset import TaskSet
from knowledge_base.importers.tier import TierWriter
from probes.errors import UserError, unknown_name

FORMATS: Mapping[str, Importer] = {
    "algoperf": AlgoPerf(),
    "taskset": TaskSet(),
    "nanogpt-track": NanoGptTrack(),
    "opt-list": OptList(),
}


class Summary(BaseModel):
    """What an import has brought.

    Attributes:
        format: Name of the format.
        source: Name of the publication.
        licence: Its licence.
        files: Files read, malformed ones included.
        runs: Runs written.
        methods: Different methods, hyperparameters included.
        recipes: Methods that a recipe of ours expresses.
        curves: Curves of all runs.
        points: Points of all curves.
        censored: Runs whose time to the target is censored.
        diverged: Runs that diverged.
        by_source: Runs (of a list: methods) by publication.
        by_task: Runs by task.
        by_method: Runs (of a list: methods) by the method's published name; of a list by its
            optimizer.
        missing: How many runs and methods lack what, by name.
        problems: The first thousand problems.
        problem_count: All problems.
        replaced: Runs (of a list: methods) of the earlier import that this took the place of.
        seconds: Wall time.
    """

    model_config = ConfigDict(frozen=True)
    format: str
    source: str
    licence: str
    files: int
    runs: int
    methods: int
    recipes: int
    curves: int
    points: int
    censored: int
    diverged: int
    by_source: dict[str, int]
    by_task: dict[str, int]
    by_method: dict[str, int]
    missing: dict[str, int]
    problems: tuple[Problem, ...]
    problem_count: int
    replaced: int
    seconds: float


def import_results(
    path: Path,
    format_name: str,
    folder: Path,
    told: Callable[[int], None] = lambda count: None,
    *,
    replace: bool = False,
) -> Summary:
    """Read published results into ``folder/<format_name>``.

    Args:
        path: A folder, an archive or a file, as published.
        format_name: One of ``FORMATS``.
        folder: Where the imported formats are kept.
        told: Told how many records are done, now and then.
        replace: Whether it may take the place of an earlier import of the format.

    Raises:
        UserError: Nothing of that format is at the path, it cannot be read or written, an earlier
            import is there that is not to be replaced, or files of somebody else's are. What is
            malformed among the rest is no error but a problem of the summary.
    """
    if format_name not in FORMATS:
        raise unknown_name("a published format", format_name, FORMATS)
    importer = FORMATS[format_name]
    try:
        writer = TierWriter(folder, format_name, replace)
        return _import(path, importer, writer, format_name, told)
    except OSError as error:  # reading has its own place in the report
        raise UserError(
            "a folder that can be written", f"{folder} ({error})", "make room or give another"
        ) from error


def _import(
    path: Path,
    importer: Importer,
    writer: TierWriter,
    format_name: str,
    told: Callable[[int], None],
) -> Summary:
    began = time.monotonic()
    report, counts = Report(), _Counts()
    with writer as tier:
        for record in importer.read(path, report):
            if isinstance(record, ImportedMethod):
                counts.of_method(tier.method(record), record, listed=True)
            else:
                run = with_reasons(record)
                tier.run(run)
                counts.of_method(tier.method(run.method), run.method, listed=False)
                counts.of_run(run)
            counts.records += 1
            if counts.records % 100 == 0:
                told(counts.records)
        if not counts.records:
            raise _nothing(importer, path, report)
        seconds = time.monotonic() - began
        summary = counts.summary(format_name, importer, report, tier.replaces, seconds)
        kept = summary.model_dump(exclude={"format", "source", "licence", "problems", "replaced"})
        tier.finish({"source": importer.source, "licence": importer.licence, "counts": kept})
    return summary


def _nothing(importer: Importer, path: Path, report: Report) -> UserError:
    if report.problems:
        more = f" and {report.problem_count - 1} more" if report.problem_count > 1 else ""
        return UserError(importer.layout, f"{report.problems[0]}{more}", "check the path")
    return UserError(importer.layout, f"none in {path}", "check the path and --format")


class _Counts:
    """Numbers of an import under way."""

    def __init__(self) -> None:
        self.records = self.runs = self.curves = self.points = self.censored = self.diverged = 0
        self.tasks: Counter[str] = Counter()
        self.names: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()
        self.recipes: dict[str, bool] = {}

    def of_method(self, key: str, method: ImportedMethod, listed: bool) -> None:
        """Count one use of a method."""
        self.names[method.optimizer if listed else method.name] += 1
        if key not in self.recipes:
            self.recipes[key] = method.recipe is not None
            self.missing.update(f"method.{name}" for name in method.missing)

    def of_run(self, run: ImportedRun) -> None:
        """Count a run."""
        self.runs += 1
        self.curves += len(run.curves)
        self.points += sum(len(curve.steps) for curve in run.curves)
        self.censored += run.ending is not None and run.ending.censored
        self.diverged += run.diverged
        self.tasks[run.task] += 1
        self.missing.update(run.missing.keys())

    def summary(
        self, format_name: str, importer: Importer, report: Report, replaced: int, seconds: float
    ) -> Summary:
        """The numbers, names in alphabetical order."""
        return Summary(
            format=format_name, source=importer.source, licence=importer.licence,
            files=report.files, runs=self.runs, methods=len(self.recipes),
            recipes=sum(self.recipes.values()), curves=self.curves, points=self.points,
            censored=self.censored, diverged=self.diverged,
            by_source={importer.source: self.records}, by_task=dict(sorted(self.tasks.items())),
            by_method=dict(sorted(self.names.items())),
            missing=dict(sorted(self.missing.items())), problems=tuple(report.problems),
            problem_count=report.problem_count, replaced=replaced, seconds=seconds,
        )  # fmt: skip
