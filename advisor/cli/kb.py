"""``advisor kb``: the knowledge base."""

from __future__ import annotations

from advisor.cli import arguments as arg
from advisor.cli import kb_build, kb_findings, kb_fit, kb_import, kb_status


def add(commands: arg.Commands) -> None:
    """Describe the commands."""
    parser = commands.add_parser(
        "kb", help="the knowledge base: status, build, import, findings, fit",
        description="What was learned before: runs of many recipes on benchmark tasks.",
    )  # fmt: skip
    below = parser.add_commands()
    kb_status.add(below)
    kb_build.add(below)
    kb_import.add(below)
    kb_findings.add(below)
    kb_fit.add(below)
