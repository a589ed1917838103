"""What ``recommend`` answers: candidates in their order, what was measured, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, PrivateAttr

from advisor.answer import Answer, Frozen, RankedRecipe, TaskFacts
from advisor.explanation import Explanation
from advisor.tuned import Tuned
from probes.errors import UserError
from probes.recipe.reading import read_mapping
from probes.recipe.schema import Recipe

if TYPE_CHECKING:
    from probes.task import Task


class Expected(Frozen):
    """Predicted normalized regret: 0 the best known, 1 untrained; lower is better.

    Attributes:
        score: The prediction, raised a little for what is known less of this recipe than of others.
        low: Lower end of the 90 % interval.
        high: Upper end.
    """

    score: float
    low: float
    high: float


class Cost(Frozen):
    """What a recipe costs.

    Attributes:
        seconds_per_step: Predicted wall time of a step on this machine: the measured seconds of a
            pass x ``step_ratio``. None if none was timed, as at tier 0 and with goal "fastest".
        passes_per_step: Passes over a batch a step.
        state_bytes: Optimizer state.
        to_target: Predicted share of the budget's passes until the target, with goal "fastest".
        step_ratio: Predicted wall time of a step over that of a step of AdamW at the task's batch
            size, from the knowledge base's runs or the table of prices; None in answers of releases
            that did not tell it.
    """

    seconds_per_step: float | None
    passes_per_step: float
    state_bytes: int
    to_target: float | None = None
    step_ratio: float | None = None


class Candidate(RankedRecipe):
    """One entry of the ranking."""

    expected: Expected
    cost: Cost
    evidence: tuple[str, ...]


class ProbeCost(Frozen):
    """What probing cost: passes, seconds, and the share of one full training."""

    passes: float
    seconds: float
    share: float


class Advice(Answer):
    """The answer of ``recommend``.

    Attributes:
        task: Facts of the task.
        profile: What was measured (values by name, tier, device facts).
        ranking: Candidates, the best first.
        probe: What it cost.
        abstained: Whether the meta-model kept out of it and the portfolio answers.
        reason: Why this answer, in words.
        explanation: What speaks for the first recipe, where ``recommend`` was asked for it.
        goal: "best" result at the end, or "fastest" to the target; ``refine`` follows it too.
        target: Validation loss that was asked for with goal "fastest"; None for what AdamW 1e-3
            cosine reaches.
        max_memory: Bytes that a recipe may take (``advisor.memory.COUNTED``), for ``refine`` too;
            None for no limit.
    """

    profile: dict[str, Any]
    ranking: tuple[Candidate, ...]
    probe: ProbeCost
    abstained: bool
    reason: str
    explanation: Explanation | None = None
    goal: Literal["best", "fastest"] = "best"
    target: float | None = None
    max_memory: int | None = Field(default=None, ge=1)
    _task: Any = PrivateAttr(default=None)
    _models: Path | None = PrivateAttr(default=None)

    def __eq__(self, other: object) -> bool:
        """Whether both are written alike; the live task takes no part."""
        return isinstance(other, Advice) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]  # the profile is a dict

    def __str__(self) -> str:
        """The ranking as a table."""
        from advisor.tables import advice_table

        return advice_table(self)

    @property
    def models(self) -> Path | None:
        """Folder of the meta-models that it rests on; None where it was read from a file."""
        return self._models

    def attach(self, task: Task, models: Path | None = None) -> Self:
        """Remember the live task, so that ``refine`` needs no argument, and the models' folder."""
        self._task, self._models = task, models
        return self

    def explained(self) -> Self:
        """The same with its explanation, which names what speaks for the first recipe.

        Raises:
            UserError: It was read from a file that has none: the models may be others now.
        """
        if self.explanation is not None:
            return self
        if not self.ranking:
            raise UserError("advice with a ranking", "an empty one", "recommend again")
        if self._models is None:
            raise UserError(
                "an advice with its explanation", "one read from a file without it",
                "recommend again with explain=True (advisor recommend --explain --out FILE)",
            )  # fmt: skip
        from advisor.explain import explain
        from advisor.shipped import load_shipped

        loaded = load_shipped(self.profile["tier"], self._models)
        return self.model_copy(update={"explanation": explain(self, loaded.model)})

    def explain(self) -> str:
        """Why the first recipe, in words: what was measured, similar tasks, runner-up and doubt.

        Raises:
            UserError: See ``explained``.
        """
        whole = self.explained()
        assert whole.explanation is not None  # noqa: S101 - explained gives one or raises
        return whole.explanation.in_words(self)

    def refine(
        self,
        trials: int = 25,
        timeout: float | None = None,
        storage: str | Path | None = None,
        *,
        task: Task | None = None,
        seed: int = 0,
        progress: bool = False,
        device: str | None = None,
        min_gain: float | None = None,
        models: str | Path | None = None,
        max_memory: int | str | None = None,
    ) -> Tuned:
        """Search on from the ranking with Optuna; see ``advisor.refine.refine``."""
        from advisor.refine import MIN_GAIN, refine

        live = self._task if task is None else task
        if live is None:
            raise UserError("the task this advice is for", "advice read from a file", "pass task=")
        return refine(
            self, live, trials=trials, timeout=timeout, storage=storage, seed=seed,
            progress=progress, device=device,
            min_gain=MIN_GAIN if min_gain is None else min_gain, models=models,
            max_memory=max_memory,
        )  # fmt: skip


def load_ranked(path: str | Path, rank: int = 1) -> tuple[Recipe, TaskFacts | None]:
    """The recipe of a rank in an advice or tuned file, or the one a recipe file holds.

    Returns:
        The recipe, and the facts of the task where the file has them.

    Raises:
        UserError: No such file or rank, or the file is none of these.
    """
    data = read_mapping(path)
    if "ranking" not in data:
        if rank != 1:
            raise UserError("rank 1 for a file with one recipe", str(rank), "leave --rank out")
        return Recipe.parse(data), None
    kind: type[Advice] | type[Tuned] = Advice if "profile" in data else Tuned
    answer = kind.load(path)
    return answer.ranked(rank), answer.task
