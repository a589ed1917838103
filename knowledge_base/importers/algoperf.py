"""AlgoPerf logs in their published layout (Dahl et al. 2023, the benchmark's v0.5).

``SUBMISSION/study_N/WORKLOAD_FRAMEWORK/trial_T/`` holds ``measurements.csv``, ``hparams.json`` and
``meta_data_0.json``; the folder above may name the ruleset of the submission. A run stops at the
target of its workload or at the time limit, so its curves are right-censored: the time to a target
that was not reached is only known to be longer.

Some trials lie in ``study_N`` itself. Such a one is left out where its files are those of a trial
in a workload's folder, taken where its facts are those of one workload alone, and else skipped.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from knowledge_base.importers.base import (
    Curve,
    Ending,
    ImportedMethod,
    ImportedRun,
    Report,
    Setting,
    printable,
)
from knowledge_base.importers.measurements import Measurements, read_measurements
from knowledge_base.importers.members import Member, members
from knowledge_base.importers.reading import finite, read_json, settings
from knowledge_base.importers.repeats import Repeats
from knowledge_base.importers.submissions import method_of
from knowledge_base.importers.workloads import Workloads

_FILES = ("hparams.json", "measurements.csv", "meta_data_0.json")
_PLACE = re.compile(
    r"(?:.*/)?(?P<submission>[^/]+)/(?P<study>study_\d+)/"
    r"(?:(?P<workload>[^/]+)_(?P<framework>jax|pytorch)/)?trial_(?P<trial>\d{1,9})"
)
_RULESETS = ("external_tuning", "self_tuning")
_HIGHER_IS_BETTER = {
    "accuracy": True, "bleu": True, "mean_average_precision": True, "ssim": True,
    "ctc_loss": False, "loss": False, "wer": False,
}  # fmt: skip
_NUMBERS = {
    "workload.num_train_examples": "train_examples",
    "workload.num_validation_examples": "validation_examples",
    "workload.num_test_examples": "test_examples",
    "workload.step_hint": "step_hint",
    "workload.test_target_value": "test_target",
    "gpu_count": "gpus",
}


@dataclass
class _Trial:
    """The files of one folder that have come so far.

    Attributes:
        shown: The folder, for messages.
        place: Its path, matched with ``_PLACE``.
        came: Names of the files, usable or not.
        parts: What the usable ones hold.
        digests: Their hashes.
    """

    shown: str
    place: re.Match[str]
    came: set[str] = field(default_factory=set)
    parts: dict[str, Any] = field(default_factory=dict)
    digests: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, part: Any, digest: bytes) -> None:
        """Take in a file; ``part`` is None where it was malformed."""
        self.came.add(name)
        if part is not None:
            self.parts[name], self.digests[name] = part, digest

    @property
    def content(self) -> tuple[bytes, ...]:
        """The hashes of its files, once all have come."""
        return tuple(self.digests[name] for name in _FILES)


class AlgoPerf:
    """The importer of AlgoPerf logs."""

    source = "AlgoPerf"
    licence = "Apache-2.0"
    layout = (
        "AlgoPerf logs (SUBMISSION/study_N/WORKLOAD_FRAMEWORK/trial_T/ with measurements.csv, "
        "hparams.json and meta_data_0.json)"
    )

    def read(self, path: Path, report: Report) -> Iterator[ImportedRun]:
        """A run for each whole trial, as soon as its three files have come; see ``Importer``.

        Only what can be used stands in the way of what comes later: a file that is malformed does
        not for another of its path (an archive may have several), nor does a folder without one of
        its files for another copy of the trial.
        """
        open_trials: dict[str, _Trial] = {}
        unplaced, workloads = list[_Trial](), Workloads()
        outside, closed = set[str](), set[str]()
        methods: dict[tuple[str, str], ImportedMethod] = {}
        repeats = Repeats(report)
        for member in members(path, _is_log, report):
            folder = str(member.name.parent)
            place = _PLACE.fullmatch(folder)
            if place is None:
                if folder not in outside:
                    outside.add(folder)
                    fault = "expected to lie in SUBMISSION/study_N/WORKLOAD_FRAMEWORK/trial_T/"
                    report.problem(member.shown, None, f"{fault}: its task is not known")
                continue
            part, digest = _part(member, report), hashlib.sha256(member.data).digest()
            if part is not None and not repeats.is_first(
                member.name, digest, member.shown, None, "file"
            ):
                continue
            if folder in closed:
                continue
            shown = member.shown.rpartition("/")[0]
            trial = open_trials.setdefault(folder, _Trial(shown, place))
            trial.add(member.name.name, part, digest)
            if len(trial.parts) == len(_FILES):
                closed.add(folder)
                del open_trials[folder]
                origin, content, workload = _origin(place), trial.content, place["workload"]
                if not repeats.is_first(origin, content, shown, None, "trial"):
                    continue
                if workload is None:
                    unplaced.append(trial)
                    continue
                workloads.learn(workload, trial.parts["meta_data_0.json"], content, origin)
                yield self._run(trial, workload, methods)
        for trial in unplaced:
            workload, said = _settled(trial, workloads)
            report.problem(trial.shown, None, said)
            if workload is not None:
                yield self._run(trial, workload, methods)
        for trial in open_trials.values():
            if absent := [name for name in _FILES if name not in trial.came]:
                report.problem(trial.shown, None, f"expected a trial with {', '.join(absent)}")
        repeats.tell()

    def _run(
        self, trial: _Trial, workload: str, methods: dict[tuple[str, str], ImportedMethod]
    ) -> ImportedRun:
        place = trial.place
        hyperparameters: dict[str, Setting] = trial.parts["hparams.json"]
        facts: dict[str, Any] = trial.parts["meta_data_0.json"]
        found: Measurements = trial.parts["measurements.csv"]
        known = (place["submission"], json.dumps(hyperparameters, sort_keys=True))
        method = methods.get(known) or method_of(place["submission"], hyperparameters)
        methods[known] = method
        ending, missing = _ending(found, facts)
        seed = facts.get("rng_seed")
        is_seed = type(seed) is int and -(2**63) <= seed < 2**63
        numbers = {ours: finite(facts.get(name)) for name, ours in _NUMBERS.items()}
        words = {"study": place["study"]}
        if place["framework"] is None:
            words["task"] = "inferred from targets, step hint and number of training examples"
            missing["framework"] = "the trial lies in no workload's folder"
        else:
            words["framework"] = place["framework"]
        if isinstance(device := facts.get("gpu_model_name"), str):
            words["device"] = printable(device)
        return ImportedRun(
            source=self.source, licence=self.licence,
            origin=_origin(place), task=workload,
            method=method, seed=seed if is_seed else None, trial=int(place["trial"]),
            curves=found.curves, ending=ending,
            diverged=any(_diverged(curve) for curve in found.curves),
            numbers={name: value for name, value in numbers.items() if value is not None},
            words=words, missing=missing if is_seed else {**missing, "seed": "not in the log"},
        )  # fmt: skip


def _origin(place: re.Match[str]) -> str:
    """A trial's folder from its submission, or the ruleset of that, on, wherever the logs lie."""
    parts = PurePosixPath(place.string).parts
    start = len(parts) - (3 if place["workload"] is None else 4)
    ruled = start > 0 and parts[start - 1] in _RULESETS
    return "/".join(parts[start - ruled :])


def _settled(trial: _Trial, workloads: Workloads) -> tuple[str | None, str]:
    """The workload of a trial that lies in the folder of none, if any, and what is said of it."""
    original = workloads.copied(trial.content)
    if original is not None:
        return None, f"left out a trial in no workload's folder: an exact copy of {original}"
    workload = workloads.of(trial.parts["meta_data_0.json"])
    if workload is None:
        return None, (
            "skipped a whole trial: its workload is not written, and its targets and sizes are not "
            "those of one other workload alone"
        )
    return workload, f"taken for a trial of {workload}, which alone has its targets and sizes"


def _is_log(name: PurePosixPath) -> bool:
    return name.name in _FILES


def _part(member: Member, report: Report) -> Any:
    """What a file holds, or None where it is malformed and the report says why."""
    if member.name.name == "measurements.csv":
        return read_measurements(member, report)
    data = read_json(member, dict, report)
    if data is None or member.name.name != "hparams.json":
        return data
    checked = settings(data)
    if checked is None:
        report.problem(member.shown, 1, "expected numbers, switches and words as settings")
    return checked


def _diverged(curve: Curve) -> bool:
    # the gradient norm of a single batch may overflow in a run that goes on well
    return curve.metric.endswith("loss") and not math.isfinite(curve.values[-1])


def _ending(found: Measurements, facts: Mapping[str, Any]) -> tuple[Ending | None, dict[str, str]]:
    """Whether and when the validation target was reached, and what is missing of the run."""
    missing = {}
    if not any(curve.metric == "batch_loss" for curve in found.curves):
        missing["batch_loss"] = "the log has no training rows"
    metric = facts.get("workload.target_metric_name")
    target = finite(facts.get("workload.validation_target_value"))
    if not isinstance(metric, str) or metric not in _HIGHER_IS_BETTER or target is None:
        return None, {**missing, "target": "meta_data_0.json has no target of a known metric"}
    higher = _HIGHER_IS_BETTER[metric]
    evaluated = [
        curve for curve in found.curves if curve.split == "validation" and curve.metric == metric
    ]
    limit = finite(facts.get("workload.max_allowed_runtime_sec"))
    timed_out = limit is not None and found.seconds >= limit
    reached, step, seconds = False, 0, 0.0  # never evaluated: censored from the start
    if not evaluated:
        missing["validation"] = f"the log has no validation/{metric}"
    else:
        curve = evaluated[0]
        good = [value >= target if higher else value <= target for value in curve.values]
        reached = any(good)
        place = good.index(True) if reached else len(good) - 1
        step = curve.steps[place]
        seconds = curve.seconds[place] if curve.seconds else math.nan
    cause = "target" if reached else "time limit" if timed_out else "unknown"
    return Ending(
        metric=metric, target=target, higher_is_better=higher, reached=reached,
        censored=not reached, step=step, seconds=seconds, cause=cause,
        limit_seconds=math.nan if limit is None else limit,
    ), missing  # fmt: skip
