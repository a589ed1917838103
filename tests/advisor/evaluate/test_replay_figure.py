from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from advisor.cli import main
from advisor.evaluate.replay_figure import replay_figure
from advisor.evaluate.report import Column, Method, Report

SVG = "{http://www.w3.org/2000/svg}"
MEANS = {
    ("advice", 1): 0.14, ("advice", 3): 0.1, ("advice", 5): 0.07,
    ("single best recipe", 1): 0.17, ("portfolio", 3): 0.11, ("AdamW <1e-3> & cosine", 1): 0.47,
    ("random search", 5): 0.18, ("random search", 10): 0.14,
    ("search in the full space, one study", 5): 0.3, ("best known of the set", 246): 0.0,
}  # fmt: skip
NAMES = {"advice", "single best recipe, then portfolio", "AdamW <1e-3> & cosine", "random search",
         "search in the full space, one study", "best known of the set"}  # fmt: skip


def report(*titles: str) -> Report:
    nothing = (0.0, 0.0, 0.0)
    methods = tuple(
        Method(
            name=name, runs=runs, mean=mean, low=0.8 * mean, high=1.2 * mean, weighted=mean,
            weighted_low=mean, weighted_high=mean, median=mean, p95=mean,
        )
        for (name, runs), mean in MEANS.items()
    )  # fmt: skip
    columns = tuple(
        Column(
            left_out=title, tasks=9, datasets=9, methods=methods, gap_closed=nothing,
            weighted_gap_closed=nothing, gap_closed_in_set=nothing,
            weighted_gap_closed_in_set=nothing, p95_ratio=nothing, coverage=0.9, width=0.5,
            rank_correlation=0.5, abstained=0.0, boosted=0.0, probe_share=0.03,
        )
        for title in titles
    )  # fmt: skip
    return Report(
        made_by="a test", date="", versions={}, edition="", seed=0, recipes=246, columns=columns,
        seed_spread=0.02,
    )  # fmt: skip


def test_every_method_has_a_line_or_a_point_with_its_interval() -> None:
    root = ElementTree.fromstring(replay_figure(report("data set")))
    assert {node.text for node in root.iter(f"{SVG}text")} > {*NAMES, "data set left out"}
    paths = list(root.iter(f"{SVG}path"))
    assert sum("fill-opacity" in path.attrib for path in paths) == 3, "bands of the longer ones"
    drawn = [path.findtext(f"{SVG}title") for path in paths if path.get("class") == "curve"]
    assert sorted(drawn) == sorted(NAMES), "a line, or the bar of a point"
    told = [path.findtext(f"{SVG}title") or "" for path in paths]
    assert "AdamW <1e-3> & cosine: 0.470 (0.376 to 0.564)" in told


def test_a_bar_reaches_from_low_to_high() -> None:
    root = ElementTree.fromstring(replay_figure(report("data set")))
    (bar,) = [
        path.attrib["d"]
        for path in root.iter(f"{SVG}path")
        if path.get("class") == "curve" and path.findtext(f"{SVG}title") == "AdamW <1e-3> & cosine"
    ]
    (x_low, low), (x_high, high) = re.findall(r"(-?[\d.]+) (-?[\d.]+)", bar)
    assert x_low == x_high
    assert float(low) > float(high), "more regret is higher up"


@pytest.mark.parametrize("titles", [(), ("one",), ("one", "two"), ("one", "two", "three")])
def test_plots_stand_side_by_side_within_the_frame(titles: tuple[str, ...]) -> None:
    root = ElementTree.fromstring(replay_figure(report(*titles)))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    frames = [node for node in root.iter(f"{SVG}rect") if node.get("class") == "frame"]
    sides = [
        (float(f.attrib["x"]), float(f.attrib["x"]) + float(f.attrib["width"])) for f in frames
    ]
    assert len(sides) == len(titles)
    edges = [0.0, *(edge for side in sides for edge in side), width]
    assert edges == sorted(edges)
    for node in root.iter(f"{SVG}path"):
        for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", node.attrib["d"]):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height


def test_one_command_gives_json_and_a_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("advisor.evaluate.replay", lambda **asked: report("data set"))
    files = tmp_path / "replay.json", tmp_path / "replay.svg"
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["evaluate", "--out", str(files[0]), "--figure", str(files[1])])
    assert Report.model_validate_json(files[0].read_text()) == report("data set")
    assert files[1].read_text() == replay_figure(report("data set"))
    assert "best known of the set" in capsys.readouterr().out
