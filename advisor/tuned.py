"""What ``refine`` answers: the finalists of a search, the best first, and what it cost."""

from __future__ import annotations

from advisor.answer import Answer, RankedRecipe


class Finalist(RankedRecipe):
    """A recipe that was rerun on fresh seeds.

    Attributes:
        recipe: The recipe.
        validation: Final validation loss per fresh seed.
        median: Their median.
        origin: Where it came from ("ranking 1", "trial 17").
    """

    validation: tuple[float, ...]
    median: float
    origin: str


class Tuned(Answer):
    """The answer of ``refine``.

    Attributes:
        task: Facts of the task.
        ranking: Finalists, the best median first.
        trials: Trials run in all (resumed ones included).
        pruned: How many of them were pruned.
        passes: Passes spent by this call.
        seconds: Wall time of this call.
        expected_gain: Share by which one more trial is expected to lower the best loss of the
            search; None where too few trials have finished to tell.
        stopped: Why the search ended before all its trials, in words; empty where it did not.
    """

    ranking: tuple[Finalist, ...]
    trials: int
    pruned: int
    passes: float
    seconds: float
    expected_gain: float | None = None
    stopped: str = ""

    def __str__(self) -> str:
        """The finalists as a table."""
        from advisor.tables import tuned_table

        return tuned_table(self)
