"""The tasks of the live evaluation: chosen once by a rule, before anything was evaluated on them.

The rule: tasks of the knowledge base whose data come with packages, whose training takes at most
half a second, and on which validation says what test will say; one task a leak group; families of
models in turn, the family with the fewest tasks first; within a family the task on which recipes
differ most beside the noise between seeds.
``python -m advisor.evaluate.live_tasks`` fills the places of tasks that the knowledge base has no
longer, and leaves the others as they are.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median

import numpy as np

from advisor.evaluate.results import FRESH_SEEDS, LiveTask
from advisor.features import Matrix
from advisor.knowledge import Knowledge, load_knowledge
from knowledge_base.data_folder import DataFile
from knowledge_base.datasets import dataset
from knowledge_base.reference import COPIED
from knowledge_base.splits import FAMILY_GROUPS
from knowledge_base.store import SHIPPED, load_runs
from knowledge_base.tasks import TaskRow, task_rows
from knowledge_base.work import Item, built_task, run_item
from probes.errors import unknown_name
from probes.files import write_text

TASKS_FILE = Path(__file__).parent / "live_tasks.json"
COUNT = 18
MAX_SECONDS = 0.5
_LEAST_AGREEMENT = 0.9
"""Rank correlation of validation and test regret over reference recipes: below it a good choice
cannot be told from a bad one."""
_MOST_ZEROS = 0.1
"""Share of reference recipes with no test regret at all: above it the scale's zero is a mishap of
the one recipe that was best on validation."""
_LEAST_CLEARNESS = 4.0
"""Interquartile range of test regret over reference recipes, in standard deviations between seeds:
below it recipes can hardly be told apart."""
_LEAST_NOISE = 0.005
"""Noise below this counts as this: it is not known more exactly from three seeds."""


def live_tasks(names: Iterable[str] | None = None) -> tuple[LiveTask, ...]:
    """The tasks of the file, or those of these names.

    Raises:
        UserError: A name that is not in the file.
    """
    rows = json.loads(TASKS_FILE.read_text(encoding="utf-8"))
    known = {row["name"]: LiveTask.model_validate(row) for row in rows}
    if names is None:
        return tuple(known.values())
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if name not in known:
            raise unknown_name("a task of the live evaluation", name, known)
    return tuple(known[name] for name in wanted)


def comes_with_packages(row: TaskRow) -> bool:
    """Whether a task's data need no file of the user's."""
    return not isinstance(dataset(row.dataset).source, DataFile)


def choose_live_tasks(
    knowledge: Knowledge,
    seconds: Mapping[str, float],
    targets: Mapping[str, float],
    count: int = COUNT,
    kept: Iterable[LiveTask] = (),
) -> tuple[LiveTask, ...]:
    """The rule of this module.

    Args:
        knowledge: The knowledge base.
        seconds: Wall time of one training by AdamW 1e-3 cosine, of tasks that may be chosen.
        targets: Final validation loss of that training.
        count: Tasks wanted; fewer where there are not so many leak groups.
        kept: Tasks that were chosen before and stay.
    """
    found = []
    for index, row in enumerate(knowledge.rows):
        cheap = seconds.get(row.name, np.inf) <= MAX_SECONDS and row.name in targets
        validation, test = knowledge.regrets[index], knowledge.test_regrets[index]
        if cheap and _tells(validation, test):
            low, high = np.nanquantile(test, (0.25, 0.75))
            noise = max(scale.seed_spread for scale in knowledge.scales[index])
            clearness = float(high - low) / max(noise, _LEAST_NOISE)
            if clearness >= _LEAST_CLEARNESS:
                found.append((-clearness, row, knowledge.scales[index][1].seed_spread))
    found.sort(key=lambda entry: (entry[0], entry[1].name))
    chosen = list(kept)
    taken = Counter(FAMILY_GROUPS[task.family] for task in chosen)
    groups = {task.group for task in chosen}
    while len(chosen) < count:
        left = [(row, noise) for _, row, noise in found if row.group not in groups]
        if not left:
            break
        # min keeps the first of equals, so the clearest task of that family
        row, noise = min(left, key=lambda entry: taken[FAMILY_GROUPS[entry[0].family]])
        taken[FAMILY_GROUPS[row.family]] += 1
        groups.add(row.group)
        chosen.append(
            LiveTask(
                name=row.name, group=row.group, family=row.family, steps=row.steps,
                seconds=round(seconds[row.name], 3), target=targets[row.name],
                noise=round(noise, 5),
            )
        )  # fmt: skip
    return tuple(chosen)


def _tells(validation: Matrix, test: Matrix) -> bool:
    """Whether choosing on validation makes sense on a task.

    Args:
        validation: (R,) regrets of the reference recipes, NaN where one cannot serve the task.
        test: (R,) the same on the test set.
    """
    served = np.isfinite(validation) & np.isfinite(test)
    ranks = [values[served].argsort().argsort() for values in (validation, test)]
    agreement = np.corrcoef(ranks[0], ranks[1])[0, 1]
    return bool(agreement >= _LEAST_AGREEMENT and np.mean(test[served] == 0.0) <= _MOST_ZEROS)


def copied_losses(folder: Path = SHIPPED) -> dict[str, float]:
    """Median final validation loss of AdamW 1e-3 cosine over the builder's seeds, by task.

    The seeds of a live evaluation, whose runs may have been added since, take no part: a target
    stays what it was.
    """
    columns = load_runs(folder, ("task", "recipe", "seed", "final", "diverged"))
    losses: dict[str, list[float]] = {}
    for task, key, seed, final, diverged in zip(*columns.values(), strict=True):
        if key == COPIED.key and seed not in FRESH_SEEDS and not diverged:
            losses.setdefault(str(task), []).append(float(final))
    return {task: median(found) for task, found in losses.items()}


def measured_seconds(name: str) -> float:
    """Processor time of one training by AdamW 1e-3 cosine, the faster of two."""
    built_task(name)
    times = []
    for _ in range(2):
        began = time.process_time()
        run_item(Item(name, COPIED.model_dump_json(by_alias=True)))
        times.append(time.process_time() - began)
    return min(times)


def main() -> None:
    """Fill the places that are free and write the file."""
    knowledge = load_knowledge(0)
    kept = [task for task in live_tasks() if task.name in task_rows()]
    groups = {task.group for task in kept}
    seconds = {
        row.name: measured_seconds(row.name)
        for row in knowledge.rows
        if comes_with_packages(row) and row.group not in groups
    }
    chosen = choose_live_tasks(knowledge, seconds, copied_losses(), kept=kept)
    rows = [task.model_dump() for task in chosen]
    write_text(TASKS_FILE, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
