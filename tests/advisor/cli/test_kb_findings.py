"""``advisor kb findings``: text, JSON and page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from user_files import CommandLine

from advisor.cli.kb_findings import _map
from knowledge_base.findings.winners import Cell, Column, Row, Unplaced, WinnersMap


def test_json(advisor: CommandLine, base: Path) -> None:
    answer = advisor("kb", "findings", "--folder", str(base), "--json")
    assert (answer.status, answer.err) == (0, "")
    found = json.loads(answer.out)
    assert found["schema"] == 2
    assert [claim["number"] for claim in found["claims"]] == list(range(1, 10))
    assert {claim["verdict"] for claim in found["claims"]} <= {"confirmed", "refuted", "undecided"}
    part = next(
        part for claim in found["claims"] for part in claim["parts"]
        if (part["first"], part["other"]) == ("nadam", "momentum")
    )  # fmt: skip
    assert part["tasks"] == part["datasets"] > 0
    assert part["low"] <= part["value"] <= part["high"]
    assert len(part["by_dataset"]) == part["datasets"]
    clipping = found["claims"][7]
    assert (clipping["verdict"], clipping["why"]) == ("undecided", "no runs")
    assert (clipping["parts"][0]["tasks"], clipping["parts"][0]["value"]) == (0, None)
    regret = clipping["parts"][1]
    assert (regret["unit"], regret["claimed"], regret["verdict"]) == ("test regret", None, None)
    assert regret["why"] == "not part of the verdict; no runs"
    assert found["winners"]["tasks"] > 0
    assert {item["axis"] for item in found["winners"]["unplaced"]} <= {"parameters"}
    rows = {row["optimizer"]: row for row in found["winners"]["rows"]}
    assert {"adamw", "nadam", "momentum", "muon"} <= rows.keys()
    assert len(rows["adamw"]["cells"]) == len(found["winners"]["columns"])


def test_for_people(advisor: CommandLine, base: Path) -> None:
    answer = advisor("kb", "findings", "--folder", str(base))
    assert (answer.status, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("8. Gradient clipping") and "UNDECIDED" in line for line in lines)
    assert "How this was decided" in lines
    assert answer.out.count("not part of the verdict; no runs") >= 1
    names = [line.split()[0] for line in lines if line]
    assert names.count("muon") >= 2, "one line in each block of the map"


def test_the_map_says_what_an_axis_leaves_out() -> None:
    row = Row(optimizer="sgd", family="stochastic gradient descent", tries=3,
              cells=(Cell(regret=0.5, tasks=4, datasets=2),))  # fmt: skip
    found = WinnersMap(
        columns=(Column(axis="all", name="all", tasks=4),), rows=(row,), winners=("sgd",), tasks=4,
        unplaced=(Unplaced(axis="parameters", tasks=("wine-mlp-1",)),),
    )  # fmt: skip
    assert "Left out of the axis parameters: 1 of 4 tasks, for no profile" in _map(found)
    assert "Left out" not in _map(found.model_copy(update={"unplaced": ()}))


def test_html(advisor: CommandLine, base: Path) -> None:
    answer = advisor("kb", "findings", "--folder", str(base), "--html", "page.html", "--json")
    assert answer.status == 0
    assert answer.err == "wrote page.html\n"
    json.loads(answer.out)
    page = (advisor.folder / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "Gradient clipping speeds training." in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--folder", "nowhere"), "nowhere"),
        (("--folder", "good.py"), "Not a directory"),
        (("--html", "no/such/page.html"), "a path in a folder that exists"),
        (("--htlm", "page.html"), "did you mean --html"),
    ],
)
def test_wrong_words(advisor: CommandLine, words: tuple[str, ...], said: str) -> None:
    answer = advisor("kb", "findings", *words)
    assert (answer.status, answer.out) == (2, "")
    assert said in answer.err
    assert len(answer.err.splitlines()) == 1
