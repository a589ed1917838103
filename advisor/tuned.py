"""What ``refine`` answers: the finalists of a search, the best first, and what it cost."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from advisor.answer import Answer, RankedRecipe


class Finalist(RankedRecipe):
    """A recipe that was rerun on fresh seeds.

    Attributes:
        recipe: The recipe.
        validation: Final validation loss per fresh seed; with goal "fastest" a run ends at the
            target.
        median: Their median, of an even number the higher of the two in the middle.
        origin: Where it came from ("ranking 1", "trial 17").
        to_target: With goal "fastest", the share of the budget's passes until the target per fresh
            seed, None where it was missed; else None.
        time: With goal "fastest", the median time to the target in full trainings by AdamW, as
            steps are predicted to take; None where that run missed it.
    """

    validation: tuple[float, ...]
    median: float
    origin: str
    to_target: tuple[float | None, ...] | None = None
    time: float | None = None


class Tuned(Answer):
    """The answer of ``refine``.

    Attributes:
        task: Facts of the task.
        ranking: Finalists, by goal: the best median first, or the least time.
        trials: Trials run in all (resumed ones included).
        pruned: How many of them were pruned.
        passes: Passes spent by this call.
        seconds: Wall time of this call.
        expected_gain: Share by which one more trial is expected to lower the best loss of the
            search (with goal "fastest" its shortest time); None where too few trials have finished
            to tell.
        stopped: Why the search ended before all its trials, in words; empty where it did not.
        goal: What was gone by, that of the advice: "best" or "fastest".
        target: With goal "fastest" the validation loss to reach.
        target_origin: Where the target comes from, in words; empty without one.
        max_memory: Bytes that no recipe was to exceed, see ``Advice``; None for no limit.
    """

    ranking: tuple[Finalist, ...]
    trials: int
    pruned: int
    passes: float
    seconds: float
    expected_gain: float | None = None
    stopped: str = ""
    goal: Literal["best", "fastest"] = "best"
    target: float | None = None
    target_origin: str = ""
    max_memory: int | None = Field(default=None, ge=1)

    def __str__(self) -> str:
        """The finalists as a table."""
        from advisor.tables import tuned_table

        return tuned_table(self)
