"""Writes the pages that follow from the code: what is told once there is not told again by hand.

``docs/methods.md`` comes from the catalogue, ``docs/prices.md`` from the table of prices,
``docs/probes.md`` from the probes, ``docs/features.md`` from the features, ``docs/cli.md`` from the
parsers, and the table of files in ``docs/architecture.md`` from the modules' first lines.

    python docs/generate.py            write them
    python docs/generate.py --check    exit with 1 where one is out of date
"""

from __future__ import annotations

import argparse
import ast
import inspect
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from markdown_text import markdown_table, page, written_from
from prices_page import prices_page

from advisor.cli.arguments import Parser
from advisor.cli.program import make_parser
from advisor.feature_table import PAIR_FEATURES, RECIPE_UNITS, TASK_FEATURES, Feature
from probes.measures.base import TIERS
from probes.profile import MEASURES
from probes.recipe.catalogue import Hyperparameter, Kind, Method, table

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("probes", "knowledge_base", "advisor")
FILES_BEGIN, FILES_END = "<!-- files:begin -->", "<!-- files:end -->"
_WIDTH = "100"
_OLDEST_TORCH = "2.6"


def pages() -> dict[Path, str]:
    """Every generated page by its path, as it should be."""
    docs = ROOT / "docs"
    architecture = docs / "architecture.md"
    return {
        docs / "methods.md": methods_page(),
        docs / "prices.md": prices_page(),
        docs / "probes.md": probes_page(),
        docs / "features.md": features_page(),
        docs / "cli.md": command_line_page(),
        architecture: with_files(architecture.read_text(encoding="utf-8"), files_table()),
    }


def stale(wanted: Mapping[Path, str]) -> list[Path]:
    """The pages that are missing or read otherwise."""
    return [
        path
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or check them; returns the exit status."""
    parser = argparse.ArgumentParser(description="Write the generated pages of docs/.")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if out of date")
    chosen = parser.parse_args(arguments)
    wanted = pages()
    old = stale(wanted)
    for path in old:
        if chosen.check:
            print(f"{path}: out of date; run make docs", file=sys.stderr)
        else:
            path.write_text(wanted[path], encoding="utf-8")
            print(f"wrote {path}", file=sys.stderr)
    return 1 if chosen.check and old else 0


def methods_page() -> str:
    """The catalogue: one table for each kind of method."""
    parts = [
        "# Methods",
        written_from("`probes/recipe/catalogue.py`"),
        "A recipe names one optimizer, one schedule and one normalization, and any of the extras. "
        "A setting is given as its default, then the range that is searched and the scale where "
        "that is not linear. `advisor list optimizers` prints the same tables.",
    ]
    for heading, kind, about in _TABLES:
        parts += [f"## {heading}", about, _methods_table(kind)]
    return page(parts)


_TABLES: tuple[tuple[str, Kind, str], ...] = (
    (
        "Optimizers",
        "optimizer",
        "State is what the optimizer keeps, in numbers for each parameter. Passes is what one "
        "step costs, in forward and backward runs over one batch.",
    ),
    (
        "Schedules",
        "schedule",
        "A schedule is a factor on the optimizer's `lr`. Warm-up is a share of the run; the "
        "schedule itself runs over the rest.",
    ),
    ("Normalizations", "normalization", "What is done to the normalization of your own model."),
    ("Extras", "extra", "Everything else that a recipe can say, written in its own field."),
)


def _methods_table(kind: Kind) -> str:
    counted = kind == "optimizer"
    header = ["name", "family", "what", "settings", "needs", "paper"]
    if counted:
        header[4:4] = ["state", "passes"]
    rows = []
    for row in table(kind).values():
        cells = [f"`{row.name}`", row.family, row.summary, _settings(row), _needs(row), row.paper]
        if counted:
            cells[4:4] = [f"{row.state:g}", f"{row.passes:g}"]
        rows.append(cells)
    return markdown_table(header, rows)


def _settings(row: Method) -> str:
    return "<br>".join(map(_setting, row.hyperparameters))


def _setting(setting: Hyperparameter) -> str:
    """A setting such as ``lr`` 0.001 (0.0001 to 0.1, log)."""
    if setting.scale == "choice":
        return f"`{setting.name}` {setting.default} (one of {', '.join(setting.choices)})"
    scale = "" if setting.scale == "linear" else f", {setting.scale}"
    return f"`{setting.name}` {setting.default:g} ({setting.low:g} to {setting.high:g}{scale})"


def _needs(row: Method) -> str:
    newer = [f"torch {row.torch}"] if row.torch != _OLDEST_TORCH else []
    return ", ".join([*row.needs, *newer])


def probes_page() -> str:
    """The probes: what each costs at every tier and what it yields."""
    parts = [
        "# Probes",
        written_from("`probes/measures/`"),
        "A profile is taken at a *tier*, which is the number of passes it may cost. One pass is "
        "one forward and backward over one batch; a forward alone counts a third, a "
        "Hessian-vector product two. A budget that pays for none of the tiers is answered by "
        "tier 0: the facts alone. What could not be measured is left out, and the profile's "
        "`missing` says why; [features](features.md) tells what that means for the meta-model.",
        "## What they cost",
        "Passes at most, by tier.",
        _cost_table(),
    ]
    for measure in MEASURES:
        about = inspect.getdoc(sys.modules[type(measure).__module__]) or ""
        values = [[f"`{name}`", unit] for name, unit in measure.units.items()]
        parts += [
            f"## {measure.name}",
            about.replace("``", "`"),
            f"Source: {measure.paper}.",
            markdown_table(["value", "unit"], values),
        ]
    return page(parts)


def _cost_table() -> str:
    rows = [
        [f"[{measure.name}](#{measure.name})", *(_amount(measure.passes(t)) for t in TIERS)]
        for measure in MEASURES
    ]
    totals = [sum(measure.passes(tier) for measure in MEASURES) for tier in TIERS]
    rows.append(["together", *map(_amount, totals)])
    return markdown_table(["probe", *(f"tier {tier}" for tier in TIERS)], rows)


def _amount(passes: float) -> str:
    return f"{passes:.2f}".rstrip("0").rstrip(".")


def features_page() -> str:
    """The features of the meta-model: unit, and why each can be missing."""
    header = ["feature", "unit", "missing where"]
    parts = [
        "# Features",
        written_from("`advisor/feature_table.py`"),
        "What the meta-model sees of a task, a recipe, and the two together. A missing feature is "
        "NaN. The Gaussian then takes the task for an average one in that respect; LightGBM has a "
        "branch for it. A *tier* is the number of passes that the [probes](probes.md) may cost.",
        "## Of a task",
        "What facts of the model or the data tell is missing also where that whole probe failed.",
        markdown_table(header, _feature_rows(TASK_FEATURES)),
        "## Of a recipe",
        "Never missing.",
        markdown_table(header[:2], [[f"`{name}`", unit] for name, unit in RECIPE_UNITS.items()]),
        "## Of a recipe on a task",
        "For LightGBM alone.",
        markdown_table(header, _feature_rows(PAIR_FEATURES)),
    ]
    return page(parts)


def _feature_rows(features: Mapping[str, Feature]) -> list[list[str]]:
    return [[f"`{name}`", one.unit, one.absence] for name, one in features.items()]


def command_line_page() -> str:
    """The help of every command."""
    parts = [
        "# Command line",
        written_from("the parsers in `advisor/cli/`"),
        "Results go to standard output, progress and warnings to standard error; `--json` makes "
        "standard output one JSON document.",
        markdown_table(
            ["exit status", "meaning"],
            [
                ["0", "done"],
                ["1", "a fault of this project; please report it"],
                ["2", "something handed over is wrong, an error in your own function included"],
                ["130", "interrupted"],
                ["141", "nobody reads the output any more"],
            ],
        ),
    ]
    with _fixed_width():
        for parser in _all_parsers(make_parser()):
            parts += [f"## {parser.prog}", f"```text\n{parser.format_help().rstrip()}\n```"]
    return page(parts)


def _all_parsers(parser: Parser) -> Iterator[Parser]:
    yield parser
    for below in parser.commands.values():
        yield from _all_parsers(below)


@contextmanager
def _fixed_width() -> Iterator[None]:
    """The same help on every terminal: argparse asks the environment for width and colours."""
    wanted = {"COLUMNS": _WIDTH, "NO_COLOR": "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def files_table() -> str:
    """Every file of the three rooms with its one idea, the first line of its docstring."""
    parts = []
    for room in ROOMS:
        rows = []
        for path in sorted((ROOT / room).rglob("*.py"), key=_folders_first):
            place = path.relative_to(ROOT)
            name = f"{place.parent}/" if path.name == "__init__.py" else str(place)
            rows.append([f"[{name}](../{place})", _first_line(path)])
        parts += [f"### {room}", markdown_table(["file", "its one idea"], rows)]
    return "\n\n".join(parts)


def _folders_first(path: Path) -> tuple[str, bool, str]:
    return str(path.parent), path.name != "__init__.py", path.name


def _first_line(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].replace("``", "`")


def with_files(text: str, files: str) -> str:
    """A page with the table put between its two marks.

    Raises:
        ValueError: The marks are not there.
    """
    head, begin, rest = text.partition(FILES_BEGIN)
    _, end, tail = rest.partition(FILES_END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {FILES_BEGIN} and {FILES_END}")
    return f"{head}{begin}\n\n{files}\n\n{end}{tail}"


if __name__ == "__main__":
    raise SystemExit(main())
