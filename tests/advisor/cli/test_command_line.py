"""The commands: what they print for people and for programs, and what --help costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from user_files import CommandLine

from advisor.cli.output import ProgressLine, columns, duration, json_text, size
from advisor.cli.program import make_parser
from probes.recipe.catalogue import Kind, table
from probes.recipe.prices import priced_rows, shipped_prices
from probes.recipe.schema import Recipe

ROOT = Path(__file__).parents[3]
COMMANDS = ("recommend", "refine", "export", "train", "probe", "list", "kb", "evaluate")


def _python(*words: str, **settings: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment, timeout=120,
        check=False, **settings,
    )  # type: ignore[call-overload, no-any-return]  # fmt: skip


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from advisor.cli import main\n"
        "try:\n"
        "    main(['recommend', '--help'])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "heavy = {'torch', 'pydantic', 'rich', 'numpy', 'optuna', 'lightgbm', 'sklearn', 'yaml'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    done = _python("-c", program)
    assert done.returncode == 0, done.stderr
    assert "--budget" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        [],
        *([name] for name in COMMANDS),
        ["kb", "status"],
        ["kb", "build"],
        ["kb", "fit"],
        ["kb", "import"],
        ["kb", "findings"],
    ],
    ids=" ".join,
)
def test_help_everywhere(advisor: CommandLine, words: list[str]) -> None:
    answer = advisor(*words, "--help")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.startswith("usage: " + " ".join(["advisor", *words]))


def test_commands_that_are_not_built_are_absent() -> None:
    parser = make_parser()
    assert tuple(parser.commands) == COMMANDS
    assert set(parser.commands["kb"].commands) == {
        "status", "build", "fit", "import", "findings",
    }  # fmt: skip


def test_version(advisor: CommandLine) -> None:
    answer = advisor("--version")
    assert answer.status == 0
    assert answer.out.strip().count(".") == 2


@pytest.mark.parametrize("kind", ["optimizer", "schedule", "normalization", "extra"])
def test_list_names_every_row(advisor: CommandLine, kind: Kind) -> None:
    answer = advisor("list", kind + "s", "--json")
    listed = {row["name"]: row for row in json.loads(answer.out)}
    rows = table(kind)
    assert (answer.status, answer.err) == (0, "")
    assert list(listed) == list(rows)
    for name, row in rows.items():
        known = {setting.name: setting.default for setting in row.hyperparameters}
        assert {one["name"]: one["default"] for one in listed[name]["hyperparameters"]} == known
        assert listed[name]["state_per_parameter"] == row.state
        assert listed[name]["source"] == row.source
        price = shipped_prices().price(kind, name, "cpu")
        shown = listed[name]["price"]
        assert shown.get("cpu") == (None if price is None else price.model_dump(mode="json"))
        assert ("cpu" in shown) == (row in priced_rows())
    people = advisor("list", kind + "s").out.splitlines()
    assert [line.split()[0] for line in people] == ["NAME", *rows]


def test_train_as_json(advisor: CommandLine) -> None:
    words = ("train", "talks.py:task", "--recipe", "good.yaml", "--json")
    answer = advisor(*words)
    run = json.loads(answer.out)
    assert answer.status == 0
    assert "printed by the function" in answer.err
    assert {"initial", "final", "test", "curve", "passes", "seconds", "diverged"} <= set(run)
    assert run["initial"]["loss"] > run["final"]["loss"] > 0
    assert run["curve"][0][:2] == [0, run["initial"]["loss"]]
    assert run["curve"][-1][:2] == [8, run["final"]["loss"]]
    assert run["columns"][:2] == ["step", "loss"]
    assert run["passes"] == 8
    assert run["diverged"] is False
    assert run["test"]["accuracy"] >= 0
    assert Recipe.parse(run["recipe"]) == Recipe.load(advisor.folder / "good.yaml")
    assert json.loads(advisor(*words).out)["curve"] == run["curve"]
    assert json.loads(advisor(*words, "--seed", "1").out)["curve"] != run["curve"]
    assert json.loads(advisor(*words, "--steps", "3").out)["passes"] == 3


def test_train_for_people(advisor: CommandLine) -> None:
    answer = advisor("train", "good.py:task", "--recipe", "good.yaml")
    lines = answer.out.splitlines()
    assert lines[0].split() == ["step", "validation", "loss", "train", "loss", "accuracy"]
    assert any(line.startswith("test ") for line in lines)
    assert "step 8 of 8" in answer.err
    assert "held out" in answer.err


def test_a_diverged_run_is_a_result(advisor: CommandLine) -> None:
    wild = advisor.folder / "wild.yaml"
    wild.write_text("optimizer: {name: sgd, lr: 10000}\n")
    words = ("train", "good.py:task", "--recipe", "wild.yaml", "--steps", "64")
    answer = advisor(*words, "--json")
    assert answer.status == 0
    assert json.loads(answer.out)["diverged"] is True
    assert "diverged" in advisor(*words).out


@pytest.mark.parametrize("to", ["yaml", "json", "torch"])
def test_export_to_stdout_and_to_a_file(advisor: CommandLine, to: str) -> None:
    shown = advisor("export", "good.yaml", "--to", to)
    assert shown.status == 0
    written = advisor("export", "good.yaml", "--to", to, "--out", "recipe.txt")
    assert (written.status, written.out) == (0, "")
    assert written.err == "wrote recipe.txt\n"
    assert (advisor.folder / "recipe.txt").read_text() == shown.out
    if to == "torch":
        compile(shown.out, "recipe.py", "exec")
        assert "BATCH_SIZE = 16" in shown.out
    else:
        read = yaml.safe_load if to == "yaml" else json.loads
        assert Recipe.parse(read(shown.out)) == Recipe.load(advisor.folder / "good.yaml")


def test_probe(advisor: CommandLine) -> None:
    answer = advisor("probe", "good.py:task", "--tier", "16", "--json")
    profile = json.loads(answer.out)
    assert answer.status == 0
    assert profile["tier"] == 16
    assert 0 < profile["passes"] <= 16
    assert profile["values"]["model.parameters"] == 15
    people = advisor("probe", "good.py:task", "--budget", "0.5s").out
    assert "model.parameters" in people
    assert "tier" in people.splitlines()[-1]


@pytest.mark.slow
def test_nobody_reads() -> None:
    program = (
        "import os, sys\n"
        "reader, writer = os.pipe()\n"
        "os.close(reader)\n"
        "os.dup2(writer, 1)\n"
        "from advisor.cli import main\n"
        "main(['list', 'optimizers'])\n"
    )
    done = _python("-c", program)
    assert done.returncode == 141
    assert done.stderr == ""


def test_only_results_reach_standard_output() -> None:
    program = (
        "import os, subprocess, sys\n"
        "from advisor.cli import listing, main\n"
        "run = listing.run\n"
        "def noisy(chosen):\n"
        "    print('noise 1')\n"
        "    os.write(1, b'noise 2\\n')\n"
        "    sys.__stdout__.write('noise 3\\n')\n"
        "    subprocess.run([sys.executable, '-c', 'print(\"noise 4\")'])\n"
        "    return run(chosen)\n"
        "listing.run = noisy\n"
        "main(['list', 'schedules', '--json'])\n"
    )
    done = _python("-c", program)
    assert done.returncode == 0, done.stderr
    assert "cosine" in {row["name"] for row in json.loads(done.stdout)}
    assert sorted(done.stderr.split()[1::2]) == ["1", "2", "3", "4"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is full")
def test_a_full_disk_is_one_line() -> None:
    words = ("-m", "advisor", "list", "schedules")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            cwd=ROOT,
        )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize(("closed", "status"), [(1, 2), (2, 0)])
def test_a_closed_stream(closed: int, status: int) -> None:
    words = [sys.executable, "-m", "advisor", "list", "schedules", "--json"]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}>&-', "sh", *words], capture_output=True, text=True,
        check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == status
    if closed == 2:
        assert json.loads(done.stdout)
    else:
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_nothing_of_a_noisy_task_reaches_standard_output(advisor: CommandLine) -> None:
    words = ("train", "noisy.py:task", "--recipe", "good.yaml", "--json")
    done = _python("-m", "advisor", *words, cwd=advisor.folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["passes"] == 8
    assert "noise of a step" in done.stderr
    assert "noise at the exit" in done.stderr


@pytest.mark.slow
def test_as_a_module(tmp_path: Path) -> None:
    done = _python("-m", "advisor", "list", "schedules", "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert "cosine" in {row["name"] for row in json.loads(done.stdout)}


def test_json_has_no_numbers_that_json_does_not_know() -> None:
    assert json.loads(json_text({"a": [float("nan"), 1.5], "b": (float("inf"),), 3: None})) == {
        "a": [None, 1.5], "b": [None], "3": None,
    }  # fmt: skip


def test_columns_are_aligned() -> None:
    assert columns([["a", "bb", "c"], ["aaa", "b", ""]]) == "a    bb  c\naaa  b"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0213, "21.3 ms"), (4.21, "4.2 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_size() -> None:
    assert [size(999), size(15_300), size(2.5e12)] == ["999 B", "15.3 kB", "2.5 TB"]


def test_progress_is_told_now_and_then_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    line = ProgressLine(every=10.0, clock=lambda: now[0])
    for done in range(1, 41):
        now[0] += 1.0
        line.show("reference", done, 40)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 5
    assert told[-1] == "reference [" + "#" * 20 + "] 40/40, 39.0 s"
    assert told[0] == "reference [" + "." * 20 + "] 1/40", "one item tells nothing of the next"
    assert told[1] == "reference [" + "#" * 6 + "." * 14 + "] 11/40, 29.0 s left"


def test_a_stage_of_one_item_has_no_time(capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine(every=0.0)
    for stage in ("searched", "repeat"):
        line.show(stage, 1, 1, "1 failed")
    assert capsys.readouterr().err.splitlines() == [
        f"{stage} [{'#' * 20}] 1/1, 1 failed" for stage in ("searched", "repeat")
    ]
