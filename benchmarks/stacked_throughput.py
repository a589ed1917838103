"""Runs one by one against the same runs stacked, on one thread: configurations x steps per second.

Every case trains the same members (AdamW at different rates, a seed each) in the forms in turn, and
the medians over the rounds are told: of whole runs with twelve validations, in CPU time, so that
other work on the machine weighs little, and of the training steps alone, in wall time. "chosen" is
the form that ``probes.stacked.choice.choose`` takes for a thousand runs (and, told beside it, for
those of one stack). Compilation is told apart: it is paid once for each kind of stack, and in the
figure for a thousand runs it is paid.

Goal: at least 4 x on the tiny net, and never a form chosen that is slower than one by one. Compiled
stacks reach it with room to spare; without a C++ compiler stacks run as they are, 3.5 to 4.5 x.

Run:
    python benchmarks/stacked_throughput.py [--rounds N] [--members N] [--case NAME] [--no-compile]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from probes.recipe.schema import Recipe
from probes.run import Run
from probes.stacked.choice import can_compile, choose
from probes.stacked.loop import train_stacked
from probes.task import Task
from probes.training import train

GOAL, POINTS, CLASSES, RUNS = 4.0, 12, 10, 1000


@dataclass(frozen=True)
class Case:
    """A training to time: name, model, shape of a sample, batch size, steps timed."""

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
    Case("MLP 32-256-256-10, batch 64", lambda: mlp(256), (32,), 64, 60),
    Case("CNN 16 x 16, batch 16", convolutional, (3, 16, 16), 16, 60),
    Case("CNN 16 x 16, batch 64", convolutional, (3, 16, 16), 64, 30),
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


def measured(run: Callable[[], list[Run]]) -> tuple[float, float]:
    """CPU seconds of whole runs, and wall seconds of a step, both per run."""
    begin = time.process_time()
    runs = run()
    seconds = (time.process_time() - begin) / len(runs)
    return seconds, statistics.mean(run.seconds_per_step for run in runs)


def measure(case: Case, count: int, rounds: int, compiling: bool) -> bool:
    """Time one case, print its rows; returns whether it meets its goal."""
    task = task_of(case)
    members = [
        (Recipe.parse({"optimizer": {"name": "adamw", "lr": 1e-3 * 1.05**seed}}), seed)
        for seed in range(count)
    ]
    few = members[: max(4, count // 8)]  # enough of them to time runs one by one

    def stacked(compiled: bool) -> list[Run]:
        return train_stacked(task, members, device="cpu", points=POINTS, size=count,
                             compiled=compiled)  # fmt: skip

    forms: dict[str, Callable[[], list[Run]]] = {
        "single": lambda: alone(task, few), "stacked": lambda: stacked(False),
    }  # fmt: skip
    if compiling:
        forms["compiled"] = lambda: stacked(True)
    first: dict[str, float] = {}
    for name, form in forms.items():  # nobody is timed cold
        begin = time.perf_counter()
        form()
        first[name] = time.perf_counter() - begin
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
    for _ in range(rounds):
        for name, form in forms.items():
            times[name].append(measured(form))
    whole = {name: statistics.median(pair[0] for pair in all_) for name, all_ in times.items()}
    step = {name: statistics.median(pair[1] for pair in all_) for name, all_ in times.items()}
    few_chosen = choose(task, members, device="cpu", size=count)
    many = (members * (1 + RUNS // count))[:RUNS]
    chosen = choose(task, many, device="cpu", size=count) if compiling else few_chosen
    print(
        f"\n{case.name}: {count} members, {case.steps} steps, one thread; "
        f"chosen for {count} runs: {few_chosen}, for {RUNS}: {chosen}"
    )
    for name in forms:
        note = f"  first call {first[name]:.1f} s" if name == "compiled" else ""
        print(
            f"  {name:<9}{case.steps / whole[name]:>9.0f} /s whole runs"
            f"{whole['single'] / whole[name]:>6.1f} x{1 / step[name]:>10.0f} /s steps alone"
            f"{step['single'] / step[name]:>6.1f} x{note}"
        )
    once = first[chosen] if chosen == "compiled" else 0.0
    ratio = RUNS * whole["single"] / (RUNS * whole[chosen] + once)
    goal = GOAL if "64-64" in case.name else 1.0
    met = ratio >= goal
    print(f"  {ratio:.1f} x as chosen for {RUNS} whole runs, goal {goal:g} x: "
          f"{'met' if met else 'MISSED'}")  # fmt: skip
    return met


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Throughput of stacked runs")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each form (default 5)")
    parser.add_argument("--members", type=int, default=32, help="runs of a stack (default 32)")
    parser.add_argument("--case", default="", help="only cases whose name has this in it")
    parser.add_argument("--no-compile", action="store_true", help="leave compiled stacks out")
    given = parser.parse_args()
    torch.set_num_threads(1)
    compiling = can_compile("cpu") and not given.no_compile
    if not compiling:
        why = "as asked" if can_compile("cpu") else "for want of a C++ compiler (g++ or clang++)"
        print(f"compiled stacks are left out, {why}: what is chosen is the best of the rest")
    met = [measure(case, given.members, given.rounds, compiling) for case in CASES
           if given.case in case.name]  # fmt: skip
    print(f"\n{sum(met)} of {len(met)} goals met")


if __name__ == "__main__":
    main()
