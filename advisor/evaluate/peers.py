"""Tuners of other libraries as contenders: Syne Tune's and FLAML's, asked and told.

Neither library is needed by anything else here. They come with the extra ``peers`` and are imported
only where a contender takes part that has them in its ``packages``. Both search the space that
Optuna searches, with the same ranges, and are told the same objective.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from advisor.evaluate.contest import Ask, Play, Tracker
from advisor.evaluate.results import LiveTask
from advisor.evaluate.searches import objective
from advisor.features import Matrix
from advisor.knowledge import load_knowledge
from knowledge_base.store import SHIPPED
from probes.errors import UserError
from probes.recipe.schema import Recipe
from probes.recipe.space import CLIP, NO_CLIP, Space, distributions_of, recipe_from

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

PeerSearch = Callable[[Space, int, int, int], Play]
"""Begins a search of a space: told the budget of a training, how many trainings, and a seed."""
SYNE_TUNE = ("syne_tune", "huggingface_hub")
"""What Syne Tune's part here imports; the second it needs, and does not install of itself."""
FLAML = ("flaml",)
_LOSS = "loss"
_TRIES = 100
"""Suggestions in a row that may come to nothing before a search is over, as in FLAML's own loop."""


def absent(packages: Iterable[str]) -> tuple[str, ...]:
    """Those of the packages that are not installed."""
    return tuple(name for name in packages if find_spec(name) is None)


def not_installed(what: str, packages: Iterable[str]) -> UserError:
    """The error for a contender whose packages are absent."""
    return UserError(
        f"the packages that {what} needs", f"no {' and no '.join(packages)}",
        "pip install 'optimizer-advisor[peers]'",
    )  # fmt: skip


def conformal(space: Space, steps: int, trials: int, seed: int) -> Play:
    """Syne Tune's CQR: conformalized quantile regression (Salinas et al., ICML 2023).

    Its space is flat: a recipe's parameters are those of every optimizer, of which only those of
    the picked one have a say.

    Args:
        space: What is searched.
        steps: The task's budget in batches.
        trials: How many trainings.
        seed: Of the tuner.
    """
    schedulers = "syne_tune.optimizer.schedulers"
    domains = import_module("syne_tune.config_space")
    varied, fixed = _split(distributions_of(space))
    flat = {name: _domain(domains, distribution) for name, distribution in varied.items()}
    scheduler = import_module("syne_tune.optimizer.baselines").CQR(flat, _LOSS, random_seed=seed)
    tuner = import_module(f"{schedulers}.ask_tell_scheduler").AskTellScheduler(scheduler)
    tracker = Tracker(steps)
    for number in range(trials):
        with _numpy_seeded(seed + number):
            trial = tuner.ask()
        trained = yield Ask(recipe_from({**fixed, **trial.config}, space))
        tracker.add(trained)
        tuner.tell(trial, {_LOSS: objective(trained)})
    return tracker.standings


def blend_search(space: Space, steps: int, trials: int, seed: int) -> Play:
    """FLAML's tuner, BlendSearch (Wang et al., ICLR 2021), which blends local search with TPE.

    Its space is a tree: the parameters of an optimizer, and those of clipping, are there only
    where they apply. All trainings cost the same, so it is told of no cost; it is told of no end
    either, so where it stands after n trainings does not depend on how many follow.

    Args:
        space: What is searched.
        steps: The task's budget in batches.
        trials: How many trainings; fewer where the space holds no more recipes.
        seed: Of the tuner.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tree, fixed = _tree(space, import_module("flaml.tune"))
    logging.getLogger("flaml").setLevel(logging.WARNING)  # it advises where no advice applies
    tuner = import_module("flaml.tune.searcher").BlendSearch(
        metric=_LOSS,
        mode="min",
        space=tree,
        seed=seed % 2**31,  # it counts on from there
    )
    tracker = Tracker(steps)
    for number in range(trials):
        suggestions = ((name, tuner.suggest(name)) for name in _names(number))
        found = next((one for one in suggestions if one[1] is not None), None)
        if found is None:
            break
        name, suggested = found
        trained = yield Ask(recipe_from({**fixed, **_flattened(suggested)}, space))
        tracker.add(trained)
        tuner.on_trial_complete(name, {_LOSS: objective(trained), "config": suggested})
    return tracker.standings


def transferred(task: LiveTask, knowledge: Path | None, size: int) -> tuple[Recipe, ...]:
    """What Syne Tune's zero-shot transfer would try on a task, in its order.

    The other tasks' evaluations that it learns from are those that the portfolio learns from: the
    reference recipes' runs on the tasks of other leak groups. As it looks at no result on the task
    itself, its order is known before the first training.

    Args:
        task: The task.
        knowledge: Folder of the packed knowledge base; None for the shipped one.
        size: Recipes wanted.
    """
    known = load_knowledge(0, knowledge or SHIPPED)
    others = known.part([i for i, row in enumerate(known.rows) if row.group != task.group])
    return tuple(known.recipes[i] for i in transfer_order(others.filled().learned, size))


def transfer_order(regrets: Matrix, size: int) -> list[int]:
    """Columns in the order of Syne Tune's ZeroShotTransfer (Wistuba et al., ICDM 2015).

    The method ranks configurations within each task and looks at nothing else of them, so here a
    configuration is a column's number. In Syne Tune 0.16 ``get_config`` is the method; ``suggest``
    comes from a base class that does not know of it and draws at random.

    Args:
        regrets: (T, R) losses on any scale per task, all finite.
        size: Columns wanted; at most R.
    """
    frame = import_module("pandas").DataFrame
    # it warns at every call that all tasks must have all configurations, which these have
    logging.getLogger("syne_tune").setLevel(logging.ERROR)
    transfer = "syne_tune.optimizer.schedulers.transfer_learning"
    evaluations = import_module(f"{transfer}.transfer_learning_task_evaluation")
    columns = list(range(regrets.shape[1]))
    space = {"column": import_module("syne_tune.config_space").choice(columns)}
    tasks = {
        str(task): evaluations.TransferLearningTaskEvaluations(
            space, frame({"column": columns}), [_LOSS], losses[:, None, None, None]
        )
        for task, losses in enumerate(regrets)
    }
    tuner = import_module(f"{transfer}.zero_shot").ZeroShotTransfer(
        space, _LOSS, tasks, random_seed=0
    )
    return [int(tuner.get_config()["column"]) for _ in columns[:size]]


def _split(
    known: Mapping[str, BaseDistribution],
) -> tuple[dict[str, BaseDistribution], dict[str, Any]]:
    """Parameters that vary, and the values of those that cannot."""
    varied = {name: one for name, one in known.items() if not one.single()}
    fixed = {name: _only(one) for name, one in known.items() if one.single()}
    return varied, fixed


def _only(distribution: BaseDistribution) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    if isinstance(distribution, FloatDistribution):
        return distribution.low
    raise TypeError(f"no way to say {distribution} to a peer")


def _domain(domains: Any, distribution: BaseDistribution) -> Any:
    """A distribution as a library says it; both call theirs by the same names."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(distribution, CategoricalDistribution):
        return domains.choice(list(distribution.choices))
    if isinstance(distribution, FloatDistribution):
        kind = domains.loguniform if distribution.log else domains.uniform
        return kind(distribution.low, distribution.high)
    raise TypeError(f"no way to say {distribution} to a peer")


def _tree(space: Space, domains: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The space with a branch for each optimizer, and for clipping; and what is fixed."""
    varied, fixed = _split(distributions_of(space))
    said = {name: _domain(domains, distribution) for name, distribution in varied.items()}

    def branch(parent: str, choice: str, owner: str) -> dict[str, Any]:
        own = {name: said.pop(name) for name in list(said) if name.startswith(f"{owner}.")}
        return {parent: choice, **own}

    parts = {"optimizer": [branch("optimizer", name, name) for name in space.optimizers]}
    if space.clip:
        parts["clip"] = [{"clip": NO_CLIP}, branch("clip", CLIP, "clip")]
    return {**said, **{name: domains.choice(choices) for name, choices in parts.items()}}, fixed


def _flattened(suggested: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in suggested.items():
        flat |= value if isinstance(value, Mapping) else {name: value}
    return flat


def _names(number: int) -> Iterator[str]:
    return (f"{number}.{again}" for again in range(_TRIES))


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """NumPy's global generator at a seed, and after that where it was: CQR draws from it."""
    before = np.random.get_state()
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        np.random.set_state(before)
