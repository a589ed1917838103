from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from live_cases import contest, live, shuffled

from advisor.evaluate.figure import figure
from advisor.evaluate.results import LiveResults

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ("advice", "advice, fastest", "refine", "portfolio", "AdamW 1e-3 cosine",
         "TPE, full space", "TPE, expert space")  # fmt: skip


def _texts(picture: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_legend_axes_and_ticks() -> None:
    texts = _texts(figure(contest()))
    assert {*NAMES, "full trainings (log)", "share of tasks", "100", "0.5", "8 x"} <= set(texts)
    assert all(texts.count(name) == 1 for name in NAMES)


def test_bands_for_searches_and_advice_points_for_single_numbers() -> None:
    root = ElementTree.fromstring(figure(contest()))
    paths = list(root.iter(f"{SVG}path"))
    assert sum("fill-opacity" in path.attrib for path in paths) == 3
    told = [path.findtext(f"{SVG}title") for path in paths]
    assert "refine: 0.004 (0.004 to 0.004)" in told
    assert sum(path.get("class") == "curve" for path in paths) == 3 + 4  # curves, profiles


def _heights(picture: str, name: str) -> list[float]:
    """Of the first curve of that name: its y in pixels from above."""
    for path in ElementTree.fromstring(picture).iter(f"{SVG}path"):
        if path.get("class") == "curve" and path.findtext(f"{SVG}title") == name:
            return [float(place.split()[1]) for place in re.split("[ML]", path.attrib["d"])[1:]]
    raise AssertionError(name)


def test_lower_regret_is_drawn_lower() -> None:
    picture = figure(contest())
    full, expert = (_heights(picture, f"TPE, {space} space") for space in ("full", "expert"))
    assert full == sorted(full)
    assert len(full) == 100
    # half the regret is the same distance everywhere on a log scale
    assert {round(e - f) for f, e in zip(full, expert, strict=True)} == {round(expert[0] - full[0])}


@pytest.mark.parametrize(
    "results",
    [
        contest().model_copy(update={"tasks": (), "outcomes": ()}),
        live({("a", 1): [0.0, 0.0]}),
        live({("a", 1): [1.0]}),
        live({("<a> & \"b\"", 1): [0.1, None], ("b", 3): [None, 0.2]}),
        live({(f"guess {i}", 1): [0.01 * i] for i in range(1, 30)}),
    ],
    ids=["nothing", "zero", "one", "names and gaps", "many"],
)  # fmt: skip
def test_it_is_always_xml_within_its_frame(results: LiveResults) -> None:
    picture = figure(results)
    root = ElementTree.fromstring(picture)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for node in root.iter():
        assert "nan" not in node.attrib.get("d", "")
        for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", node.attrib.get("d", "")):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height
    assert {outcome.contender for outcome in results.outcomes} <= set(_texts(picture))


def test_order_says_nothing() -> None:
    assert figure(shuffled(contest())) == figure(contest())
