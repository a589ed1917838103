"""The live evaluation: every contender trains on tasks whose data the advice has never seen.

Three steps, each resumed from a folder: advice and probes (``prepare``), the contest (``contest``;
its trainings in a journal of the knowledge base's kind), and the outcomes on a scale that knows all
trainings (``outcomes``). The journal may be merged into a knowledge base afterwards.
"""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from advisor.evaluate.contenders import CONTENDERS, LISTED, Contender, Need, Prepared, Setting
from advisor.evaluate.contest import Contest, Entry
from advisor.evaluate.copied_place import copied_places
from advisor.evaluate.live_tasks import live_tasks
from advisor.evaluate.outcomes import contest_scales, outcomes
from advisor.evaluate.peers import absent, not_installed, transferred
from advisor.evaluate.plays import finished_plays, keep, named
from advisor.evaluate.prepare import (
    Place,
    place_of,
    portfolio,
    prepare,
    prepared,
    published_list,
    usable_workers,
)
from advisor.evaluate.results import LiveResults, LiveTask
from advisor.evaluate.versions import edition, versions
from advisor.evaluate.wall_time import seconds_spent
from knowledge_base.build import Progress, run_source
from knowledge_base.executor import make_executor
from knowledge_base.journal import Journal
from knowledge_base.limits import Limits
from knowledge_base.state import State
from knowledge_base.store import SHIPPED
from knowledge_base.work import built_task
from probes.errors import UserError, unknown_name

Say = Callable[[str], None]
_SECONDS = 300.0
"""Wall time of one training; a hundred times what any should take."""
_TOLD = 100
"""Trainings between two words of progress."""
_PACKAGES = ("optimizer-advisor", "torch", "optuna", "lightgbm")


def run_live(
    store: Path,
    *,
    tasks: Iterable[str] | None = None,
    trials: int = 100,
    studies: int = 2,
    contenders: Iterable[str] | None = None,
    opt_list: Path | None = None,
    seed: int = 0,
    workers: int | None = None,
    report: Say = lambda message: None,
    knowledge: Path | None = None,
    long: bool = False,
) -> LiveResults:
    """Let contenders compete on the live tasks.

    A store that was stopped, or that has seen other contenders, is gone on with: no training is
    done twice.

    Args:
        store: A folder that keeps all that was worked out.
        tasks: Names of live tasks; None for all.
        trials: Trainings of each cold search.
        studies: Repetitions of each cold search on each task.
        contenders: Who takes part; None for all that can, the long ones left out.
        opt_list: The learned list's JSON file; without it ``opt_list`` takes no part.
        seed: Of searches, probes and models.
        workers: Processes; None for one a core.
        report: Told of progress.
        knowledge: Folder of the packed knowledge base; None for the shipped one.
        long: Whether the long contenders take part where none are named; those whose packages
            are absent are left out.

    Raises:
        UserError: An unknown task or contender, a named contender whose packages are absent, a
            learned list that is needed and not given, or a store that another process writes to.
    """
    chosen = live_tasks(tasks)
    players = chosen_contenders(contenders, opt_list, long, report)
    needs = {need for player in players for need in player.needs}
    places = {task.name: place_of(store, task, knowledge, seed) for task in chosen}
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            "a folder to keep the trainings in", f"{store} ({error})", "give another --store"
        ) from None
    of_edition = edition(knowledge or SHIPPED)
    count = usable_workers(workers)
    with Journal(store / "plays.log") as plays:
        prepare([(task, places[task.name]) for task in chosen], needs, count, report)
        listed = published_list(opt_list, report) if opt_list and "opt_list" in needs else None
        entries: list[Entry] = []
        for task in chosen:
            ready = _ready(task, places[task.name], needs, listed, knowledge)
            cross_entropy = built_task(task.name).prepared.objective.cross_entropy
            setting = Setting(task, cross_entropy, trials, seed, ready)
            for player in players:
                repetitions = range(studies if player.repeated else 1)
                entries.extend(player.entry(setting, study) for study in repetitions)
        state = hold_contest(store, entries, plays, count, report)
    found = contest_scales(state, chosen, knowledge)
    by_name = {task.name: task for task in chosen}
    made = outcomes(entries, state, by_name, found)
    copied = copied_places(by_name, knowledge)
    return LiveResults(
        made_by=command(
            trials,
            studies,
            seed,
            tasks=None if tasks is None else [task.name for task in chosen],
            contenders=None if contenders is None else [player.name for player in players],
            long=long,
            listed=opt_list is not None,
        ),
        date=datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        versions=versions((*_PACKAGES, *_peers(players))),
        edition=of_edition,
        seed=seed,
        tasks=tuple(
            task.model_copy(
                update={
                    "noise": round(found[task.name][1].seed_spread, 5),
                    "copied_place": copied.get(task.name),
                }
            )
            for task in chosen
        ),
        outcomes=tuple(made),
    )


def command(
    trials: int,
    studies: int,
    seed: int,
    *,
    tasks: Sequence[str] | None,
    contenders: Sequence[str] | None,
    long: bool,
    listed: bool,
) -> str:
    """The command that gives results: all arguments that they depend on, but no paths.

    Args:
        trials: Of each cold search.
        studies: Of each cold search.
        seed: Of the evaluation.
        tasks: Names of the tasks that were asked for; None where all were.
        contenders: Names of those that were asked for; None where all that can took part.
        long: Whether the long ones took part too where none were named.
        listed: Whether a learned list was given.
    """
    numbers = {"--trials": trials, "--studies": studies, "--seed": seed}
    words = ["advisor", "evaluate", "--live"]
    words += [word for name, number in numbers.items() for word in (name, str(number))]
    words += [] if tasks is None else ["--tasks", ",".join(tasks)]
    words += [] if contenders is None else ["--contenders", ";".join(contenders)]
    words += ["--long"] if long and contenders is None else []
    words += ["--opt-list", "FILE"] if listed else []
    return shlex.join(words)


def chosen_contenders(
    names: Iterable[str] | None,
    opt_list: Path | None,
    long: bool = False,
    report: Say = lambda message: None,
) -> list[Contender]:
    """Rows of the table.

    Args:
        names: Those wanted; None for all that can take part.
        opt_list: The learned list's JSON file.
        long: Whether the long ones take part where none are named.
        report: Told of those that are left out as their packages are absent.

    Raises:
        UserError: An unknown name, one whose packages are absent, or the learned list without its
            file.
    """
    if names is None:
        able = [
            row
            for row in CONTENDERS.values()
            if (long or not row.long) and (opt_list or "opt_list" not in row.needs)
        ]
        for row in able:
            if missing := absent(row.packages):
                report(f"{row.name} is left out: {not_installed(row.name, missing)}")
        return [row for row in able if not absent(row.packages)]
    wanted = list(dict.fromkeys(names))
    needs = {need for name in wanted if name in CONTENDERS for need in CONTENDERS[name].needs}
    if opt_list is not None and "opt_list" not in needs:
        raise UserError(
            "the learned list among the contenders", "its file alone", "name opt_list too"
        )
    for name in wanted:
        if name not in CONTENDERS:
            raise unknown_name("a contender", name, CONTENDERS)
        if "opt_list" in CONTENDERS[name].needs and opt_list is None:
            raise UserError("the learned list's file", "none", "give --opt-list PATH")
        if missing := absent(CONTENDERS[name].packages):
            raise not_installed(name, missing)
    return [CONTENDERS[name] for name in wanted]


def hold_contest(
    store: Path, entries: Sequence[Entry], plays: Journal, workers: int, report: Say
) -> State:
    """Let all entries come to their end; returns what the journal of trainings then holds.

    Searches that came to their end before are read from ``plays``, so that they need not be thought
    through again.
    """
    known = finished_plays(plays)
    for entry in entries:
        entry.standings = known.get(named(entry.place)) if entry.kept else None

    def finished(entry: Entry) -> None:
        if entry.kept:
            keep(plays, entry)

    with Journal(store / "journal.log") as journal:
        state = State.of(journal)
        contest = Contest(entries, state, finished)
        report(f"{len(contest)} trainings at most, {len(state.runs)} done before")
        executor = make_executor("local", workers, Limits(seconds=_SECONDS))
        try:
            progress = Progress(report=_teller(contest, report))
            run_source("live", contest, journal, state, progress, executor)
        finally:
            executor.close()
    return state


def _teller(contest: Contest, report: Say) -> Callable[[Progress], None]:
    def tell(progress: Progress) -> None:
        if progress.done % _TOLD == 0 or not len(contest):
            report(
                f"{progress.done} trainings done, about {len(contest)} to come, "
                f"{progress.refused} refused, {progress.failed} failed"
            )

    return tell


def _ready(
    task: LiveTask, place: Place, needs: set[Need], listed: Prepared | None, knowledge: Path | None
) -> dict[Need, Prepared]:
    """What was chosen before the contest."""
    ready: dict[Need, Prepared] = {}
    for need in needs:
        if need == "portfolio":
            ready[need] = portfolio(task, knowledge)
        elif need == "transfer":
            ready[need] = Prepared(transferred(task, knowledge, LISTED))
        elif need != "opt_list":
            ready[need] = replace(prepared(place, need), seconds=seconds_spent(place, need))
        elif listed is not None:
            ready[need] = listed
    return ready


def _peers(players: Iterable[Contender]) -> list[str]:
    """The libraries whose tuners take part, by the names of their packages."""
    found = (row.packages[0] for row in players if row.packages)
    return [name.replace("_", "-") for name in dict.fromkeys(found)]
