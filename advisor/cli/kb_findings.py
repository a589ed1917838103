"""``advisor kb findings``: the survey's claims against our runs."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from advisor.cli import arguments as arg
from advisor.cli.output import columns, json_text, say

if TYPE_CHECKING:
    from knowledge_base.findings import Findings
    from knowledge_base.findings.report import ClaimFinding, Part
    from knowledge_base.findings.winners import WinnersMap

_WIDTH = 100


def add(commands: arg.Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "findings", help="the survey's claims against our runs",
        description="Holds the survey's claims against the runs of the knowledge base: each is "
        "confirmed, refuted or undecided by a rule that is printed with them. Then which optimizer "
        "wins where.",
    )  # fmt: skip
    parser.add_argument(
        "--html", metavar="FILE", action=arg.Checked, check=arg.out_file,
        help="also write them there as one HTML page",
    )  # fmt: skip
    parser.add_argument(
        "--folder", metavar="DIR", help="a packed knowledge base (default: the shipped one)"
    )
    arg.add_json(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> str:
    """Give the findings as text, and write the page where one is asked for."""
    from pathlib import Path

    from knowledge_base.findings import findings, html_page
    from knowledge_base.store import SHIPPED
    from probes.files import write_text

    found = findings(SHIPPED if chosen.folder is None else Path(chosen.folder))
    if chosen.html is not None:
        write_text(chosen.html, html_page(found))
        say(f"wrote {chosen.html}")
    if chosen.json:
        return json_text(found.model_dump(mode="json", by_alias=True))
    return _for_people(found)


def _for_people(found: Findings) -> str:
    counted = f"{found.tasks} tasks from {found.datasets} data sets count"
    text = [_wrapped(f"{found.runs} runs in {found.folder}; {counted}.")]
    text += [_claim(claim) for claim in found.claims]
    text.append("\nHow this was decided")
    text += [_wrapped(f"- {line}", "  ") for line in found.rule]
    if found.prices:
        text.append(_wrapped(f"- Costs were measured on {found.prices}.", "  "))
    if found.left_out:
        text.append(
            _wrapped(f"- {len(found.left_out)} tasks do not count; --json names them.", "  ")
        )
    text.append(_map(found.winners))
    return "\n".join(text)


def _claim(claim: ClaimFinding) -> str:
    head = f"{claim.number}. {claim.text} {claim.verdict.upper()}: {claim.why}."
    return "\n".join(["", _wrapped(head, "   "), *map(_part, claim.parts)])


def _part(part: Part) -> str:
    between = f"{part.first} / {part.other}, {part.unit}"
    if part.claimed is not None:
        side = "below" if part.claimed == "lower" else "above"
        between += f", claimed {side} {part.threshold:g}"
    if part.value is None:
        return _wrapped(f"   - {between}: n = 0: {part.outcome}", "     ")
    ends = f"({part.shown(part.low)} to {part.shown(part.high)})"
    if part.datasets:
        sets = f"{part.datasets} data set{'s' * (part.datasets != 1)}"
        number = f"n = {part.tasks} task{'s' * (part.tasks != 1)}, {sets}"
    else:
        number = f"n = {part.tasks} pairs on measured models"
    said = f"{part.shown(part.value)} {ends}, {number}: {part.outcome}"
    return _wrapped(f"   - {between}: {said}", "     ")


def _map(winners: WinnersMap) -> str:
    from knowledge_base.findings.winners import TRIES

    head = "\nWhich optimizer wins where: mean test regret / tasks; * marks the best of a column\n"
    chosen = f"the best of at most {TRIES} recipes of each; validation chooses it"
    head += f"({chosen}; each data set counts once)"
    if not winners.rows:
        return f"{head}\nno runs"
    for item in winners.unplaced:
        left = f"{len(item.tasks)} of {winners.tasks} tasks"
        told = f"Left out of the axis {item.axis}: {left}, for no profile says where they belong"
        head += "\n" + _wrapped(f"{told}; --json names them.")
    names = [[""], [""]] + [[row.optimizer] for row in winners.rows]
    blocks: list[list[list[str]]] = []
    for place, column in enumerate(winners.columns):
        cells = ["" if column.axis == "all" else column.axis, column.name]
        for row in winners.rows:
            cell = row.cells[place]
            mark = "*" if winners.winners[place] == row.optimizer else ""
            cells.append("-" if cell is None else f"{cell.regret:.2f}{mark}/{cell.tasks}")
        wider = [[*line, cell] for line, cell in zip(blocks[-1] if blocks else names, cells,
                                                     strict=True)]  # fmt: skip
        if blocks and _too_wide(wider):
            blocks.append([[*line, cell] for line, cell in zip(names, cells, strict=True)])
        else:
            blocks[-1:] = [wider]
    return "\n\n".join([head, *map(columns, blocks)])


def _too_wide(rows: Sequence[Sequence[str]]) -> bool:
    return sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True)) - 2 > _WIDTH


def _wrapped(text: str, indent: str = "") -> str:
    return "\n".join(textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_on_hyphens=False))
