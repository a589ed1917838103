"""The examples are tasks that train."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from user_files import CommandLine

EXAMPLES = Path(__file__).parents[3] / "examples"
TASKS = ("image_cnn", "tabular_mlp", "char_transformer")


@pytest.mark.parametrize("name", TASKS)
def test_an_example_trains(advisor: CommandLine, name: str) -> None:
    answer = advisor(
        "train", f"{EXAMPLES}/{name}.py:task", "--recipe", "good.yaml", "--steps", "30", "--json"
    )
    assert answer.status == 0, answer.err
    run = json.loads(answer.out)
    assert run["final"]["loss"] < 0.95 * run["initial"]["loss"]
    assert run["test"] is not None
    assert run["passes"] == 30
