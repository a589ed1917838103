"""A contest: contenders ask for trainings one after the other, those of all are done in parallel.

What a contender does on a task is a generator (a *play*) that asks for a training, is sent what
came of it, and returns where it stood after each. The contest is a source of work for the builder's
workers, so a finished training is never lost and never done twice, whoever asks for it.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from advisor.evaluate.results import FRESH_SEEDS, SEARCH_SEED
from knowledge_base.stages import Source
from knowledge_base.state import State
from knowledge_base.work import Item
from probes.recipe.schema import Recipe


@dataclass(frozen=True)
class Ask:
    """A training that is wanted."""

    recipe: Recipe
    seed: int = SEARCH_SEED


@dataclass(frozen=True)
class Trained:
    """What came of a training.

    Attributes:
        recipe: What was trained.
        loss: Validation loss at the end; infinite where it diverged or could not be done.
        passes: What it cost, in batches; 0 where the recipe was refused before the first step.
        record: The journal's record, None where there is none.
        seconds: Wall time of its steps; NaN where it is not known.
    """

    recipe: Recipe
    loss: float
    passes: float
    record: Mapping[str, Any] | None
    seconds: float = math.nan


@dataclass(frozen=True)
class Standing:
    """Where a contender stands after some trainings.

    Attributes:
        runs: Trainings it chose by.
        passes: What it spent up to there over the task's budget, probes included.
        recipe: What it then recommends.
        seconds: Wall time spent up to there, of probes and of the steps of its trainings; NaN
            where one of them is not known.
    """

    runs: int
    passes: float
    recipe: Recipe
    seconds: float = math.nan


Play = Generator[Ask, Trained, list[Standing]]


@dataclass
class Entry:
    """One contender on one task, once.

    Attributes:
        task: The task's name.
        contender: The contender's name.
        study: Which of its repetitions.
        steps: The task's budget in batches.
        start: Begins the play.
        size: Trainings it asks for at most, roughly; for telling progress.
        basis: All that decides the play, in words: a finished one is taken over only where this
            is the same.
        probed: Share of the task's budget that it spent before its first training.
        probed_seconds: Wall time of that; NaN where it is not known.
        resampled: Whether its standings are single draws, of which every number is resampled; such
            recipes are not trained on fresh seeds.
        kept: Whether its play takes so long to think through that where it stood is kept; another
            is played anew, from trainings that are known.
        standings: What came of it; None while it runs.
    """

    task: str
    contender: str
    study: int
    steps: int
    start: Callable[[], Play] = field(repr=False)
    size: int = 1
    basis: str = ""
    probed: float = 0.0
    probed_seconds: float = 0.0
    resampled: bool = False
    kept: bool = False
    standings: list[Standing] | None = None

    @property
    def place(self) -> list[Any]:
        """What names it, and what it rests on."""
        return [self.task, self.contender, self.study, self.basis]


class Tracker:
    """Keeps a contender's best training so far, and with it where it stands.

    Args:
        steps: The task's budget in batches.
        charged: Passes spent before the first training.
        seconds: Wall time of these; NaN where it is not known.
    """

    def __init__(self, steps: int, charged: float = 0.0, seconds: float = 0.0) -> None:
        self.standings: list[Standing] = []
        self.passes = charged
        self.seconds = seconds
        self._steps = steps
        self._best: Trained | None = None

    def add(self, trained: Trained) -> None:
        """Take in one more training; the first of equals stays the best."""
        self.passes += trained.passes
        self.seconds += trained.seconds
        if self._best is None or trained.loss < self._best.loss:
            self._best = trained
        runs, spent = len(self.standings) + 1, self.passes / self._steps
        self.standings.append(Standing(runs, spent, self._best.recipe, self.seconds))


class Contest(Source):
    """Gives the trainings that plays ask for; tells each play what came of its own.

    Args:
        entries: Who takes part; those with standings are done.
        state: What the journal holds; kept up to date by whoever runs the contest.
        finished: Told of an entry whose play has come to its end.

    Work of earlier entries comes first, so that trainings of one task come together.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        state: State,
        finished: Callable[[Entry], None] = lambda entry: None,
    ) -> None:
        super().__init__([])
        self._entries = entries
        self._state = state
        self._finished = finished
        self._plays: dict[int, Play] = {}
        self._asked = [0] * len(entries)
        self._waiting: dict[tuple[str, str, int], list[tuple[int, Ask]]] = defaultdict(list)
        self._heap: list[tuple[int, int, Item]] = []
        for index, entry in enumerate(entries):
            if entry.standings is None:
                self._plays[index] = _with_fresh_seeds(entry)
                self._advance(index, None)

    def __len__(self) -> int:
        """How many trainings are still to come, roughly; 0 exactly when all plays are over."""
        return sum(max(1, self._entries[i].size - self._asked[i]) for i in self._plays)

    def take(self) -> Item | None:
        """The next training that is wanted and not under way."""
        return heapq.heappop(self._heap)[2] if self._heap else None

    def told(self, item: Item, kind: str, record: dict[str, Any]) -> None:
        """A training came back: every play that waits for it goes on."""
        key = Recipe.model_validate_json(item.recipe).key
        for index, ask in self._waiting.pop((item.task, key, item.seed), ()):
            self._advance(index, known_training(self._state, item.task, ask))

    def _advance(self, index: int, answer: Trained | None) -> None:
        """Let a play go on until it asks for what is not known yet, or ends."""
        entry, play = self._entries[index], self._plays[index]
        while True:
            try:
                ask = next(play) if answer is None else play.send(answer)
            except StopIteration as end:
                entry.standings = end.value
                del self._plays[index]
                self._finished(entry)
                return
            self._asked[index] += 1
            answer = known_training(self._state, entry.task, ask)
            if answer is None:
                self._want(index, entry, ask)
                return

    def _want(self, index: int, entry: Entry, ask: Ask) -> None:
        place = entry.task, ask.recipe.key, ask.seed
        if place not in self._waiting:
            item = Item(
                entry.task, ask.recipe.model_dump_json(by_alias=True), ask.seed,
                "searched" if ask.seed == SEARCH_SEED else "repeat",
            )  # fmt: skip
            heapq.heappush(self._heap, (index, self._asked[index], item))
        self._waiting[place].append((index, ask))


def known_training(state: State, task: str, ask: Ask) -> Trained | None:
    """What a journal knows of a training; None where it was not tried."""
    key = ask.recipe.key
    record = state.runs.get((task, key, ask.seed))
    if record is not None:
        final = float(record["final"])
        loss = final if math.isfinite(final) and not record["diverged"] else math.inf
        seconds = float(record["steps"] * record["seconds_per_step"])
        return Trained(ask.recipe, loss, float(record["passes"]), record, seconds)
    if state.has(task, key, ask.seed):
        # a recipe is refused before its first step; when a crash came is not known
        seconds = 0.0 if (task, key) in state.refused else math.nan
        return Trained(ask.recipe, math.inf, 0.0, None, seconds)
    return None


def _with_fresh_seeds(entry: Entry) -> Play:
    """The play, and then every recipe it ever stood for on seeds that it did not choose by."""
    standings = yield from entry.start()
    if not entry.resampled:
        recipes: Iterable[Recipe] = {at.recipe.key: at.recipe for at in standings}.values()
        for recipe in recipes:
            for seed in FRESH_SEEDS:
                yield Ask(recipe, seed)
    return standings
