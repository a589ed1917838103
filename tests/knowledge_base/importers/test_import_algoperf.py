"""AlgoPerf logs: curves, censoring, methods, and what is malformed."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from published_files import HEADER, HPARAMS, META, ROWS, trial

from knowledge_base.importers import ImportedRun, Report
from knowledge_base.importers.algoperf import AlgoPerf
from knowledge_base.importers.submissions import SUBMISSIONS, method_of

FILES = ("hparams.json", "measurements.csv", "meta_data_0.json")
GOOD = "baseline/study_0/wmt_pytorch/trial_2"


def read(folder: Path) -> tuple[list[ImportedRun], Report]:
    report = Report()
    return list(AlgoPerf().read(folder, report)), report


def test_a_whole_trial(tmp_path: Path) -> None:
    trial(tmp_path)
    (run,), report = read(tmp_path)
    assert report.problem_count == 0
    assert (run.task, run.trial, run.seed) == ("imagenet_vit", 1, -7)
    assert run.origin == "baseline/study_0/imagenet_vit_jax/trial_1"
    assert run.words == {"framework": "jax", "study": "study_0", "device": "some device"}
    assert run.numbers["train_examples"] == 5000
    curves = {(curve.split, curve.metric): curve for curve in run.curves}
    assert curves["train", "batch_loss"].steps == (0, 100)
    assert curves["train", "batch_loss"].values == (2.5, 1.25)
    assert curves["train", "batch_loss"].seconds == ()
    assert curves["validation", "accuracy"].values == (0.1, 0.65, 0.75)
    assert curves["test", "loss"].seconds == (5.0, 40.0, 80.0)
    assert ("validation", "num_examples") not in curves


@pytest.mark.parametrize(
    ("rows", "meta", "expected"),
    [
        (ROWS, {}, (True, False, 300, 80.0, "target")),
        (ROWS[:4], {}, (False, True, 150, 40.0, "unknown")),
        (
            ROWS[:4],
            {"workload.max_allowed_runtime_sec": 40},
            (False, True, 150, 40.0, "time limit"),
        ),
        (
            (*ROWS[:4], ROWS[-1]),
            {"workload.max_allowed_runtime_sec": 85},
            (False, True, 150, 40.0, "time limit"),
        ),
        (ROWS[:1], {}, (False, True, 0, 0.0, "unknown")),
        (
            ROWS,
            {"workload.target_metric_name": "loss", "workload.validation_target_value": 1.1},
            (True, False, 150, 40.0, "target"),
        ),
    ],
    ids=["reached", "log stops", "limit", "limit after the last evaluation", "never", "lower"],
)
def test_censoring(
    tmp_path: Path,
    rows: tuple[str, ...],
    meta: dict[str, object],
    expected: tuple[bool, bool, int, float, str],
) -> None:
    trial(tmp_path, rows=rows, meta={**META, **meta})
    (run,), _ = read(tmp_path)
    found = run.ending
    assert found is not None
    told = (found.reached, found.censored, found.step, found.seconds, found.cause)
    assert told == expected


def test_columns_in_any_order_and_no_training_rows(tmp_path: Path) -> None:
    trial(
        tmp_path, header="validation/accuracy,accumulated_submission_time,global_step",
        rows=("0.5,10.0,20", "0.25,5.0,10"),
    )  # fmt: skip
    (run,), report = read(tmp_path)
    assert report.problem_count == 0
    (curve,) = run.curves
    assert (curve.steps, curve.values, curve.seconds) == ((10, 20), (0.25, 0.5), (5.0, 10.0))
    assert "batch_loss" in run.missing


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    trial(tmp_path, meta={}, header="global_step,loss", rows=("0,1.0", "1,nan"))
    (run,), _ = read(tmp_path)
    assert run.ending is None
    assert {"target", "seed"} <= set(run.missing)
    assert run.diverged
    assert {"eps", "horizon"} <= set(run.method.missing)


@pytest.mark.parametrize(
    ("row", "line", "said"),
    [
        ("100,oops,1.0,,,,,,,,,,,,,", 3, "a number for grad_norm, got 'oops'"),
        ("100,1.0,1.0,,", 3, "expected 16 cells, got 5"),
        ("1.5,1.0,1.0,,,,,,,,,,,,,", 3, "a whole number from 0, got 1.5"),
        (",1.0,1.0,,,,,,,,,,,,,", 3, "a number for global_step, got ''"),
        ("nan,1.0,1.0,,,,,,,,,,,,,", 3, "a whole number from 0, got nan"),
        ("-3,1.0,1.0,,,,,,,,,,,,,", 3, "a whole number from 0, got -3"),
        ("\x00\x01", 3, "expected 16 cells, got 1"),
    ],
    ids=["non-number", "short", "fraction", "no step", "nan", "negative", "bytes"],
)
def test_a_malformed_line_is_named_and_the_rest_read(
    tmp_path: Path, row: str, line: int, said: str
) -> None:
    folder = trial(tmp_path, rows=(ROWS[0], row, *ROWS[1:]))
    (run,), report = read(tmp_path)
    (problem,) = report.problems
    assert (problem.file, problem.line) == (str(folder / "measurements.csv"), line)
    assert said in problem.message
    assert str(problem).startswith(f"{problem.file}:{line}: ")
    trial(tmp_path)
    assert read(tmp_path)[0] == [run]


@pytest.mark.parametrize(
    ("file", "text", "line", "said"),
    [
        ("hparams.json", '{\n "a": 1,\n', 3, "whole JSON"),
        ("hparams.json", "[1]", 1, "an object"),
        ("hparams.json", '{"a": [1]}', 1, "numbers, switches and words"),
        ("hparams.json", "9" * 5000, None, "whole JSON"),
        ("hparams.json", "[" * 100000, None, "whole JSON"),
        ("meta_data_0.json", "", 1, "whole JSON"),
        ("meta_data_0.json", "null", 1, "an object"),
        ("measurements.csv", "step,loss\n1,2\n", 1, "global_step"),
        ("measurements.csv", "global_step,loss,loss\n1,2,3\n", 1, "each column once"),
        ("measurements.csv", "", 1, "global_step"),
        ("measurements.csv", HEADER, None, "rows of measurements"),
    ],
)
def test_a_malformed_file_is_named_and_other_trials_read(
    tmp_path: Path, file: str, text: str, line: int | None, said: str
) -> None:
    bad = trial(tmp_path)
    trial(tmp_path, GOOD)
    (bad / file).write_text(text)
    runs, report = read(tmp_path)
    assert [run.origin for run in runs] == [GOOD]
    (problem,) = report.problems
    assert (problem.file, problem.line) == (str(bad / file), line)
    assert said in problem.message


@pytest.mark.parametrize("file", FILES)
def test_a_trial_without_a_file(tmp_path: Path, file: str) -> None:
    bad = trial(tmp_path)
    (bad / file).unlink()
    runs, report = read(tmp_path)
    assert runs == []
    assert [str(problem) for problem in report.problems] == [f"{bad}: expected a trial with {file}"]


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("workload.target_metric_name", ["accuracy"]),
        ("workload.target_metric_name", "style"),
        ("workload.validation_target_value", None),
        ("workload.validation_target_value", "0.7"),
        ("workload.max_allowed_runtime_sec", float("nan")),
        ("workload.step_hint", 10**400),
        ("rng_seed", True),
        ("rng_seed", 2**64),
        ("gpu_model_name", "half \ud800 character"),
    ],
)
def test_odd_facts(tmp_path: Path, fact: str, value: object) -> None:
    trial(tmp_path, meta={**META, fact: value})
    (run,), report = read(tmp_path)
    assert report.problem_count == 0
    assert (run.ending is None) == ("target" in fact) == ("target" in run.missing)
    assert (run.seed is None) == (fact == "rng_seed") == ("seed" in run.missing)
    assert ("step_hint" in run.numbers) == (fact != "workload.step_hint")
    if fact == "gpu_model_name":
        assert run.words["device"] == "half ? character"


def test_a_trial_outside_of_a_workload(tmp_path: Path) -> None:
    trial(tmp_path, "baseline/study_0/wmt_tensorflow/trial_1")
    runs, report = read(tmp_path)
    assert (runs, report.problem_count, report.files) == ([], 1, 3)
    assert "its task is not known" in report.problems[0].message


def test_many_malformed_lines_are_summed_up(tmp_path: Path) -> None:
    trial(tmp_path, rows=(*ROWS, *["x"] * 500))
    runs, report = read(tmp_path)
    assert len(runs) == 1
    assert report.problem_count == 21
    assert report.problems[-1].message == "480 more malformed lines"


def test_from_within_a_submission(tmp_path: Path) -> None:
    folder = trial(tmp_path)
    assert read(folder.parent.parent)[0] == read(tmp_path)[0] == read(folder)[0]


BARE = "amos/study_0/trial_1"


def test_a_copy_in_no_workloads_folder_is_left_out(tmp_path: Path) -> None:
    trial(tmp_path, "amos/study_0/wmt_jax/trial_1")
    bare = trial(tmp_path, BARE)
    (run,), report = read(tmp_path)
    assert run.origin == "amos/study_0/wmt_jax/trial_1"
    assert [str(problem) for problem in report.problems] == [
        f"{bare}: left out a trial in no workload's folder: an exact copy of {run.origin}"
    ]


def test_a_workload_is_inferred_where_one_alone_has_the_facts(tmp_path: Path) -> None:
    trial(tmp_path, "baseline/study_0/wmt_jax/trial_1")
    other = {**META, "workload.validation_target_value": 0.75}
    trial(tmp_path, "baseline/study_0/wmt_glu_jax/trial_1", meta=other)
    bare = trial(tmp_path, BARE, meta={**META, "rng_seed": 3, "gpu_count": 1})
    runs, report = read(tmp_path)
    run = runs[-1]
    assert (len(runs), run.task, run.origin, run.seed) == (3, "wmt", BARE, 3)
    assert "framework" not in run.words
    assert "framework" in run.missing
    assert run.words["task"].startswith("inferred from targets")
    assert [str(problem) for problem in report.problems] == [
        f"{bare}: taken for a trial of wmt, which alone has its targets and sizes"
    ]


@pytest.mark.parametrize(
    ("workloads", "meta"),
    [
        ((), META),
        (("wmt", "wmt_glu"), META),
        (("wmt",), {**META, "workload.step_hint": 1001}),
        (("wmt",), {name: META[name] for name in META if name != "workload.step_hint"}),
        (("wmt",), {**META, "workload.test_target_value": None}),
    ],
    ids=["none known", "two with the facts", "other facts", "a fact short", "no target"],
)
def test_a_whole_trial_of_an_unknown_workload_is_skipped(
    tmp_path: Path, workloads: tuple[str, ...], meta: dict[str, object]
) -> None:
    for name in workloads:
        trial(tmp_path, f"baseline/study_0/{name}_jax/trial_1", meta={**META, "rng_seed": 5})
    bare = trial(tmp_path, BARE, meta=meta)
    runs, report = read(tmp_path)
    assert len(runs) == len(workloads)
    (problem,) = report.problems
    assert problem.file == str(bare)
    assert problem.message.startswith("skipped a whole trial: its workload is not written")


@st.composite
def corruptions(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file of a trial and what became of it."""
    file = draw(st.sampled_from(FILES))
    texts = {
        "measurements.csv": "\n".join((HEADER, *ROWS)) + "\n",
        "hparams.json": json.dumps(HPARAMS),
        "meta_data_0.json": json.dumps(META),
    }
    data = texts[file].encode()
    start = draw(st.integers(0, len(data)))
    end = draw(st.one_of(st.just(len(data)), st.integers(start, min(len(data), start + 30))))
    junk = draw(st.one_of(st.binary(max_size=12), st.sampled_from(
        [b"", b"x", b",", b"\n", b'"', b"{", b"nan", b"1e999", b"-1", b"null", b"\xff", b"9" * 400]
    )))  # fmt: skip
    return file, data[:start] + junk + data[end:]


@pytest.fixture(scope="module")
def two_trials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    trial(folder, GOOD)
    return folder


@settings(max_examples=100, deadline=None)
@given(corruption=corruptions())
@example(corruption=("hparams.json", b"BZh"))
def test_corruption_never_raises(two_trials: Path, corruption: tuple[str, bytes]) -> None:
    file, data = corruption
    bad = trial(two_trials)
    (bad / file).write_bytes(data)
    runs, report = read(two_trials)
    assert GOOD in [run.origin for run in runs]
    assert len(runs) == 2 or report.problem_count > 0
    for problem in report.problems:  # of a file that cannot be read the trial is told to lack it
        assert problem.file in (str(bad / file), str(bad))
        assert problem.line is None or 1 <= problem.line <= data.count(b"\n") + 1


@settings(max_examples=50, deadline=None)
@given(
    row=st.integers(0, len(ROWS) - 1),
    cell=st.integers(0, HEADER.count(",")),
    text=st.text(st.characters(categories=("L", "S", "P"), exclude_characters=",+-._"), min_size=1),
)
def test_a_cell_that_is_no_number_is_named(row: int, cell: int, text: str) -> None:
    cells = ROWS[row].split(",")
    columns = HEADER.split(",")
    cells[cell] = f"{text}!"
    rows = (*ROWS[:row], ",".join(cells), *ROWS[row + 1 :])
    read_columns = [
        name for name in columns
        if name in ("global_step", "loss", "grad_norm", "score", "accumulated_submission_time")
        or ("/" in name and not name.endswith("num_examples"))
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        trial(Path(name), rows=rows)
        (_,), report = read(Path(name))
    expected = [row + 2] if columns[cell] in read_columns else []
    assert [problem.line for problem in report.problems] == expected


@pytest.mark.parametrize(
    ("flags", "optimizer"),
    [
        ({"nesterov": True}, "nadamw"),
        ({"nesterov": False}, "adamw"),
        ({"nesterov": True, "disable_preconditioning": True}, "nesterov"),
        ({"nesterov": False, "disable_preconditioning": True}, "momentum"),
    ],
)
def test_generalized_adam_by_its_flags(flags: dict[str, bool], optimizer: str) -> None:
    published = {
        "learning_rate": 0.1, "beta1": 0.9, "beta2": 0.99, "cosine_decay_fraction": 1.0, **flags
    }  # fmt: skip
    method = method_of("generalized_adam", published)
    assert (method.optimizer, method.in_catalogue) == (optimizer, True)
    assert (method.recipe is None) == ("recipe" in method.missing)
    assert (method.recipe is None) == flags.get("disable_preconditioning", False)
    part = method_of("generalized_adam", {**published, "cosine_decay_fraction": 0.75})
    assert part.recipe is None
    assert "schedule" in part.missing or "lr" in part.missing


def test_the_baseline_becomes_a_recipe() -> None:
    method = method_of("baseline", HPARAMS)
    assert method.recipe is not None
    optimizer = method.recipe["optimizer"]
    assert (optimizer["name"], optimizer["lr"], optimizer["beta1"]) == ("nadamw", 0.002, 0.75)
    assert method.recipe["schedule"] == {"name": "cosine", "warmup": 0.05, "final": 0.0}
    assert method.recipe["regularization"]["label_smoothing"] == 0.1


@pytest.mark.parametrize("name", [*SUBMISSIONS, "someone_elses"])
def test_every_submission_has_a_method(name: str) -> None:
    method = method_of(name, {"learning_rate": 0.1, "warmup_factor": 0.1, "flag": True})
    assert method.name == name
    assert method.hyperparameters["lr"] == 0.1
    assert (method.recipe is None) == ("recipe" in method.missing)


@pytest.mark.parametrize("rate", [-1.0, 0.0, 1e9, "fast", True])
def test_settings_that_the_catalogue_refuses(rate: float | str) -> None:
    method = method_of("baseline", {**HPARAMS, "learning_rate": rate})
    assert method.recipe is None
    assert "lr of nadamw" in method.missing["recipe"]


def test_time_is_unknown_where_no_row_has_it(tmp_path: Path) -> None:
    trial(tmp_path, header="global_step,validation/accuracy", rows=("10,0.9",))
    (run,), _ = read(tmp_path)
    assert run.ending is not None
    assert run.ending.reached
    assert math.isnan(run.ending.seconds)
