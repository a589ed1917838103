"""``path/to/file.py:function`` or ``package.module:function`` -> the Task the function returns."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from advisor.cli.blame import last_frame_of_user, raised_at
from probes.errors import UserError, unknown_name

if TYPE_CHECKING:
    from probes.task import Task

FORM = "a task as path/to/file.py:function or package.module:function"


def load_task(text: str) -> Task:
    """Import what the text names and call it.

    The folder of the file (or the working folder, for a module) comes first on ``sys.path``
    meanwhile, so that neighbours can be imported; afterwards it stays as the last entry, for
    imports inside functions. What the user's code prints goes to standard error.

    Args:
        text: File or module, a colon, and the name of a function that takes no arguments.

    Raises:
        UserError: There is no such file, module or function; it raised; it returned no Task.
    """
    place, function_name = _parted(text)
    is_file = _looks_like_file(place)
    folder = str(Path(place).resolve().parent) if is_file else str(Path.cwd())
    with contextlib.redirect_stdout(sys.stderr), _first_on_path(folder):
        module = _from_file(Path(place).resolve()) if is_file else _from_module(place)
        function = _function(module, place, function_name)
        made = _guarded(f"{function_name} in {place} to return a Task", function)
    if inspect.iscoroutine(made):
        made.close()  # or Python warns that nobody awaited it
        raise UserError(
            f"{function_name} in {place} to return an advisor.Task", "a coroutine",
            "make it a plain function: def, not async def",
        )  # fmt: skip
    from probes.task import Task

    if not isinstance(made, Task):
        raise UserError(
            f"{function_name} in {place} to return an advisor.Task", _kind(made),
            "end it with return Task(model=..., train=...)",
        )  # fmt: skip
    return made


def _parted(text: str) -> tuple[str, str]:
    """Place and name of the function; both are there."""
    place, colon, name = text.rpartition(":")
    if not colon or "/" in name or "\\" in name or not place:
        whole = text.rstrip(":")
        if not _looks_like_file(whole):
            raise UserError(
                FORM, repr(text), "name the file or module and, after a colon, the function"
            )
        found = ", ".join(_functions_in(Path(whole)))
        raise UserError(
            FORM, f"{text!r} without a function",
            f"append :function (in {whole} there is {found})" if found else "define one in it",
        )  # fmt: skip
    if not name:
        return _parted(place)
    return place, name


def _looks_like_file(place: str) -> bool:
    return place.endswith(".py") or "/" in place or "\\" in place or os.path.isfile(place)


def _functions_in(path: Path) -> list[str]:
    """Names of the public functions of a file, read without running it."""
    source = _source(path)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise _syntax(path, error) from None
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node.name for node in tree.body if isinstance(node, kinds) and node.name[0] != "_"]


def _source(path: Path) -> bytes:
    if path.suffix != ".py":
        if path.is_file():
            raise UserError("a Python file (.py)", str(path), "give the file with the function")
        if path.is_dir():
            raise UserError("a Python file (.py)", f"the folder {path}", "give a file in it")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            "a Python file", f"{path}, which does not exist", "check the path"
        ) from None
    except OSError as error:
        raise UserError(
            "a readable Python file", f"{path} ({error.strerror})", "check it"
        ) from None


def _syntax(path: Path, error: SyntaxError | ValueError) -> UserError:
    line = error.lineno if isinstance(error, SyntaxError) else None
    where = error.filename if isinstance(error, SyntaxError) and line else str(path)
    if where in (None, "<unknown>"):
        where = str(path)
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    at = f" at line {line}" if line else ""
    return UserError(f"Python code in {where}", f"{type(error).__name__}{at}: {reason}", "mend it")


@contextlib.contextmanager
def _first_on_path(folder: str) -> Iterator[None]:
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the user's code may have taken it off
            sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)


def _from_file(path: Path) -> ModuleType:
    _source(path)
    # under its own name, so that neighbours that import it get this very module; another module
    # of that name (the file may be called random.py) stays what it is
    name = path.stem
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) != str(path):
        name = f"advisor_task_{name}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError("a Python file", str(path), "give a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader = spec.loader
    try:
        _guarded(f"{path} to be importable", lambda: loader.exec_module(module))
    except UserError:
        sys.modules.pop(name, None)
        raise
    return module


def _from_module(name: str) -> ModuleType:
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise UserError(
                "the name of a module that can be imported", repr(name),
                "check the name, or run from the folder that holds it",
            ) from None  # fmt: skip
        raise _raised(f"{name} to be importable", error) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _raised(f"{name} to be importable", error) from error


def _function(module: ModuleType, place: str, name: str) -> Callable[[], Any]:
    found = getattr(module, name, None)
    if found is None:
        names = [
            key for key, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__ and key[0] != "_"
        ]  # fmt: skip
        if not names:
            raise UserError(f"a function {name} in {place}", "none", f"define {name} in it")
        raise unknown_name(f"a function in {place}", name, names)
    if not callable(found):
        raise UserError(
            f"{name} in {place} as a function that returns a Task", _kind(found), "name a function"
        )
    with contextlib.suppress(ValueError):  # builtins have no signature to check
        try:
            inspect.signature(found).bind()
        except TypeError as error:
            raise UserError(
                f"{name} in {place} as a function without arguments", str(error),
                "give its arguments defaults",
            ) from None  # fmt: skip
    return found  # type: ignore[no-any-return]


def _guarded(expected: str, call: Callable[[], Any]) -> Any:
    """The result of the user's code; what it raises, as one line with its place."""
    try:
        return call()
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:  # whatever the user's code raises, sys.exit included
        raise _raised(expected, error) from error


def _raised(expected: str, error: BaseException) -> UserError:
    if isinstance(error, SyntaxError) and error.filename:
        return _syntax(Path(error.filename), error)
    return raised_at(expected, error, last_frame_of_user(error))


def _kind(value: object) -> str:
    if value is None:
        return "None"
    return f"an object of type {type(value).__name__}"
