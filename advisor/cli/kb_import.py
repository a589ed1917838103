"""``advisor kb import``: results that others published."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from advisor.cli import arguments as arg
from advisor.cli.output import columns, duration, json_text, say

if TYPE_CHECKING:
    from knowledge_base.importers import Summary

FORMATS = ("algoperf", "taskset", "nanogpt-track", "opt-list")
_TOLD_PROBLEMS = 20


def add(commands: arg.Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "import", help="read results that others published",
        description="Reads published results, in the layout they were published in, into Parquet "
        "files of their own with the columns of our runs; kb status counts them, and nothing "
        "learns from them. What is malformed is named and skipped; so is what is there twice. An "
        "earlier import of the same format is not added to: --replace puts the new one in its "
        "place.",
    )  # fmt: skip
    parser.add_argument(
        "path", metavar="PATH", action=arg.Checked, check=arg.path,
        help="a folder, a .tar.xz or .tar.gz archive, or a file (.gz too)",
    )  # fmt: skip
    parser.add_argument(
        "--format", metavar="F", required=True, action=arg.Checked,
        check=arg.one_of("a published format", FORMATS), help=f"one of {', '.join(FORMATS)}",
    )  # fmt: skip
    parser.add_argument(
        "--out", metavar="FOLDER", action=arg.Checked, check=arg.folder_to_make,
        help="where imported results are kept, a folder for each format (default: imported in the "
        "cache directory, which is $ADVISOR_CACHE or ~/.cache/optimizer-advisor)",
    )  # fmt: skip
    parser.add_argument(
        "--replace", action="store_true",
        help="put this import in the place of an earlier one of the same format, all of whose runs "
        "are lost; without it that is refused",
    )  # fmt: skip
    arg.add_json(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> str:
    """Import, and give the counts as text."""
    from knowledge_base.importers import default_folder, import_results

    folder = chosen.out or default_folder()
    line = Told()
    summary = import_results(
        chosen.path, chosen.format, folder, line.show, replace=chosen.replace
    )  # fmt: skip
    for problem in summary.problems[:_TOLD_PROBLEMS]:
        say(str(problem))
    if summary.problem_count > _TOLD_PROBLEMS:
        say(f"{summary.problem_count - _TOLD_PROBLEMS} more problems; --json has the first 1000")
    say(f"imported into {folder / chosen.format}")
    if chosen.json:
        return json_text({"folder": str(folder / chosen.format), **summary.model_dump()})
    return _for_people(summary)


class Told:
    """Says how far an import is, a line every few thousand records."""

    every = 5000

    def show(self, count: int) -> None:
        """Tell of a count."""
        if count % self.every == 0:
            say(f"{count} records")


def _for_people(summary: Summary) -> str:
    rows = [
        ["source", f"{summary.source} ({summary.licence})"],
        *([name, str(getattr(summary, name))] for name in _COUNTED),
        ["problems", str(summary.problem_count)],
        *([["replaced", str(summary.replaced)]] if summary.replaced else []),
        ["took", duration(summary.seconds)],
    ]
    parts = [columns(rows)]
    for title, counts in (
        ("tasks", summary.by_task), ("methods", summary.by_method), ("missing", summary.missing),
    ):  # fmt: skip
        if counts:
            table = columns([[name, str(count)] for name, count in counts.items()], indent="  ")
            parts.append(f"{title}\n{table}")
    return "\n".join(parts)


_COUNTED = (
    "files", "runs", "methods", "recipes", "curves", "points", "censored", "diverged",
)  # fmt: skip
