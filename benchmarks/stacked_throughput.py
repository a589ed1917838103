"""What training many runs together gains over one by one, on one thread, at the builder's batch.

Every case trains as many runs of one kind (AdamW at different rates, a seed each) as the builder
hands out at once, with twelve validations each, in every form in turn: one by one (a part of them),
in stacks, and "as chosen", which is ``probes.stacked.train_many`` on a task that it has never seen,
so that trying the model, timing both forms and compiling are paid in it. Times are CPU seconds,
those of a compiler's processes too, and ratios are taken within a round: other work on the machine
weighs on all forms of a round alike. Told is the median over the rounds, with the least and most.

Goal: as chosen, at least 4 x on the tiny net, and nowhere slower than one by one; there timing both
forms may cost 3 %. ``--compiled`` adds compiled stacks, their compilation told apart.

Run:
    python -m benchmarks.stacked_throughput [--rounds N] [--members N] [--case NAME] [--compiled]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from knowledge_base.stages import TOGETHER
from probes.recipe.schema import Recipe
from probes.run import Run
from probes.stacked.choice import can_compile, choose, train_many
from probes.stacked.loop import train_stacked
from probes.task import Task
from probes.training import train

GOAL, LEAST, POINTS, CLASSES = 4.0, 0.97, 12, 10


@dataclass(frozen=True)
class Case:
    """A training to time: name, model, shape of a sample, batch size, steps."""

    name: str
    model: Callable[[], nn.Module]
    inputs: tuple[int, ...]
    batch_size: int
    steps: int


def mlp(width: int) -> nn.Module:
    """A perceptron 32 - width - width - 10."""
    return nn.Sequential(
        nn.Linear(32, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
        nn.Linear(width, CLASSES),
    )  # fmt: skip


def convolutional() -> nn.Module:
    """Two strided convolutions with group normalization and a linear read-out."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.GroupNorm(4, 16), nn.ReLU(),
        nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.GroupNorm(4, 16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES),
    )  # fmt: skip


CASES = (
    Case("MLP 32-64-64-10, batch 64", lambda: mlp(64), (32,), 64, 300),
    Case("MLP 32-256-256-10, batch 64", lambda: mlp(256), (32,), 64, 100),
    Case("CNN 16 x 16, batch 16", convolutional, (3, 16, 16), 16, 100),
    Case("CNN 16 x 16, batch 64", convolutional, (3, 16, 16), 64, 60),
)
Members = list[tuple[Recipe, int]]


def task_of(case: Case) -> Task:
    """The case as a task with random data that can be learned."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(2560, *case.inputs, generator=generator)
    flat = inputs.flatten(1)
    targets = (flat @ torch.randn(flat.shape[1], CLASSES, generator=generator)).argmax(1)
    return Task(
        case.model, (inputs[:2048], targets[:2048]), (inputs[2048:], targets[2048:]),
        steps=case.steps, batch_size=case.batch_size,
    )  # fmt: skip


def alone(task: Task, members: Members) -> list[Run]:
    """The members one by one."""
    return [train(task, recipe, seed=seed, device="cpu", points=POINTS) for recipe, seed in members]


def spent() -> float:
    """CPU seconds of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def seconds(run: Callable[[], list[Run]]) -> float:
    """CPU seconds per run."""
    begin = spent()
    count = len(run())
    return (spent() - begin) / count


def measure(case: Case, count: int, rounds: int, compiled: bool) -> bool:
    """Time one case, print its rows; returns whether it meets its goal."""
    task = task_of(case)
    members = [
        (Recipe.parse({"optimizer": {"name": "adamw", "lr": 1e-3 * 1.02**seed}}), seed)
        for seed in range(count)
    ]
    few = members[: max(4, count // 12)]  # enough of them to time runs one by one

    def stacked(compiled: bool) -> list[Run]:
        return train_stacked(task, members, device="cpu", points=POINTS, compiled=compiled)

    forms: dict[str, Callable[[], list[Run]]] = {
        "one by one": lambda: alone(task, few),
        "stacked": lambda: stacked(False),
        "as chosen": lambda: train_many(task_of(case), members, device="cpu", points=POINTS),
    }
    first = ""
    if compiled:
        begin = spent()
        stacked(True)
        first = f", the first time {spent() - begin:.0f} s for all"
        forms["compiled"] = lambda: stacked(True)
    alone(task, few[:1])  # nobody is timed cold
    times = [{name: seconds(form) for name, form in forms.items()} for _ in range(rounds)]
    chosen = choose(task, members, device="cpu")
    print(f"\n{case.name}: {count} runs of {case.steps} steps; chosen: {chosen}", flush=True)
    ratios = {name: [each["one by one"] / each[name] for each in times] for name in forms}
    for name, each in ratios.items():
        steps = case.steps / statistics.median(one[name] for one in times)
        print(
            f"  {name:<11}{steps:>7.0f} steps/s{statistics.median(each):>6.2f} x "
            f"({min(each):.2f} to {max(each):.2f}){first if name == 'compiled' else ''}"
        )
    goal = GOAL if "64-64" in case.name else LEAST
    met = statistics.median(ratios["as chosen"]) >= goal
    print(f"  goal, as chosen: {goal:g} x: {'met' if met else 'MISSED'}", flush=True)
    return met


def main() -> int:
    """Print the table; returns the exit status, 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description="Throughput of stacked runs")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each form (default 5)")
    parser.add_argument(
        "--members", type=int, default=TOGETHER, help=f"runs at once (default {TOGETHER})"
    )
    parser.add_argument("--case", default="", help="only cases whose name has this in it")
    parser.add_argument("--compiled", action="store_true", help="time compiled stacks, too")
    given = parser.parse_args()
    torch.set_num_threads(1)
    compiled = given.compiled and can_compile("cpu")
    if given.compiled and not compiled:
        print("compiled stacks are left out for want of a C++ compiler (g++ or clang++)")
    met = [
        measure(case, given.members, given.rounds, compiled)
        for case in CASES
        if given.case in case.name
    ]
    print(f"\n{sum(met)} of {len(met)} goals met")
    return int(not all(met))


if __name__ == "__main__":
    sys.exit(main())
