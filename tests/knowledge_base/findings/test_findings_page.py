"""The page stands alone, is well formed, and escapes what it shows."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import planted
import pytest
from planted import Run, recipe

from knowledge_base.findings import Claim, Findings, findings, html_page
from knowledge_base.findings.claims import Comparison
from knowledge_base.findings.page import draw_map, interval
from knowledge_base.findings.report import Part
from knowledge_base.findings.side import Side
from probes.recipe.schema import Recipe

EVIL = "<script>alert('x')</script> & \"more\""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    recipes = [recipe(lr=1.0), recipe(lr=1.0, clip={"name": "norm", "max": 1.0})]

    def truth(task: str, one: Recipe) -> Run:
        return Run(0.3 if one.clip else 0.5)

    folder = planted.write(tmp_path_factory.mktemp("page"), recipes, truth)
    sides = Side(EVIL, clipped=True), Side("not clipped")
    parts = (
        Comparison(*sides, "speed", ("clip",)),
        Comparison(*sides, "regret", ("clip",), claimed=None),
    )
    return findings(folder, (Claim(1, EVIL, parts),))


class _Balanced(HTMLParser):
    """Collects tags and checks that they close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_it_stands_alone_and_is_well_formed(found: Findings) -> None:
    page = html_page(found)
    parser = _Balanced()
    parser.feed(page)
    assert parser.open == []
    assert parser.seen.count("svg") == 3, "two intervals and the map"
    assert not {"script", "link", "img", "iframe"} & set(parser.seen)
    assert not re.search(r"https?://|url\(|@import|src=", page)


def test_names_are_escaped(found: Findings) -> None:
    page = html_page(found)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_what_decides_nothing_has_no_threshold(found: Findings) -> None:
    page = html_page(found)
    assert page.count("not part of the verdict</div>") == 1
    assert page.count('stroke-dasharray="2 2"') == 1, "the threshold of the other part alone"
    assert page.count('class="verdict confirmed"') == 2, "of the claim and of the part that decides"
    assert "None" not in page.replace("<p>None.</p>", "")


def test_an_interval_lies_where_its_numbers_are() -> None:
    part = Part(first="a", other="b", unit="passes, ratio", claimed="lower", threshold=1.0,
                value=0.5, low=0.25, high=1.0)  # fmt: skip
    drawn = interval(part)
    assert drawn is not None
    assert drawn.threshold == drawn.high == 130.0
    assert drawn.low == pytest.approx(6.0)
    assert drawn.value == pytest.approx((drawn.low + drawn.high) / 2)
    assert interval(part.model_copy(update={"value": None})) is None


def test_the_map_has_a_square_for_every_cell(found: Findings) -> None:
    drawing = draw_map(found.winners)
    cells = [cell for row in found.winners.rows for cell in row.cells if cell is not None]
    assert len(drawing.squares) == len(cells) > 0
    assert sum(square.winner for square in drawing.squares) == len(found.winners.columns)
    assert len({(square.x, square.y) for square in drawing.squares}) == len(cells)


def test_tasks_that_an_axis_leaves_out_are_named(tmp_path: Path) -> None:
    left = planted.APART[1:3]
    folder = planted.write(tmp_path, [recipe()], lambda task, one: Run(0.3), unprofiled=left)
    (told,) = re.findall(r"Left out of the axis ([^<]*)</p>", html_page(findings(folder)))
    said, names = " ".join(told.split()).rstrip(".").rsplit(": ", 1)
    assert said == "parameters: 2 of 10 tasks, for no profile says where they belong"
    assert set(names.split(", ")) == set(left)


def test_no_runs_make_a_page(tmp_path: Path) -> None:
    everything = findings(planted.write(tmp_path, [], lambda task, one: None, ()))
    page = html_page(everything)
    assert "No runs." in page
    assert "undecided" in page
