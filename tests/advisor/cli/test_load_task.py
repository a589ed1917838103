"""A task is found by file or module; neighbours can be imported; what is printed goes to stderr."""

from __future__ import annotations

import sys
import traceback

import pytest
from user_files import CommandLine

from advisor.cli.blame import fault_of_user
from advisor.cli.load_task import load_task
from probes.errors import UserError


@pytest.mark.parametrize("text", ["good.py:task", "./good.py:task", "good:task", "talks.py:task"])
def test_ways_to_name_a_task(advisor: CommandLine, text: str) -> None:
    assert load_task(text).name == "good"


def test_a_file_in_another_folder(advisor: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    below = advisor.folder / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    assert load_task("../good.py:task").name == "good"
    assert load_task(f"{advisor.folder}/good.py:task").name == "good"


def test_a_module_in_a_package(advisor: CommandLine) -> None:
    package = advisor.folder / "bundle"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "inner.py").write_text("from good import task\n")
    assert load_task("bundle.inner:task").name == "good"


def test_what_is_printed_goes_to_stderr(
    advisor: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    load_task("talks.py:task")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "printed while loading\nprinted by the function\n"


def test_a_file_named_as_a_known_module_does_not_replace_it(advisor: CommandLine) -> None:
    (advisor.folder / "traceback.py").write_text("from good import task\n")
    assert load_task("traceback.py:task").name == "good"
    assert sys.modules["traceback"] is traceback


def test_dataclasses_of_the_file_work(advisor: CommandLine) -> None:
    (advisor.folder / "settings_task.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from good import task\n"
        "@dataclass\n"
        "class Settings:\n"
        "    width: int = 4\n"
    )
    assert load_task("settings_task.py:task").name == "good"


def test_a_changed_file_is_read_again(advisor: CommandLine) -> None:
    changing = advisor.folder / "changing.py"
    changing.write_text("import good\ndef task(): return good.task()\n")
    load_task("changing.py:task")
    changing.write_text("def task(): raise OSError('changed its mind, at some length')\n")
    with pytest.raises(UserError, match="changed its mind"):
        load_task("changing.py:task")


def test_imports_inside_functions_find_neighbours_later(advisor: CommandLine) -> None:
    (advisor.folder / "late.py").write_text(
        "import good\n"
        "from torch import nn\n"
        "from advisor import Task\n"
        "def make_model():\n"
        "    import later\n"
        "    return nn.Linear(later.inputs, 3)\n"
        "def task():\n"
        "    return Task(model=make_model, train=(good.X, good.Y), steps=2)\n"
    )
    (advisor.folder / "later.py").write_text("inputs = 4\n")
    assert load_task("late.py:task").prepared.steps == 2


@pytest.mark.parametrize(
    ("name", "line"),
    [("raises", "return numbers[3]"), ("no_such_argument", "setps=4")],
)
def test_the_line_of_the_fault_is_shown(advisor: CommandLine, name: str, line: str) -> None:
    text = (advisor.folder / "wrong.py").read_text().splitlines()
    number = next(place for place, one in enumerate(text, start=1) if line in one)
    with pytest.raises(UserError) as caught:
        load_task(f"wrong.py:{name}")
    assert f"line {number} of {advisor.folder}/wrong.py" in caught.value.got
    assert line in caught.value.fix


def test_a_fault_in_a_neighbour_names_the_neighbour(advisor: CommandLine) -> None:
    (advisor.folder / "bad_neighbour.py").write_text("x = 1\nraise KeyError('lost')\n")
    (advisor.folder / "innocent.py").write_text("import bad_neighbour\n")
    with pytest.raises(UserError, match=r"line 2 of .*bad_neighbour\.py"):
        load_task("innocent.py:task")


def test_a_syntax_error_in_a_neighbour_names_the_neighbour(advisor: CommandLine) -> None:
    (advisor.folder / "innocent2.py").write_text("import syntax\n")
    with pytest.raises(UserError, match=r"syntax\.py, got SyntaxError at line 1"):
        load_task("innocent2.py:task")


def _raised(call: object) -> Exception:
    try:
        call()  # type: ignore[operator]
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_whose_fault_it_is() -> None:
    from advisor.cli.output import columns

    def in_a_library_called_by_the_user() -> None:
        import json

        json.loads("{")

    theirs = fault_of_user(_raised(in_a_library_called_by_the_user))
    assert theirs is not None
    assert "JSONDecodeError" in theirs.got
    assert fault_of_user(_raised(lambda: columns([["a"], ["b", "c"]]))) is None
