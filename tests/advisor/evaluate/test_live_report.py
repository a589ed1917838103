from __future__ import annotations

from pathlib import Path

import pytest
from live_cases import contest, live, outcome, shuffled

from advisor.evaluate.live_facts import live_facts
from advisor.evaluate.live_report import BEGIN, END, live_markdown, live_sections, write_readme
from advisor.evaluate.report import Report
from probes.errors import UserError


def _rows(title: str) -> dict[str, list[str]]:
    (found,) = [section for section in live_sections(contest()) if section.title.startswith(title)]
    return {row[0]: row[1:] for row in found.rows}


def test_every_table_is_whole() -> None:
    sections = live_sections(contest())
    assert len(sections) == 5
    for section in sections:
        assert len({len(row) for row in section.rows}) == 1


def test_regret_at_the_trainings_that_there_are() -> None:
    rows = _rows("Mean normalized")
    assert rows["contender"] == ["1", "3", "5", "10", "25", "50", "100"]
    assert rows["advice"][0] == "0.090 (0.090-0.090) / 0.090"
    assert rows["advice"][1] == "-"
    assert rows["TPE, expert space"][6] == "0.005 (0.005-0.005) / 0.005"


def test_comparison_and_speed() -> None:
    against = _rows("One recommendation")
    assert against["TPE, full space"][1].startswith("+0.050")  # the last of its rows, 25 trials
    assert against["AdamW 1e-3 cosine"][2:4] == ["3 of 4", "1 of 4"]
    speed = _rows("Time to the target")
    assert speed["advice, fastest"][:6] == [
        "5.0 (5.0 to 5.0)", "-", "1.8 (1.8 to 1.8)", "-", "100%", "1.00",
    ]  # fmt: skip
    assert speed["AdamW 1e-3 cosine"][-8:] == ["0%"] * 4 + ["100%"] * 4


def test_seconds_stand_beside_passes() -> None:
    results = contest()
    took = {"advice": 3.0, "AdamW 1e-3 cosine": 2.0, "portfolio": 8.0}
    timed = tuple(
        one.model_copy(update={"seconds": took[name], "seconds_to_target": (took[name] / 4,) * 3})
        if (name := one.contender) in took
        else one
        for one in results.outcomes
    )
    sections = live_sections(results.model_copy(update={"outcomes": timed}))
    rows = {
        (section.title.split()[0], *row[:2]): row
        for section in sections
        for row in section.rows
        if row[0] in (*took, "refine")
    }
    assert rows["What", "advice", "1"][2:4] == ["1.00", "1.50"]
    assert rows["What", "AdamW 1e-3 cosine", "1"][3] == "1.00"
    assert rows["What", "refine", "10"][3] == "-"
    speed = rows["Time", "advice", "3.3 (3.3 to 3.3)"]
    assert speed[2:5] == ["0.7", "1.2 (1.2 to 1.2)", "2.7"]
    for section in sections:
        assert ("as measured" in section.note) == (section.title.split()[0] in ("What", "Time"))


def test_a_replay_of_another_edition_is_told() -> None:
    report = Report(
        made_by="", date="", versions={}, edition="9 runs", seed=0, recipes=0, columns=(),
        seed_spread=0.0,
    )  # fmt: skip
    results = contest().model_copy(update={"edition": "9 runs"})
    assert "9 runs" not in live_markdown(results, report).split("**Mean")[0]
    assert "; knowledge base of 9 runs; torch" in live_markdown(results)
    for other, told in (("8 runs", "(9 runs) than those by live trainings (8 runs)"),
                        ("", "of 9 runs; the live results do not tell theirs")):  # fmt: skip
        text = live_markdown(results.model_copy(update={"edition": other}), report)
        assert told in text.split("**Mean")[0]


def test_markdown_names_how_it_was_made_and_no_order() -> None:
    text = live_markdown(contest())
    assert "- made by `advisor evaluate --live` on 2026-01-02, seed 0; torch 2.6.0" in text
    assert (
        "| trials of TPE that one recommendation is worth | at least 25 | 6 (6 to 6) | no |" in text
    )
    assert live_markdown(shuffled(contest())) == text


def test_a_bar_in_a_name_does_not_break_the_table() -> None:
    text = live_markdown(live({("a|b", 1): [0.1, 0.2]}))
    assert r"| a\|b | 0.150" in text


def test_missing_outcomes_are_told() -> None:
    results = live({("advice", 1): [0.1, 0.2, 0.3], ("a", 1): [0.1, None, 0.2],
                    ("b", 1): [0.2, 0.2, 0.2], ("c", 1): [0.3, 0.3, 0.1]})  # fmt: skip
    assert "/ 0.150, 2 tasks" in live_markdown(results)
    assert "not ranked, for want of a result on every task: a" in live_facts(results)


def test_studies_are_counted() -> None:
    results = live({("TPE, full space", 1): [0.1, 0.2]})
    more = outcome("t0", "TPE, full space", 1, study=1, regret=0.3)
    results = results.model_copy(update={"outcomes": (*results.outcomes, more)})
    assert "independent studies a task: TPE, full space 1 to 2" in live_facts(results)


def test_nothing_measured_is_a_table_of_marks() -> None:
    empty = contest().model_copy(update={"tasks": (), "outcomes": ()})
    (only,) = live_sections(empty)
    assert only.title == "Marks"
    assert {row[2] for row in only.rows[1:]} == {"not measured"}
    assert "made by" in live_markdown(empty)


def test_readme(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(f"above\n{BEGIN}\n{END}\nbelow\n", encoding="utf-8")
    write_readme(path, contest())
    assert path.read_text(encoding="utf-8") == (
        f"above\n{BEGIN}\n{live_markdown(contest())}\n{END}\nbelow\n"
    )
    path.write_text("no marks", encoding="utf-8")
    with pytest.raises(UserError, match="live:begin"):
        write_readme(path, contest())
