"""The program: words in, text and an exit status out."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator, Sequence
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
    status = _run(list(sys.argv[1:] if argv is None else argv))
    if argv is None and sys.stdout is not None and sys.stdout is sys.__stdout__:
        _lead_output_to(2)  # what the user's code has left for the exit is no result either
    raise SystemExit(status)


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
    except UserError as error:
        say(f"advisor: {error}")
        return 2
    try:
        with _only_results():
            text: str = arguments.run(arguments)
    except UserError as error:
        say(f"advisor: {error}")
        return 2
    except KeyboardInterrupt:
        say("advisor: interrupted")
        return 130
    except BaseException as error:  # a fault of the user's code, sys.exit included, or of ours
        return _fault(error)
    return _print(text)


@contextlib.contextmanager
def _only_results() -> Iterator[None]:
    """Keep standard output for results: what the user's code writes there goes to standard error.

    Where standard output is the process's own, its file descriptor is led there as well, for child
    processes and for what does not go through ``sys.stdout``.
    """
    own = sys.stdout is not None and sys.stdout is sys.__stdout__
    with contextlib.redirect_stdout(sys.stderr):
        try:
            kept = os.dup(1) if own else None
        except OSError:  # closed by whoever started us
            kept = None
        if kept is None:
            yield
            return
        try:
            _lead_output_to(2)
            yield
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.__stdout__.flush()  # type: ignore[union-attr]  # it belongs to the meanwhile
            os.dup2(kept, 1)
            os.close(kept)


def _lead_output_to(descriptor: int) -> None:
    try:
        os.dup2(descriptor, 1)
    except OSError:  # there is no standard error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)


def _print(text: str) -> int:
    """Write the results; returns the exit status."""
    try:
        if text:
            if sys.stdout is None:
                raise OSError(errno.EBADF, "it is closed")
            sys.stdout.write(text if text.endswith("\n") else text + "\n")
            sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        return 141
    except (OSError, ValueError) as error:  # full, closed, or of an encoding without some letter
        _forget_output()
        unwritable = UserError(
            "a standard output that takes the results", str(error),
            "make room, or write to another place",
        )  # fmt: skip
        say(f"advisor: {unwritable}")
        return 2
    return 0


def _fault(error: BaseException) -> int:
    from advisor.cli.blame import fault_of_user, last_frame_of_user, raised_at

    theirs = fault_of_user(error)
    if theirs is None and isinstance(error, BrokenPipeError):  # nobody reads what is told meanwhile
        _forget_output()
        return 141
    if theirs is None and not isinstance(error, Exception):  # we raise none of these
        frame = last_frame_of_user(error)
        theirs = raised_at("code that runs to its end", error, frame)
    if theirs is not None:
        say(f"advisor: {theirs}")
        return 2
    import traceback

    traceback.print_exception(error, file=sys.stderr)
    say(f"advisor: a bug of ours ({type(error).__name__}), please report it with the lines above")
    return 1


def _forget_output() -> None:
    """Let standard output lead nowhere, or Python complains about the pipe again at its exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or none at all
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stdout.flush()  # or what is pending comes out where ``main`` leads it at the exit
