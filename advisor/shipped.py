"""The meta-models that advice rests on: fitted for every tier, found in a folder, and loaded."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

from advisor import meta_model
from advisor.candidate_pool import fit_pool
from advisor.fitted_file import FOLDER, remedy
from advisor.knowledge import load_knowledge
from advisor.meta_model import MetaModel
from advisor.model_file import MODEL, has_model, read_model, write_model
from advisor.times import fit_times
from knowledge_base.store import SHIPPED, load_profiles, load_recipes, load_runs
from knowledge_base.tasks import task_rows
from probes.errors import UserError, unknown_name
from probes.measures.base import TIERS
from probes.profile import FACTS_ONLY, Profile
from probes.recipe.method import Kind
from probes.recipe.prices import model_like, relative_seconds, shipped_prices
from probes.recipe.schema import Recipe
from probes.task import Prepared

_WELL_KNOWN = 0.9
"""Share of tasks that must have a profile of a tier for advice to rest on that tier."""
ENOUGH_RUNS = 30
"""Runs of an optimizer from which its times in the knowledge base are preferred to the prices."""


@dataclass(frozen=True)
class Loaded:
    """A meta-model with what is known beside it.

    Attributes:
        model: The meta-model.
        relative_seconds: Wall time of a step over AdamW's, by optimizer, median over tasks; of
            the optimizers that have enough runs in the knowledge base.
        log_ranges: Natural log of untrained over best loss, by task, as regrets are measured.
        folder: Where the model was read from.
    """

    model: MetaModel
    relative_seconds: dict[str, float]
    log_ranges: dict[str, float]
    folder: Path = FOLDER

    def step_ratio(self, recipe: Recipe, prepared: Prepared, profile: Profile) -> float:
        """Predicted wall time of the recipe's step over that of one pass by AdamW.

        The parts of a recipe multiply: the optimizer, and normalization, clipping and averaging
        where the recipe has them. The knowledge base knows optimizers on the CPU; what it does not
        know comes from the prices of the measured model that is most like the profile's.
        """
        device, model = profile.device, model_like(profile.values)
        known = self.relative_seconds.get(recipe.optimizer.name)
        if known is None or (device != "cpu" and shipped_prices().section(device) is not None):
            known = relative_seconds(recipe.optimizer.name, device, model)
        for kind, name in _parts(recipe):
            known *= relative_seconds(name, device, model, kind)
        return known * (recipe.batch_size or prepared.batch_size) / prepared.batch_size

    def step_times(self, device: str) -> dict[str, Any]:
        """All times that ``step_ratio`` rests on, as JSON data: with others its ratios differ.

        Args:
            device: "cpu", "cuda:0", ...; its number makes no difference.
        """
        priced = shipped_prices().section(device)
        return {
            "device": device.partition(":")[0],
            "known": self.relative_seconds,
            "priced": None if priced is None else priced.model_dump(mode="json"),
        }


def _parts(recipe: Recipe) -> list[tuple[Kind, str]]:
    """What a recipe adds to an optimizer's step."""
    extras = [choice.name for choice in (recipe.clip, recipe.averaging) if choice is not None]
    norm = [recipe.normalization.name] if recipe.normalization.name != "keep" else []
    return [*(("normalization", name) for name in norm), *(("extra", name) for name in extras)]


def fit_shipped(
    knowledge: Path | None = None,
    folder: Path | None = None,
    seed: int = 0,
    report: Callable[[str], None] = lambda message: None,
    *,
    tiers: Sequence[int] | None = None,
    without: Collection[str] = (),
) -> dict[str, Any]:
    """Fit a meta-model for every tier and write them.

    Each tier starts from the Gaussian's hyperparameters of the one before and chooses LightGBM's
    share for itself: at tier 0 all that is measured is missing, so its share says little of others.

    Args:
        knowledge: Folder of the packed knowledge base; None for the shipped one.
        folder: Where the models go; None for the package.
        seed: Of LightGBM's draws.
        report: Told of progress.
        tiers: Which tiers to fit; None for facts alone and every well known tier.
        without: Groups of data sets to leave out, for a fair trial on one of them.

    Returns:
        Facts of each tier's model.
    """
    source, target = knowledge or SHIPPED, folder or FOLDER
    target.mkdir(parents=True, exist_ok=True)
    seconds = _relative_seconds(source)
    summary: dict[str, Any] = {}
    start = None
    for place, tier in enumerate(known_tiers(source) if tiers is None else tiers):
        known = load_knowledge(tier, source)
        if place == 0 and known.unprofiled:
            report(f"left out for want of a profile: {', '.join(known.unprofiled)}")
        for group in without:
            if group not in {row.group for row in known.rows}:
                raise unknown_name("a group of data sets", group, {r.group for r in known.rows})
        known = known.part([i for i, row in enumerate(known.rows) if row.group not in without])
        model = meta_model.fit(known, seed, 40 if start is None else 10, start)
        if tier == FACTS_ONLY:
            fit_times(known, source, target)
        if place == 0:
            fit_pool(known, target)
        start = model.gaussian.parameters
        ranges = {
            row.name: scale.log_range
            for row, (scale, _) in zip(known.rows, known.scales, strict=True)
        }
        write_model(model, seconds, ranges, target)
        summary[str(tier)] = {
            "tasks": len(model.names), "recipes": len(model.recipes),
            "lightgbm_weight": model.weight,
            "interval": [model.low, model.high],
        }  # fmt: skip
        report(f"tier {tier}: {len(model.names)} tasks, LightGBM's share {model.weight:.2f}")
    load_shipped.cache_clear()
    return summary


def models_folder(models: str | Path | None) -> Path:
    """The folder of fitted models that a user named; None for the package's.

    Raises:
        UserError: It is no path.
    """
    if models is None:
        return FOLDER
    if not isinstance(models, (str, Path)) or models == "":
        raise UserError("models as the path of a folder", repr(models), "change models")
    return Path(models)


def known_tiers(knowledge: Path = SHIPPED) -> tuple[int, ...]:
    """0 for facts alone, and the tiers of which nearly every task has a profile."""
    tasks: dict[int, set[str]] = defaultdict(set)
    ordinary = task_rows()
    for record in load_profiles(knowledge):
        if record["task"] in ordinary:  # not a larger form of a known task
            tasks[record["tier"]].add(record["task"])
    most = max((len(found) for found in tasks.values()), default=0)
    well = [tier for tier in TIERS if len(tasks[tier]) >= _WELL_KNOWN * most > 0]
    return (FACTS_ONLY, *well)


def fitted_tiers(folder: Path = FOLDER) -> tuple[int, ...]:
    """The tiers for which a folder holds a meta-model, ascending.

    Raises:
        UserError: It holds none.
    """
    found = _tiers_in(folder)
    if not found:
        raise UserError(MODEL, f"none in {folder}", remedy(folder))
    return found


def lacking_tiers(folder: Path) -> tuple[int, ...]:
    """The tiers for which the package holds a meta-model and a folder does not, ascending."""
    return tuple(tier for tier in _tiers_in(FOLDER) if tier not in _tiers_in(folder))


def _tiers_in(folder: Path) -> tuple[int, ...]:
    every = (FACTS_ONLY, *TIERS)
    return tuple(tier for tier in every if has_model(tier, folder))


def tier_within(passes: float, tiers: Iterable[int]) -> int:
    """The largest of these tiers that a number of passes pays for; 0 where it pays for none."""
    return max((tier for tier in tiers if tier <= passes), default=FACTS_ONLY)


@lru_cache(maxsize=8)
def load_shipped(tier: int, folder: Path = FOLDER) -> Loaded:
    """Read the meta-model of a tier.

    Raises:
        UserError: It is not there, is damaged, or was written for other features.
    """
    model, document = read_model(tier, folder)
    return Loaded(model, document.relative_seconds, document.log_ranges, folder)


def _relative_seconds(folder: Path) -> dict[str, float]:
    """Seconds a step by optimizer over AdamW's, median over tasks, of those with enough runs."""
    columns = load_runs(folder, ("task", "recipe", "seconds_per_step"))
    recipes = {key: Recipe.parse(plain) for key, plain in load_recipes(folder).items()}
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    ordinary = task_rows()
    for task, key, seconds in zip(*columns.values(), strict=True):
        recipe = recipes[key]
        # a run in a stack has no time of its own, and a larger form of a task is none of its own
        alone = task in ordinary and float(seconds) == float(seconds)
        if alone and recipe.batch_size is None and recipe.normalization.name == "keep":
            times[task][recipe.optimizer.name].append(float(seconds))
    ratios: dict[str, list[float]] = defaultdict(list)
    runs: Counter[str] = Counter()
    for by_optimizer in times.values():
        base = median(by_optimizer["adamw"]) if "adamw" in by_optimizer else None
        for name, found in by_optimizer.items():
            if base:
                ratios[name].append(median(found) / base)
                runs[name] += len(found)
    return {
        name: round(median(found), 4)
        for name, found in sorted(ratios.items())
        if runs[name] >= ENOUGH_RUNS
    }
