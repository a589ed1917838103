"""Why a recipe, as frozen data and in words; ``advisor.explain`` finds it out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field

from advisor.answer import Frozen
from advisor.wording import amount, columns, duration, goal_in_words

if TYPE_CHECKING:
    from advisor.advice import Advice

CONFIDENCE = 0.9
"""How sure one is to be that the better of two recipes was taken."""
MOST_RUNS = 50
"""Full trainings within which two recipes must be told apart to be worth it."""


class Measured(Frozen):
    """A feature of the task.

    Attributes:
        name: As in ``TASK_UNITS``.
        value: What it is here.
        unit: Its unit.
        typical: Mean over the known tasks.
        deviations: Value less typical in standard deviations of the known tasks, cut at 3.
    """

    name: str
    value: float
    unit: str
    typical: float
    deviations: float


class NearTask(Frozen):
    """A known task that is like this one, with the normalized regrets there, in [0, 1].

    Attributes:
        name: Its name.
        similarity: To this task, in [0, 1].
        regret: Of the recipe (or its nearest relative).
        copied: Of AdamW 1e-3 cosine; None where the known tasks did not run it.
        runner_up: Of the runner-up (or its nearest relative); None without one.
    """

    name: str
    similarity: float
    regret: float
    copied: float | None
    runner_up: float | None


class RunnerUp(Frozen):
    """The best ranked recipe of another optimizer, and what telling it from the first would cost.

    Attributes:
        rank: Its place in the ranking.
        recipe: In words.
        more_regret: Its expected regret less that of the first; below 0 where it should end better.
        more_seconds: Predicted seconds of one full training less those of the first; None where no
            step was timed.
        runs_to_be_sure: Full trainings, half of them each recipe's, after which the better mean is
            the better recipe's with probability CONFIDENCE, if they differ as expected; None where
            that takes over MOST_RUNS.
        passes_to_be_sure: Passes of these; None likewise.
        seconds_to_be_sure: Predicted seconds of these; None likewise or where no step was timed.
        seed_spread: Standard deviation of regret between seeds that this rests on.
    """

    rank: int = Field(ge=2)
    recipe: str
    more_regret: float
    more_seconds: float | None
    runs_to_be_sure: int | None
    passes_to_be_sure: float | None
    seconds_to_be_sure: float | None
    seed_spread: float


class Contributions(Frozen):
    """Exact Shapley values of the whole meta-model over groups of features.

    Attributes:
        base: Regret predicted for AdamW 1e-3 cosine on the mean known task.
        score: Regret predicted for the recipe on this task.
        groups: By group, on the scale log(regret + 0.05); they sum to the difference of the two on
            that scale. Below 0 lowers the regret.
    """

    base: float
    score: float
    groups: dict[str, float]


class Explanation(Frozen):
    """Why the first recipe of a ranking.

    Attributes:
        relative: The nearest recipe that known tasks ran, in words; None where they ran this one.
        measured: Features of the task that set it apart most: what training told, then facts of
            model and data, the most telling first.
        nearest: Known tasks, the most similar first.
        runner_up: The best of another optimizer; None where the ranking has none.
        doubt: Probability that one training with the runner-up ends better; None without one.
        contributions: None where the meta-model abstained: the portfolio knows nothing of features.
    """

    relative: str | None
    measured: tuple[Measured, ...]
    nearest: tuple[NearTask, ...]
    runner_up: RunnerUp | None
    doubt: float | None = Field(ge=0.0, le=1.0)
    contributions: Contributions | None

    def in_words(self, advice: Advice) -> str:
        """The explanation as text.

        Args:
            advice: What is explained.
        """
        first = advice.ranking[0]
        expected = first.expected
        opening = [
            f"Recipe: {first.recipe.describe()}",
            f"  expected regret {expected.score:.3f}, with 90 % confidence {expected.low:.3f} to "
            f"{expected.high:.3f} (0: the best known recipe, 1: untrained)",
            f"  {goal_in_words(advice.goal, advice.target)}",
            f"  {'the meta-model abstains: ' if advice.abstained else ''}{advice.reason}",
        ]
        if first.cost.to_target is not None:
            soon = f"  the target is predicted after {first.cost.to_target:.0%} of the budget"
            if self.runner_up is not None:
                other = advice.ranking[self.runner_up.rank - 1].cost.to_target
                soon += "" if other is None else f", by the runner-up after {other:.0%}"
            opening.append(f"{soon}; what follows goes by the result at the end")
        parts = [opening, self._measured(advice), self._nearest()]
        parts += [self._runner_up(), self._contributions()]
        return "\n\n".join("\n".join(part) for part in parts)

    def _measured(self, advice: Advice) -> list[str]:
        probe = advice.probe
        rows = [["", "HERE", "KNOWN TASKS", "DEVIATIONS", "UNIT"]]
        rows += [
            [one.name, amount(one.value), amount(one.typical), f"{one.deviations:+.1f}", one.unit]
            for one in self.measured
        ]
        return [
            f"What was measured with {amount(probe.passes)} passes ({probe.share:.1%} of one full "
            "training), and facts of model and data: what sets the task apart most",
            columns(rows, "  "),
        ]

    def _nearest(self) -> list[str]:
        rows = [["TASK", "SIMILARITY", "THIS RECIPE", "RUNNER-UP", "ADAMW 1E-3 COSINE"]]
        rows += [
            [one.name, f"{one.similarity:.2f}", *map(_regret, (one.regret, one.runner_up,
                                                              one.copied))]
            for one in self.nearest
        ]  # fmt: skip
        lines = ["The known tasks most like it, and the regrets there", columns(rows, "  ")]
        if self.relative is not None:
            lines.append(
                f"  (no known task ran exactly this recipe: {self.relative} stands for it)"
            )
        return lines

    def _runner_up(self) -> list[str]:
        other = self.runner_up
        if other is None or self.doubt is None:
            return ["Runner-up: none, the ranking has one optimizer alone"]
        worse = f"{abs(other.more_regret):.3f} {'more' if other.more_regret >= 0 else 'less'}"
        lines = [f"Runner-up (rank {other.rank}): {other.recipe}", f"  expected regret {worse}"]
        if other.more_seconds is not None:
            word = "more" if other.more_seconds >= 0 else "less"
            lines[-1] += f"; a full training takes {duration(abs(other.more_seconds))} {word}"
        lines.append(f"  the chance that one training with it ends better is {self.doubt:.0%}")
        if other.runs_to_be_sure is None:
            lines.append(
                f"  to be sure: not within {MOST_RUNS} full trainings, as seeds alone differ by "
                f"{other.seed_spread:.3f}: take either"
            )
            return lines
        cost = f"{amount(other.passes_to_be_sure)} passes"
        if other.seconds_to_be_sure is not None:
            cost += f", about {duration(other.seconds_to_be_sure)}"
        lines.append(
            f"  to be sure ({CONFIDENCE:.0%}): {other.runs_to_be_sure} full trainings, half of "
            f"them each ({cost}), if they differ as expected and seeds by {other.seed_spread:.3f}"
        )
        return lines

    def _contributions(self) -> list[str]:
        found = self.contributions
        if found is None:
            return ["Shapley values: none, as the portfolio answers whatever was measured"]
        order = sorted(found.groups.items(), key=lambda item: -abs(item[1]))
        rows = [["GROUP", "VALUE", "TIMES"]]
        rows += [[name, f"{value:+.3f}", f"{math.exp(value):.2f}"] for name, value in order]
        return [
            f"What moves the prediction from {found.base:.3f} (AdamW 1e-3 cosine on the mean known "
            f"task) to {found.score:.3f}: Shapley values on the scale log(regret + 0.05)",
            columns(rows, "  "),
        ]


def _regret(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
