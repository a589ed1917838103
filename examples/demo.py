"""The main job from end to end, as ``make demo`` runs it.

Recommends a recipe for the digits CNN of ``image_cnn.py``, refines it, and compares both with the
AdamW 1e-3 cosine that people copy, on three fresh seeds. The digits are one of the data sets the
shipped knowledge base knows, so the demo first fits meta-models that have never seen them.
"""

import sys
from pathlib import Path
from statistics import median

import torch
from image_cnn import task as make_task

from advisor import Recipe, Run, Task, recommend
from advisor.curve_fit import fit_curves
from advisor.shipped import fit_shipped

FOLDER = Path("demo_output")
SEEDS = (101, 102, 103)
TRIALS = 15


def steps_to(run: Run, target: float, budget: int) -> int:
    """Steps of the first point at or below a validation loss; a miss counts as the budget."""
    return next((p.step for p in run.curve if p.validation["loss"] <= target), budget)


def train_all(recipe: Recipe, task: Task) -> list[Run]:
    """One run a fresh seed."""
    return [recipe.fit(task, seed=seed) for seed in SEEDS]


def main() -> None:
    """Probe, recommend, refine, compare, export."""
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    task = make_task()

    print("fitting meta-models that have never seen the digits ...", flush=True)
    fit_shipped(folder=FOLDER / "models", tiers=(0, 16, 64), without=("digits",))
    fit_curves(folder=FOLDER / "models", without=("digits",))
    advice = recommend(
        task, budget="10%", models=FOLDER / "models", progress=lambda line: print(" ", line)
    )
    print(f"\nrecommended: {advice.best.describe()}")
    for line in advice.ranking[0].evidence:
        print(f"  - {line}")
    print(f"refining with {TRIALS} trials ...", flush=True)
    tuned = advice.refine(trials=TRIALS, progress=sys.stderr.isatty())
    print(f"refined: {tuned.best.describe()} (from {tuned.ranking[0].origin})\n")

    copied = Recipe.parse({"optimizer": {"name": "adamw", "lr": 1e-3}, "schedule": "cosine"})
    recipes = {
        "AdamW 1e-3 cosine (copied)": copied,
        "recommended": advice.best,
        "refined": tuned.best,
    }
    runs = {name: train_all(recipe, task) for name, recipe in recipes.items()}
    target = median(run.final["loss"] for run in runs["AdamW 1e-3 cosine (copied)"])
    metric = advice.task.metric
    print(f"{'recipe':28}{'test loss':>11}{'test ' + str(metric):>15}{'steps to target':>17}")
    for name, found in runs.items():
        tests = [run.test for run in found if run.test is not None]
        loss = median(test["loss"] for test in tests)
        score = median(test[metric] for test in tests) if metric else float("nan")
        steps = median(steps_to(run, target, advice.task.steps) for run in found)
        print(f"{name:28}{loss:>11.4f}{score:>15.4f}{steps:>17.0f}")
    print(f"(medians over seeds {SEEDS}; target: validation loss {target:.4f};")
    print(f" a run that misses it counts as {advice.task.steps} steps)")
    print(
        f"probe: {advice.probe.passes:.1f} passes, {advice.probe.share:.1%} of one full training; "
        f"refinement: {tuned.passes / advice.task.steps:.1f} full trainings"
    )
    for to, name in (("torch", "recipe.py"), ("yaml", "recipe.yaml"), ("json", "recipe.json")):
        tuned.export(FOLDER / name, to=to)
        print(f"wrote {FOLDER / name}")


if __name__ == "__main__":
    main()
