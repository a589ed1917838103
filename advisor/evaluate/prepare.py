"""What is worked out before the contest: advice by models that never saw the task's data.

Probes and fits take seconds, so each task's are done in a worker process and kept in files whose
folder is named after all that they follow from: the knowledge base and this package's code.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import advisor
import knowledge_base
import probes
from advisor.advice import Advice
from advisor.curve_fit import fit_curves
from advisor.curves import FILE
from advisor.evaluate.contenders import LISTED, Need, Prepared
from advisor.evaluate.lr_finder import Found, find_rate
from advisor.evaluate.processes import in_processes
from advisor.evaluate.results import LiveTask
from advisor.knowledge import load_knowledge
from advisor.portfolio import greedy_portfolio
from advisor.recommender import recommend
from advisor.refine import refine
from advisor.shipped import fit_shipped, known_tiers, tier_within
from advisor.tuned import Tuned
from knowledge_base.importers.base import Report
from knowledge_base.importers.opt_list import OptList
from knowledge_base.store import SHIPPED
from knowledge_base.work import built_task
from probes.errors import UserError
from probes.files import write_text
from probes.profile import FACTS_ONLY
from probes.recipe.schema import Recipe

REFINED = 10
"""Trials of the refinement."""
_BUDGET = 0.1
_NOT_ADVICE = ("evaluate", "cli", "export")
"""Rooms of this package from which no advice follows."""


_NO_FILES: tuple[Need, ...] = ("portfolio", "opt_list", "transfer")
"""What takes neither a probe nor a fit, and is worked out when it is needed."""


@dataclass(frozen=True)
class Place:
    """Where the advice on a task is kept, and what it is made from.

    Attributes:
        folder: Of this task's files.
        models: Of all that is fitted without its leak group: meta-models and pruning rule.
        knowledge: Of the packed knowledge base.
        seed: Of models, probes and refinement.
    """

    folder: Path
    models: Path
    knowledge: Path
    seed: int


def place_of(store: Path, task: LiveTask, knowledge: Path | None, seed: int) -> Place:
    """The place of a task's advice in a store."""
    source = knowledge or SHIPPED
    beside = store / "advice" / _basis(source, seed)
    return Place(beside / task.name, beside / "models" / task.group, source, seed)


def prepare(
    tasks: Sequence[tuple[LiveTask, Place]],
    needs: Collection[Need],
    workers: int,
    report: Callable[[str], None],
) -> None:
    """Write what is missing of the tasks' files, each task in a process of its own.

    With one worker all is done in this process.
    """
    todo = [(task, place) for task, place in tasks if _missing(place, needs)]
    if not todo:
        return
    write = partial(_write, needs=frozenset(needs))
    for count, name in enumerate(in_processes(write, todo, workers), start=1):
        report(f"advice on {name}: {count} of {len(todo)}")


def _write(one: tuple[LiveTask, Place], needs: frozenset[Need]) -> str:
    return prepare_task(*one, needs)


def prepare_task(task: LiveTask, place: Place, needs: Collection[Need]) -> str:
    """Write what is missing of one task's files; returns the task's name."""
    import torch

    torch.set_num_threads(1)
    place.folder.mkdir(parents=True, exist_ok=True)
    missing = _missing(place, needs)
    live = built_task(task.name)
    if "rate" in missing:
        write_text(place.folder / "rate.json", find_rate(live, place.seed).model_dump_json())
    if {"advice", "fastest"} & missing:
        _fit(task, place)
    for need, goal in (("advice", "best"), ("fastest", "fastest")):
        if need in missing:
            advice = recommend(live, goal=goal, device="cpu", seed=place.seed, models=place.models)
            advice.save(place.folder / f"{need}.json")
    if "refine" in missing:
        advice = Advice.load(place.folder / "advice.json")
        if not (place.models / FILE).exists():
            fit_curves(place.knowledge, place.models, without=(task.group,))
        tuned = refine(
            advice, live, trials=REFINED, seed=place.seed, device="cpu", models=place.models
        )
        tuned.save(place.folder / "refine.json")
    return task.name


def prepared(place: Place, need: Need) -> Prepared:
    """What the files of a task say.

    Args:
        place: Where they are.
        need: "advice", "fastest", "refine" or "rate".
    """
    path = place.folder / f"{need}.json"
    if need == "rate":
        found = Found.model_validate_json(path.read_text(encoding="utf-8"))
        plain = {"optimizer": {"name": "adamw", "lr": found.rate}, "schedule": "one_cycle"}
        return Prepared((Recipe.parse(plain),), found.passes)
    advice = Advice.load(place.folder / f"{'fastest' if need == 'fastest' else 'advice'}.json")
    spent = advice.probe.passes
    if need == "refine":
        tuned = Tuned.load(path)
        recipe = _plain_batches(tuned.best, tuned.task.batch_size)
        return Prepared((recipe,), spent + tuned.passes, REFINED)
    size = advice.task.batch_size
    return Prepared(tuple(_plain_batches(entry.recipe, size) for entry in advice.ranking), spent)


def portfolio(task: LiveTask, knowledge: Path | None) -> Prepared:
    """The greedy portfolio of the tasks that share no data with this one."""
    known = load_knowledge(0, knowledge or SHIPPED)
    others = known.part([i for i, row in enumerate(known.rows) if row.group != task.group])
    order = greedy_portfolio(others.filled().learned, LISTED)
    return Prepared(tuple(known.recipes[i] for i in order))


def published_list(path: Path, report: Callable[[str], None]) -> Prepared:
    """The first entries of a learned list that a recipe can express.

    Raises:
        UserError: There are none.
    """
    problems = Report()
    recipes: list[Recipe] = []
    for entry in OptList().read(path, problems):
        if len(recipes) == LISTED:
            break
        if entry.recipe is None:
            report(f"{entry.name} is left out: {'; '.join(entry.missing.values())}")
        else:
            recipes.append(Recipe.parse(entry.recipe))
    if not recipes:
        raise UserError(
            "a learned list of optimizer configurations", f"{path}, without one that can be used",
            "give the list's JSON file",
        )  # fmt: skip
    return Prepared(tuple(recipes))


def _missing(place: Place, needs: Collection[Need]) -> set[Need]:
    """Which files are not there; a refinement rests on advice."""
    wanted: set[Need] = {need for need in needs if need not in _NO_FILES}
    if "refine" in wanted:
        wanted.add("advice")
    return {need for need in wanted if not (place.folder / f"{need}.json").exists()}


def _fit(task: LiveTask, place: Place) -> None:
    """Fit the meta-models that advice on the task needs, where they are not there."""
    paid = tier_within(_BUDGET * task.steps, known_tiers(place.knowledge))
    tiers = sorted({FACTS_ONLY, paid})  # goal fastest goes by facts alone
    if not (place.models / f"meta_model_{tiers[-1]}.json").exists():  # what is written last
        fit_shipped(place.knowledge, place.models, place.seed, tiers=tiers, without=(task.group,))


def _plain_batches(recipe: Recipe, batch_size: int) -> Recipe:
    """The recipe without a batch size that is the task's own: so other contenders' keys match."""
    return recipe.with_(batch_size=None) if recipe.batch_size == batch_size else recipe


def _basis(knowledge: Path, seed: int) -> str:
    """Names all that advice follows from."""
    digest = hashlib.sha256(f"seed {seed}".encode())
    digest.update((knowledge / "manifest.json").read_bytes())
    for path in _code():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _code() -> Iterator[Path]:
    here = Path(__file__).parent
    yield from (here / "prepare.py", here / "lr_finder.py")
    for package in (advisor, probes, knowledge_base):
        assert package.__file__ is not None  # noqa: S101 - all are packages
        room = Path(package.__file__).parent
        for path in sorted(room.rglob("*.py")):
            if path.relative_to(room).parts[0] not in _NOT_ADVICE:
                yield path


def usable_workers(wanted: int | None) -> int:
    """Processes to start: as many as wanted, or one a core."""
    return wanted or os.cpu_count() or 1
