"""Bad input gets one line, exit status 2, no traceback, and nothing on standard output."""

from __future__ import annotations

from pathlib import Path

import pytest
from user_files import CommandLine

TRAIN = "train {} --recipe good.yaml"
BAD = {
    # words of the command line
    "no command": ("", "choose one of recommend"),
    "unknown command": ("recomend good.py:task", "did you mean recommend"),
    "no command of kb": ("kb", "status, build, import, findings, fit"),
    "unknown command of kb": ("kb biuld", "did you mean build"),
    "unknown option": ("train good.py:task --recipy good.yaml", "did you mean --recipe"),
    "unknown option before TASK": ("recommend --bugdet 10% good.py:task", "--budget"),
    "unknown short option": ("list optimizers -x", "-x"),
    "shortened option": ("recommend good.py:task --budg 10%", "did you mean --budget"),
    "no TASK": ("recommend", "TASK"),
    "no value": ("recommend good.py:task --budget", "a value after --budget"),
    "too many words": ("list optimizers schedules", "schedules"),
    "no recipe": ("train good.py:task", "--recipe"),
    "unknown table": ("list optimisers", "did you mean optimizers"),
    # budgets, goals, devices, numbers
    "negative budget": ("recommend good.py:task --budget -10%", "-10%"),
    "no budget": ("recommend good.py:task --budget 0%", "above 0"),
    "nonsense budget": ("recommend good.py:task --budget lots", "10%"),
    "budget without unit": ("probe good.py:task --budget 10", "followed by % or s"),
    "more than all": ("recommend good.py:task --budget 120%", "at most 100%"),
    "unknown goal": ("recommend good.py:task --goal fast", "did you mean fastest"),
    "target without its goal": ("recommend good.py:task --target 0.1", "--goal fastest"),
    "target that is no number": ("recommend good.py:task --goal fastest --target low", "'low'"),
    "nonsense memory": ("recommend good.py:task --max-memory lots", "such as 2GB"),
    "no memory": ("refine a.json --task good.py:task --max-memory 0", "such as 2GB"),
    "unknown device": ("recommend good.py:task --device gpu", "cuda"),
    "device not there": (TRAIN.format("good.py:task") + " --device cuda:77", "cuda:77"),
    "steps of zero": (TRAIN.format("good.py:task") + " --steps 0", "steps"),
    "steps without end": (
        TRAIN.format("good.py:task") + " --steps " + "9" * 20,
        "of at least 1 and at most 9223372036854775807, got '99999999999999999999'",
    ),
    "steps of many digits": (
        TRAIN.format("good.py:task") + " --steps " + "9" * 5000,
        "at most 9223372036854775807",
    ),
    "workers without end": ("kb build --workers 99999999999999999999", "at most 9223372036854"),
    "negative seed": (TRAIN.format("good.py:task") + " --seed -1", "seed"),
    "rank of zero": ("export good.yaml --to json --rank 0", "rank"),
    "tier that is none": ("probe good.py:task --tier 17", "16, 64, 256, 1024"),
    "tier and budget": ("probe good.py:task --tier 16 --budget 10%", "leave one out"),
    "nonsense timeout": ("refine good.yaml --task good.py:task --timeout soon", "600s"),
    "out in no folder": ("recommend good.py:task --out nowhere/advice.json", "nowhere"),
    "out too long": ("recommend good.py:task --out " + "x" * 300, "File name too long"),
    "out of a null byte": ("recommend good.py:task --out x\0y", "null bytes"),
    "out in no real folder": ("recommend good.py:task --out /proc/advice.json", "be written"),
    "out is a folder": ("recommend good.py:task --out .", "folder"),
    "models in no folder": ("recommend good.py:task --models nowhere", "none in nowhere"),
    "models of no name": ("recommend good.py:task --models=", "a path, got ''"),
    "models of no name to refine": ("refine a.json --task good.py:task --models=", "a path"),
    # the task
    "no such file": (TRAIN.format("absent.py:task"), "does not exist"),
    "no function named": (TRAIN.format("good.py"), "there is task"),
    "colon and no function": (TRAIN.format("good.py:"), "there is task"),
    "no file and no function": (TRAIN.format("absent.py"), "does not exist"),
    "no file at all": (TRAIN.format("task"), "path/to/file.py:function"),
    "unknown function": (TRAIN.format("good.py:tusk"), "did you mean task"),
    "no function in the file": (TRAIN.format("empty.py:task"), "define task"),
    "not callable": (TRAIN.format("good.py:answer"), "int"),
    "no Python file": (TRAIN.format("notes.txt:task"), "notes.txt"),
    "no such module": (TRAIN.format("no.such.module:task"), "no.such.module"),
    "syntax error": (TRAIN.format("syntax.py:task"), "line 1"),
    "syntax error, no function": (TRAIN.format("syntax.py"), "line 1"),
    "import error": (TRAIN.format("imports.py:task"), "line 2"),
    "raises while loading": (TRAIN.format("explodes.py:task"), "ValueError: while loading"),
    "raises": (TRAIN.format("wrong.py:raises"), "IndexError"),
    "leaves": (TRAIN.format("wrong.py:leaves"), "SystemExit"),
    "returns nothing": (TRAIN.format("wrong.py:nothing"), "None"),
    "returns a model": (TRAIN.format("wrong.py:model"), "Linear"),
    "wants arguments": (TRAIN.format("wrong.py:wants"), "argument"),
    "no such argument of Task": (TRAIN.format("wrong.py:no_such_argument"), "setps"),
    "is async": (TRAIN.format("wrong.py:waits"), "def, not async def"),
    "raises of its own": (TRAIN.format("wrong.py:stops"), "Stop: of its own"),
    "closes": (TRAIN.format("wrong.py:closes"), "GeneratorExit"),
    "leaves in the loop": (TRAIN.format("wrong.py:leaves_in_the_loop"), "SystemExit: 0"),
    "raises of its own in the loop": (TRAIN.format("wrong.py:stops_in_the_loop"), "halfway"),
    "closes in the loop": (TRAIN.format("wrong.py:closes_in_the_loop"), "GeneratorExit"),
    "leaves in the model": (TRAIN.format("wrong.py:leaves_in_the_model"), "SystemExit: 3"),
    "coloured and long": (TRAIN.format("wrong.py:coloured"), "ValueError: red long"),
    "a very long name": (TRAIN.format("x" * 300 + ":task"), "xxx"),
    "raises in the loop": (TRAIN.format("wrong.py:raises_later"), "on the fourth call"),
    # what the task holds
    "output does not fit": (TRAIN.format("wrong.py:output_does_not_fit"), "one output per target"),
    "shape does not fit": (TRAIN.format("wrong.py:shape_does_not_fit"), "float32"),
    "labels outside": (TRAIN.format("wrong.py:labels_outside"), "label 2"),
    "NaN": (TRAIN.format("wrong.py:not_a_number"), "row 7"),
    "empty loader": (TRAIN.format("wrong.py:empty_loader"), "at least one sample"),
    "batch too large": (TRAIN.format("wrong.py:batch_too_large"), "batch size"),
    "negative steps": (TRAIN.format("wrong.py:negative_steps"), "steps"),
    "unknown loss": (TRAIN.format("wrong.py:unknown_loss"), "did you mean cross_entropy"),
    # the recipe
    "no recipe file": ("train good.py:task --recipe absent.yaml", "does not exist"),
    "torn recipe": ("train good.py:task --recipe torn.json", "torn"),
    "future recipe": ("train good.py:task --recipe future.json", "schema 99"),
    "unknown optimizer": ("train good.py:task --recipe unknown.yaml", "did you mean adamw"),
    "negative rate": ("train good.py:task --recipe negative.yaml", "-0.1"),
    "unknown field": ("train good.py:task --recipe field.yaml", "did you mean optimizer"),
    "no mapping": ("train good.py:task --recipe list.yaml", "mapping"),
    "deep JSON": ("train good.py:task --recipe deep.json", "malformed"),
    "deep YAML": ("train good.py:task --recipe deep.yaml", "malformed"),
    "digits in JSON": ("train good.py:task --recipe digits.json", "malformed"),
    "digits in YAML": ("train good.py:task --recipe digits.yaml", "malformed"),
    "digits in base 16": ("train good.py:task --recipe hexadecimal.yaml", "20000 bits"),
    "date that is none": ("train good.py:task --recipe date.yaml", "month must be in"),
    "float that is none": ("train good.py:task --recipe no_float.yaml", "malformed"),
    "aliases of aliases": ("train good.py:task --recipe laughs.yaml", "expected"),
    "holds itself": ("train good.py:task --recipe itself.yaml", "as a mapping with a name"),
    "byte order mark": ("train good.py:task --recipe marked.yaml", "did you mean adamw"),
    "rank of one recipe": ("train good.py:task --recipe good.yaml --rank 2", "rank"),
    "recipe's batch too large": ("train good.py:task --recipe large.yaml", "4000"),
    "no advice": ("refine good.yaml --task good.py:task", "advice"),
    "tuned for an advice": ("refine tuned.json --task good.py:task", "which is a tuned file"),
    "export to nothing known": ("export good.yaml --to trch", "did you mean torch"),
    "export over its input": ("export good.yaml --to yaml --out good.yaml", "an input"),
    "recommend over the task": ("recommend good.py:task --out good.py", "an input"),
    "refine over the task": ("refine a.json --task good.py:task --out good.py", "an input"),
    "refine over the advice": ("refine good.yaml --task good.py:task --out good.yaml", "an input"),
    "export without a batch size": ("export no_batch.yaml --to torch", "batch_size"),
    # the knowledge base
    "README not there": ("evaluate --readme absent.md", "absent.md"),
    "ablations of live runs": ("evaluate --live --ablations", "leave one of them out"),
    "trials of a replay": ("evaluate --trials 3", "--trials with --live"),
    "no replay's results": ("evaluate --live --replay good.py", "what advisor evaluate --out"),
    "no live task": ("evaluate --live --store s --tasks nothing", "live evaluation"),
    "no contender": ("evaluate --live --store s --contenders nobody", "contender"),
    "no packed knowledge base": ("kb status --pack nowhere", "nowhere"),
    "packed knowledge base is a file": ("kb status --pack good.py", "Not a directory"),
    "packed knowledge base of a long name": ("kb status --pack " + "x" * 300, "too long"),
    "store below a file": ("kb build --store good.py/j.log", "be written"),
    "store in no real folder": ("kb build --store /proc/none/j.log --tasks wine-mlp-1", "store"),
    "store too long": ("kb build --store " + "x" * 300, "be written"),
    "pack below a file": ("kb build --store j.log --pack good.py/packed", "be written"),
    "unknown stage": ("kb build --store j.log --stages serched", "did you mean searched"),
    "unknown benchmark task": ("kb build --store j.log --tasks nothing-known", "benchmark task"),
    "store is a folder": ("kb build --store .", "add a file name"),
    "pack into a file": ("kb build --store j.log --pack good.py", "which is a file"),
    "stages twice": ("kb build --stages searched --profiles-only", "leave one out"),
}


@pytest.mark.parametrize(("words", "said"), BAD.values(), ids=BAD.keys())
def test_one_line_and_status_2(advisor: CommandLine, words: str, said: str) -> None:
    answer = advisor(*words.split())
    lines = answer.err.splitlines()
    if "raises_later" in words or "/proc/none" in words:  # it was under way when it failed
        lines = lines[-1:]
    assert answer.status == 2, answer.err
    assert answer.out == ""
    assert len(lines) == 1, answer.err
    assert said in lines[0]
    assert lines[0].startswith("advisor: expected ")
    assert lines[0].isprintable()
    assert len(lines[0]) < 1500
    assert "Traceback" not in answer.err


def test_a_replay_of_another_release_is_refused(advisor: CommandLine) -> None:
    """Its gap closed was another one: it must not be told under today's name."""
    Path("earlier.json").write_text(
        '{"made_by": "advisor evaluate", "date": "2026-01-02", "versions": {}, "seed": 0, '
        '"recipes": 9, "columns": [{"left_out": "data set", "gap_closed": [0.2, 0.1, 0.3]}], '
        '"seed_spread": 0.0}'
    )
    answer = advisor("evaluate", "--live", "--replay", "earlier.json")
    assert (answer.status, answer.out) == (2, "")
    assert "--out of this release writes, got earlier.json" in answer.err


def test_our_own_fault_is_status_1_with_a_traceback(
    advisor: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("advisor.advice.load_ranked", None)
    answer = advisor("export", "good.yaml", "--to", "json")
    assert answer.status == 1
    assert answer.out == ""
    assert "Traceback" in answer.err
    assert "a bug of ours (TypeError)" in answer.err.splitlines()[-1]


def test_interrupt_is_status_130(advisor: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: str, rank: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("advisor.advice.load_ranked", interrupted)
    answer = advisor("export", "good.yaml", "--to", "json")
    assert (answer.status, answer.out) == (130, "")
    assert answer.err == "advisor: interrupted\n"
