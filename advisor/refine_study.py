"""The Optuna study of a refinement: where it is kept, what it is called, how it is resumed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import threading
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.fitted_file import FOLDER
from advisor.pruning import make_pruner
from advisor.shipped import load_shipped
from probes.errors import UserError, shown
from probes.profile import FACTS_ONLY
from probes.recipe.schema import Recipe
from probes.sandbox import sandbox
from probes.task import Task

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial, Trial

    from advisor.answer import TaskFacts
    from advisor.curves import Allowance
    from advisor.goal import Goal
    from advisor.refine_space import Neighbourhood

SPACE_VERSION = 1
"""Part of a study's name: studies of another space are not resumed."""
HOST = socket.gethostname()
OWNER = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
"""This process, also apart from an earlier one that had the same id (containers reuse them)."""
CLAIM_SECONDS = 1.0
"""How long a process may take from taking a trial to claiming it."""
_CLAIM = "claim-"
_URL = re.compile(r"[a-z][a-z0-9+_]*://", re.IGNORECASE)
_DATABASES = (".db", ".sqlite", ".sqlite3")
_STARTUP_TRIALS = 8


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna's own log lines kept back, its verbosity restored on the way out."""
    from optuna import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def study_name(
    task: Task, facts: TaskFacts, goal: Goal | None = None, *, device: str = "cpu",
    models: Path = FOLDER, max_memory: int | None = None,
) -> str:  # fmt: skip
    """The task's name and a fingerprint of what makes its losses comparable.

    That is the data's size, loss, batch size, budget, and the shapes of the model's parameters;
    not the device, nor what the probes measured. Times to a target are compared with those to the
    same target alone, and by the same predicted times of steps, which rest on device and models. A
    search with a limit of memory goes on from those with the same limit alone: the best of others
    may exceed it.

    Args:
        task: The task.
        facts: Its facts, as the advice has them.
        goal: What the values are; None for goal "best".
        device: Where it is trained.
        models: Folder of the meta-models.
        max_memory: Bytes that no recipe may exceed; None for no limit.
    """
    prepared = task.prepared
    with sandbox(task.train, task.validation, task.test):
        state = task.make_model().state_dict()
    known: dict[str, Any] = {
        "space": SPACE_VERSION,
        "samples": facts.train_samples,
        "loss": prepared.objective.loss_name,
        "batch_size": prepared.batch_size,
        "steps": prepared.steps,
        "model": {name: str(getattr(value, "shape", None)) for name, value in state.items()},
    }
    if goal is not None and goal.name != "best":
        known["goal"] = [goal.name, goal.target]
        known["step_times"] = load_shipped(FACTS_ONLY, models).step_times(device)
    if max_memory is not None:
        known["max_memory"] = max_memory
    text = json.dumps(known, sort_keys=True)
    return f"{task.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def open_study(
    storage: str | Path | None, name: str, seed: int, allowance: Allowance | None = None
) -> Study:
    """The study of that name, made if it is not there yet.

    Args:
        storage: A database URL as Optuna takes it ("sqlite:///trials.db", "postgresql://..."), a
            path to a journal file, or None to keep the study in memory.
        name: Name of the study.
        seed: Seeds the sampler; a study that goes on samples on, it does not repeat itself.
        allowance: How far behind the best a trial may lie; None for the shipped one.

    Raises:
        UserError: The storage is neither of these, or cannot be opened.
    """
    if storage is not None and not isinstance(storage, (str, Path)):
        raise UserError(
            "a storage as a database URL or the path of a journal file, or None", shown(storage),
            "change storage",
        )  # fmt: skip
    import optuna
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        try:
            study = _make(storage, name, allowance)
        except DBAPIError as error:
            if not re.search("already exists|unique", str(error), re.IGNORECASE):
                raise
            time.sleep(CLAIM_SECONDS)  # another process is making the same tables
            study = _make(storage, name, allowance)
        seen = len(study.get_trials(deepcopy=False))
    except (SQLAlchemyError, optuna.exceptions.OptunaError, ImportError, OSError, ValueError,
            KeyError, TypeError) as error:  # fmt: skip
        reason = str(error.__cause__ or error).strip() or type(error).__name__
        raise UserError(
            "a storage that Optuna can open", f"{_hidden(str(storage))} ({_first_line(reason)})",
            'use "sqlite:///trials.db", another database URL, or a path to a journal file',
        ) from error  # fmt: skip
    with warnings.catch_warnings():
        # `group` has been called experimental since Optuna 2.8; the user did not ask for it
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=_STARTUP_TRIALS, multivariate=True, group=True, constant_liar=True,
            seed=(seed + 7919 * seen) % 2**32,
        )  # fmt: skip
    return study


def _make(storage: str | Path | None, name: str, allowance: Allowance | None) -> Study:
    import optuna

    return optuna.create_study(
        storage=_open_storage(storage), study_name=name, direction="minimize",
        load_if_exists=True, pruner=make_pruner(allowance),
    )  # fmt: skip


def _open_storage(storage: str | Path | None) -> str | BaseStorage | None:
    if storage is None:
        return None
    text = str(storage)
    if not text.strip():
        raise ValueError("it is empty")
    if _URL.match(text):
        return text
    if Path(text).suffix in _DATABASES:
        return f"sqlite:///{text}"
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(text))


def _hidden(storage: str) -> str:
    """The storage without the password a URL may hold."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", storage)


def _first_line(text: str) -> str:
    return text.splitlines()[0][:200]


def of_states(study: Study, *names: str) -> list[FrozenTrial]:
    """The study's trials whose state has one of these names ("COMPLETE", "RUNNING", ...)."""
    from optuna.trial import TrialState

    return list(study.get_trials(deepcopy=False, states=tuple(TrialState[name] for name in names)))


def claim(study: Study, trial: Trial) -> bool:
    """Mark a trial as run by this thread of this process.

    Returns:
        False where another process took the same trial at the same moment, which a queue in an
        SQLite file does not prevent: leave it to them then.
    """
    mine = f"{_CLAIM}{OWNER}-{threading.get_ident()}"
    trial.set_user_attr(mine, HOST)
    stored = study.get_trials(deepcopy=False)[trial.number]  # the trial at hand is a copy
    return _claims(stored.user_attrs).keys() == {mine}


def _claims(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: host for name, host in attributes.items() if name.startswith(_CLAIM)}


def fail_stale(study: Study) -> None:
    """Fail what a killed process left running, and queue it once more.

    A trial is left alone when its process lives on this machine, or when it runs on another one.
    What was killed twice is not tried again: it may have been the trial that killed its process.
    """
    from optuna.trial import TrialState

    running = of_states(study, "RUNNING")
    if any(not _claims(trial.user_attrs) for trial in running):
        time.sleep(CLAIM_SECONDS)  # another process may be between taking a trial and claiming it
        running = of_states(study, "RUNNING")
    for trial in running:
        if any(_alive(name, host) for name, host in _claims(trial.user_attrs).items()):
            continue
        study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        if "retry_of" not in trial.user_attrs:
            kept = {
                name: value
                for name, value in trial.user_attrs.items()
                if name in ("exact", "rank", "recipe")
            }
            study.enqueue_trial(trial.params, user_attrs={**kept, "retry_of": trial.number})


def _alive(name: str, host: str) -> bool:
    """Whether the process that made a claim may still live."""
    owner = name.removeprefix(_CLAIM)
    if owner.startswith(OWNER) or host != HOST:
        return True
    process = int(owner.split("-")[0])
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def enqueue_ranking(study: Study, space: Neighbourhood, recipes: Sequence[Recipe]) -> None:
    """Queue the ranking's recipes that the study has not tried, best first.

    A trial carries its recipe in full ("exact"), since the space holds only the nearest to it.
    Those that a deadline or an interrupt cut short are queued again.
    """
    tried = {
        trial.user_attrs["recipe"]["key"]
        for trial in study.get_trials(deepcopy=False)
        if "recipe" in trial.user_attrs and not trial.user_attrs.get("cut", False)
    }
    for rank, recipe in enumerate(recipes, start=1):
        if recipe.key not in tried:
            tried.add(recipe.key)
            study.enqueue_trial(
                space.nearest(recipe) or {},
                user_attrs={"exact": True, "rank": rank, "recipe": named(recipe)},
            )


def named(recipe: Recipe) -> dict[str, Any]:
    """A recipe as a trial keeps it: in full, and its key."""
    return {"key": recipe.key, "plain": recipe.plain()}
