"""The program: words in, text and an exit status out."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from advisor.cli import evaluate, export, kb, listing, probe, recommend, refine, train
from advisor.cli.arguments import Parser
from advisor.cli.output import say
from probes.errors import UserError


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit.

    Args:
        argv: Words after the program's name; None takes the process's own.

    Raises:
        SystemExit: Always, with the exit status.
    """
    raise SystemExit(_run(list(sys.argv[1:] if argv is None else argv)))


def make_parser() -> Parser:
    """The parser of the whole command line."""
    from advisor import __version__

    parser = Parser(
        prog="advisor",
        description="Recommends an optimizer, schedule and training recipe for a PyTorch model "
        "and its data.",
        epilog="TASK is path/to/file.py:function or package.module:function; the function "
        "returns an advisor.Task. Results go to standard output, progress to standard error.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_commands()
    for command in (recommend, refine, export, train, probe, listing, kb, evaluate):
        command.add(commands)
    return parser


def _run(words: list[str]) -> int:
    try:
        began = time.monotonic()
        arguments = make_parser().read(words)
        arguments.began = began
        with contextlib.redirect_stdout(sys.stderr):
            text: str = arguments.run(arguments)
        if text:
            sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
    except UserError as error:
        say(f"advisor: {error}")
        return 2
    except KeyboardInterrupt:
        say("advisor: interrupted")
        return 130
    except BrokenPipeError:
        _forget_output()
        return 141
    except Exception as error:  # whatever is left is a fault: of the user's code or of ours
        return _fault(error)
    return 0


def _fault(error: Exception) -> int:
    from advisor.cli.blame import fault_of_user

    theirs = fault_of_user(error)
    if theirs is not None:
        say(f"advisor: {theirs}")
        return 2
    import traceback

    traceback.print_exception(error, file=sys.stderr)
    say(f"advisor: a bug of ours ({type(error).__name__}), please report it with the lines above")
    return 1


def _forget_output() -> None:
    """Let standard output lead nowhere, or Python complains about the pipe again at its exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
