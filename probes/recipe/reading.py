"""Reading what people wrote: mappings from files, and pydantic's complaints in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from probes.errors import UserError, unknown_name


def read_mapping(path: str | Path) -> dict[str, Any]:
    """The mapping a JSON or YAML file holds.

    Raises:
        UserError: The file is missing, unreadable, torn, or holds something else.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError("a file", f"{file}, which does not exist", "check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("a readable text file", f"{file} ({error})", "check the file") from None
    try:
        data = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            "a complete JSON or YAML file", f"{file}, torn or malformed ({reason})",
            "write the file again",
        ) from None  # fmt: skip
    if not isinstance(data, dict):
        raise UserError("a mapping in the file", f"{file} with {type(data).__name__}", "check it")
    return data


def one_line(error: ValidationError, model: type[BaseModel]) -> UserError:
    """The first of pydantic's complaints in our error style."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, UserError):
        return cause
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return unknown_name("a field of the recipe", first["loc"][-1], model.model_fields)
    return UserError(f"a valid {where}", repr(first["input"]), first["msg"])
