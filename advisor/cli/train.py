"""``advisor train``: one full training of a task by a recipe."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from advisor.cli import arguments as arg
from advisor.cli.output import amount, columns, duration, json_text, say

if TYPE_CHECKING:
    from probes.run import Point


def add(commands: arg.Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "train", help="train a task by a recipe",
        description="One full training. The model, the data and their random streams stay as "
        "they were: a copy is trained.",
    )  # fmt: skip
    arg.add_task(parser)
    parser.add_argument(
        "--recipe", metavar="FILE", required=True,
        help="advice.json, tuned.json, or a recipe as YAML or JSON",
    )  # fmt: skip
    arg.add_rank(parser)
    arg.add_steps(parser)
    arg.add_device(parser)
    arg.add_seed(parser, "seed of weights, batch order and dropout")
    arg.add_json(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> str:
    """Train and give the result as text."""
    from advisor.advice import load_ranked
    from advisor.cli.load_task import load_task
    from probes.device import resolve_device
    from probes.training import train

    recipe, _ = load_ranked(chosen.recipe, chosen.rank)
    resolve_device(chosen.device)
    task = load_task(chosen.task)
    prepared = task.prepared
    total = recipe.steps_for(chosen.steps or prepared.steps, prepared.batch_size)
    heading = [*prepared.notes, f"training {task.name}: {total} steps by {recipe.describe()}"]

    def tell(point: Point) -> bool:
        while heading:  # not before the first step: what does not fit is said in one line alone
            say(heading.pop(0))
        say(f"step {point.step} of {total}: validation loss {amount(point.validation['loss'])}")
        return False

    result = train(
        task, recipe, steps=chosen.steps, seed=chosen.seed, device=chosen.device, watcher=tell
    )
    plain = {"task": task.name, "recipe": recipe.plain(), **result.plain()}
    return json_text(plain) if chosen.json else _for_people(plain)


def _for_people(run: dict[str, Any]) -> str:
    names = [name.replace("_", " ") for name in run["columns"]]
    names[1] = "validation loss"
    rows = [[str(row[0]), *map(amount, row[1:])] for row in run["curve"]]
    lines = [columns([names, *rows]), ""]
    lines.append(f"validation  {_values(run['initial'])}  ->  {_values(run['final'])}")
    if run["test"] is not None:
        lines.append(f"test        {_values(run['test'])}")
    lines.append(
        f"cost        {run['passes']:g} passes in {duration(run['seconds'])}, "
        f"{duration(run['seconds_per_step'])} a step"
    )
    if run["diverged"]:
        lines.append(f"diverged    stopped after {run['steps']} steps: try a lower learning rate")
    return "\n".join(lines)


def _values(values: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {amount(value)}" for name, value in values.items())
