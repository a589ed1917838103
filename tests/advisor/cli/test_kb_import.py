"""``advisor kb import``: counts, problems, errors."""

from __future__ import annotations

import json

import pytest
from user_files import CommandLine

from advisor.cli import kb_import
from advisor.cli.kb_imported import imported_counts
from knowledge_base.importers import FORMATS, default_folder, load_imported
from knowledge_base.journal import Journal
from knowledge_base.store import pack

CONFIGURATION = {
    "learning_rate": 0.001, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-6, "use_nesterov": True,
    "adamw_weight_decay": 0.02, "l2_weight_decay": 0.0, "warmup_fraction": 0.1,
    "min_learning_rate_mult": 0.001, "constant_fraction": 0.55,
}  # fmt: skip
CURVES = """run_id,step,metric,value,group
1,0,val_loss,10.5,20260101_muon
1,100,val_loss,four,20260101_muon
1,200,val_loss,3.5,20260101_muon
2,0,val_loss,10.5,other
"""


def test_json(advisor: CommandLine) -> None:
    (advisor.folder / "curves.csv").write_text(CURVES)
    words = ("kb", "import", "curves.csv", "--format", "nanogpt-track", "--out", "kept")
    answer = advisor(*words, "--json")
    assert answer.status == 0, answer.err
    found = json.loads(answer.out)
    assert (found["runs"], found["methods"], found["points"]) == (2, 2, 3)
    assert found["by_source"] == {"NanoGPT speed runs, optimizer track": 2}
    assert found["by_task"] == {"modded_nanogpt": 2}
    assert found["by_method"] == {"20260101_muon": 1, "other": 1}
    (problem,) = found["problems"]
    assert (problem["file"], problem["line"]) == ("curves.csv", 3)
    assert "curves.csv:3: expected a number as value, got 'four'" in answer.err
    assert len(load_imported(advisor.folder / "kept")) == 2


def test_for_people(advisor: CommandLine) -> None:
    lines = [f"{number},x,val_loss,1.0,g" for number in range(30)]
    (advisor.folder / "curves.csv").write_text(CURVES + "\n".join(lines))
    answer = advisor("kb", "import", "curves.csv", "--format", "nanogpt-track", "--out", "kept")
    assert answer.status == 0
    rows = [line.split() for line in answer.out.splitlines()]
    assert ["runs", "2"] in rows
    assert ["problems", "31"] in rows
    assert ["20260101_muon", "1"] in rows
    assert "11 more problems" in answer.err


def test_the_cache_is_the_default_place(
    advisor: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADVISOR_CACHE", str(advisor.folder / "cache"))
    (advisor.folder / "curves.csv").write_text(CURVES)
    answer = advisor("kb", "import", "curves.csv", "--format", "nanogpt-track", "--json")
    assert answer.status == 0
    assert len(load_imported(advisor.folder / "cache" / "imported")) == 2


def test_status_counts_what_was_imported(
    advisor: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADVISOR_CACHE", str(advisor.folder / "cache"))
    assert imported_counts(default_folder()) == {}
    (advisor.folder / "curves.csv").write_text(CURVES)
    (advisor.folder / "list.json").write_text(json.dumps([CONFIGURATION]))
    for file, name in (("curves.csv", "nanogpt-track"), ("list.json", "opt-list")):
        assert advisor("kb", "import", file, "--format", name).status == 0
    pack(Journal(advisor.folder / "journal.log"), advisor.folder / "packed", "a test", {})
    status = ("kb", "status", "--pack", "packed")
    found = json.loads(advisor(*status, "--json").out)
    assert found["runs"] == 0, "what others published is counted apart"
    tier = default_folder() / "nanogpt-track"
    size = sum(file.stat().st_size for file in tier.iterdir())
    assert found["imported"]["nanogpt-track"] == {
        "runs": 2, "curves": 2, "tasks": 1, "methods": 2, "recipes": 0, "censored": 0,
        "diverged": 0, "bytes": size,
    }  # fmt: skip
    assert {**found["imported"]["opt-list"], "bytes": 0} == {
        "runs": 0, "curves": 0, "tasks": 0, "methods": 1, "recipes": 1, "censored": 0,
        "diverged": 0, "bytes": 0,
    }  # fmt: skip
    (tier / "manifest.json").write_text('{"schema": 1}')
    told = advisor(*status)
    assert told.status == 0
    lines = {line.split()[0]: line for line in told.out.splitlines()}
    assert "got schema 1; import them again" in lines["imported:nanogpt-track"]
    assert "runs 0, curves 0, tasks 0, methods 1" in lines["imported:opt-list"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("curves.csv",), "expected --format, got nothing"),
        (("curves.csv", "--format", "algoprf"), "did you mean algoperf?"),
        (("nowhere", "--format", "algoperf"), "expected a file or folder, got nowhere"),
        (("curves.csv", "--format", "taskset"), "expected TaskSet files"),
        ((".", "--format", "algoperf"), "expected AlgoPerf logs"),
        (("curves.csv", "--format", "opt-list", "--out", "good.py"), "which is a file"),
        (("--format", "algoperf"), "expected PATH, got nothing"),
        (("", "--format", "taskset"), "expected a path, got ''"),
        (("curves.csv", "--format", "nanogpt-track", "--out", ""), "expected a path, got ''"),
    ],
)
def test_bad_words(advisor: CommandLine, words: tuple[str, ...], said: str) -> None:
    (advisor.folder / "curves.csv").write_text(CURVES)
    answer = advisor("kb", "import", *words)
    assert (answer.status, answer.out) == (2, "")
    assert said in answer.err
    assert len(answer.err.splitlines()) == 1


def test_an_earlier_import_is_replaced_if_asked_to(advisor: CommandLine) -> None:
    (advisor.folder / "curves.csv").write_text(CURVES)
    words = ("kb", "import", "curves.csv", "--format", "nanogpt-track", "--out", "kept")
    assert advisor(*words).status == 0
    again = advisor(*words)
    assert (again.status, again.out) == (2, "")
    assert "2 records in kept/nanogpt-track; add --replace" in again.err
    third = advisor(*words, "--replace")
    assert third.status == 0
    assert ["replaced", "2"] in [line.split() for line in third.out.splitlines()]


def test_the_command_line_knows_every_format() -> None:
    assert set(kb_import.FORMATS) == set(FORMATS)


def test_progress_is_told_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    told = kb_import.Told()
    for count in (100, 5000, 5100, 10000):
        told.show(count)
    assert capsys.readouterr().err == "5000 records\n10000 records\n"
