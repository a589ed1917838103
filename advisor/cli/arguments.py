"""Arguments: argparse with errors in our own style, one line each, near matches named."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from advisor.memory import COUNTED, NOT_COUNTED, parse_memory
from probes.errors import UserError, unknown_name

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeAlias

    Commands: TypeAlias = "argparse._SubParsersAction[Parser]"

_NEGATIVE = re.compile(r"-[\d.]")
_DIGITS = 1000


class Parser(argparse.ArgumentParser):
    """A parser that raises UserError where argparse prints its usage and exits."""

    def __init__(self, **settings: Any) -> None:
        self.flags: set[str] = set()
        self.commands: Mapping[str, Parser] = {}
        super().__init__(allow_abbrev=False, **settings)

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        """As argparse's, remembering the option strings."""
        action = super().add_argument(*names, **settings)
        self.flags.update(action.option_strings)
        return action

    def add_commands(self) -> Commands:
        """Make room for commands below this one."""
        action = self.add_subparsers(title="commands", metavar="COMMAND")
        self.commands = action.choices
        return action

    def read(self, words: list[str]) -> argparse.Namespace:
        """Parse the words.

        Raises:
            UserError: They do not fit.
            SystemExit: Help or the version was asked for and is printed.
        """
        parser = self._chosen(words)
        arguments, left = self.parse_known_args(_joined(words))
        if left:
            raise UserError(
                f"nothing more after the arguments of {parser.prog}", " ".join(left),
                f"see {parser.prog} --help",
            )  # fmt: skip
        return arguments

    def _chosen(self, words: list[str]) -> Parser:
        """The parser of the command that is named, the names of its options checked."""
        parser = self
        for word in words:
            if not parser.commands or word.startswith("-"):
                break
            if word not in parser.commands:
                raise unknown_name(f"a command of {parser.prog}", word, parser.commands)
            parser = parser.commands[word]
        flags = [word.partition("=")[0] for word in words if word.startswith("--") and word != "--"]
        for flag in flags:
            if flag not in parser.flags:
                raise unknown_name(f"an option of {parser.prog}", flag, parser.flags)
        if parser.commands and not {"-h", "--help", "--version"} & {*words}:
            raise UserError(
                f"a command after {parser.prog}", "none",
                f"choose one of {', '.join(parser.commands)}",
            )  # fmt: skip
        return parser

    def error(self, message: str) -> NoReturn:
        """Argparse's own complaints in our style.

        Raises:
            UserError: Always.
        """
        see = f"see {self.prog} --help"
        if missing := re.fullmatch(r"the following arguments are required: (.+)", message):
            raise UserError(missing[1], "nothing", see)
        if bare := re.fullmatch(r"argument (\S+): expected one argument", message):
            raise UserError(f"a value after {bare[1]}", "none", see)
        raise UserError(f"arguments that fit {self.prog}", message, see)


class Checked(argparse.Action):
    """An argument whose value goes through ``check``, which may raise a UserError.

    A ``type=`` of argparse cannot say more than "invalid value": it swallows every ValueError.
    """

    def __init__(self, *args: Any, check: Callable[[str], Any], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._check = check

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option: str | None = None,
    ) -> None:
        """Store the checked value."""
        setattr(namespace, self.dest, self._check(values))


def _joined(words: list[str]) -> list[str]:
    """``--budget -5%`` as ``--budget=-5%``, which argparse would take for an option."""
    joined: list[str] = []
    for word in words:
        flag = joined[-1] if joined else ""
        if _NEGATIVE.match(word) and flag.startswith("--") and "=" not in flag and flag != "--":
            joined[-1] = f"{flag}={word}"
        else:
            joined.append(word)
    return joined


def whole(name: str, least: int) -> Callable[[str], int]:
    """A check for whole numbers of at least ``least``, and below 2 to the 63."""

    def check(text: str) -> int:
        large = text.strip().lstrip("+").isdecimal() and len(text) > _DIGITS  # int() has a limit
        try:
            number = 2**63 if large else int(text)
        except ValueError:
            number = least - 1
        if not least <= number < 2**63:
            limit = f" and at most {2**63 - 1}" if number >= 2**63 else ""
            raise UserError(
                f"{name} as a whole number of at least {least}{limit}", repr(text),
                f"change --{name}",
            )  # fmt: skip
        return number

    return check


def number(name: str) -> Callable[[str], float]:
    """A check for finite numbers."""

    def check(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not abs(value) < float("inf"):
            raise UserError(f"{name} as a number", repr(text), f"change --{name}")
        return value

    return check


def one_of(kind: str, choices: Iterable[str]) -> Callable[[str], str]:
    """A check for names of a table; near matches are offered."""
    known = list(choices)

    def check(text: str) -> str:
        if text not in known:
            raise unknown_name(kind, text, known)
        return text

    return check


def path(text: str) -> Path:
    """Any path; no text at all would stand for the current folder."""
    from pathlib import Path  # here and not above: it is a tenth of what --help takes

    if not text:
        raise UserError("a path", repr(text), "name a file or a folder")
    return Path(text)


def out_file(text: str) -> Path:
    """A path that can be written to, checked before the work whose result it takes."""
    from probes.files import check_writable

    place = path(text)
    check_writable(place)
    return place


def not_an_input(out: Path | None, *inputs: str | None) -> None:
    """Refuse to write a result over what it is made from.

    Args:
        out: Where to write; None for nowhere.
        inputs: Files, or tasks as ``path/to/file.py:function``.

    Raises:
        UserError: One of them is that file.
    """
    if out is None or not out.exists():
        return
    for given in inputs:
        for name in () if given is None else (given, given.rpartition(":")[0]):
            if name and os.path.exists(name) and os.path.samefile(name, out):
                raise UserError(
                    "--out beside what is read", f"{out}, an input", "name another file"
                )


def place_to_make(path: Path) -> Path:
    """The path, if it is there or its folders can be made; checked before the work.

    Raises:
        UserError: They cannot be made, or what is there cannot be written.
    """
    there = path.absolute()
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    may_be_file = there == path.absolute()
    rights = os.W_OK if may_be_file and os.path.isfile(there) else os.W_OK | os.X_OK
    too_long = any(len(os.fsencode(part)) > 255 for part in path.parts)
    if (
        too_long
        or "\0" in str(path)
        or not (may_be_file or os.path.isdir(there))
        or not os.access(there, rights)
    ):
        raise UserError("a path that can be written", str(path), "change the path")
    return path


def folder_to_make(text: str) -> Path:
    """A folder that is there or can be made; checked before the work whose result it takes."""
    place = path(text)
    if os.path.exists(place) and not os.path.isdir(place):
        raise UserError("a folder to write into", f"{place}, which is a file", "give another path")
    return place_to_make(place)


def old_file(text: str) -> Path:
    """A path of a file that is there."""
    place = path(text)
    if not os.path.isfile(place):
        raise UserError("a file", f"{place}, which is not one", "check the path")
    return place


def add_task(parser: Parser) -> None:
    """The TASK argument."""
    parser.add_argument(
        "task", metavar="TASK", help="path/to/file.py:function or package.module:function"
    )


def add_seed(parser: Parser, what: str) -> None:
    """The --seed option."""
    parser.add_argument(
        "--seed", metavar="N", action=Checked, check=whole("seed", 0), default=0,
        help=f"{what} (default 0)",
    )  # fmt: skip


def add_device(parser: Parser) -> None:
    """The --device option; whether the device is there is checked when torch is loaded."""
    parser.add_argument(
        "--device", metavar="D", default="auto", help="auto, cpu, cuda, cuda:1 ... (default auto)"
    )


def add_steps(parser: Parser) -> None:
    """The --steps option."""
    parser.add_argument(
        "--steps", metavar="N", action=Checked, check=whole("steps", 1),
        help="budget of one full training in batches (default: the task's)",
    )  # fmt: skip


def add_models(parser: Parser) -> None:
    """The --models option; what the folder holds is checked when it is read."""
    parser.add_argument(
        "--models", metavar="DIR", action=Checked, check=path,
        help="a folder of meta-models of your own, as advisor kb fit --out writes them (default: "
        "the shipped ones)",
    )  # fmt: skip


def add_max_memory(parser: Parser, otherwise: str) -> None:
    """The --max-memory option.

    Args:
        parser: Whose it is.
        otherwise: What holds without it, in words.
    """
    parser.add_argument(
        "--max-memory", metavar="M", action=Checked, check=parse_memory,
        help=f"what a recipe may take, in bytes or as 512MB or 2GiB ({otherwise}): {COUNTED}; not "
        f"counted are {NOT_COUNTED}",
    )  # fmt: skip


def add_rank(parser: Parser) -> None:
    """The --rank option."""
    parser.add_argument(
        "--rank", metavar="K", action=Checked, check=whole("rank", 1), default=1,
        help="the K-th recipe of the file's ranking (default 1)",
    )  # fmt: skip


def add_json(parser: Parser) -> None:
    """The --json switch."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")
