"""What pruning by the knowledge base's curves saves and costs, on tasks it was not fitted on.

Searches are replayed on the packed runs: five good runs of a task, then fifteen others one by one,
each judged at its own evaluations by what has finished so far. The allowance is fitted without the
task's data set. Beside it stands the rule that Optuna calls median pruning (Golovin et al. 2017).

    python -m benchmarks.pruning
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median

from advisor.curve_fit import PastRun, fit_allowance, past_runs, studies
from advisor.curves import FINISHED, Allowance, area_left, farthest_fall, scale_of
from knowledge_base.tasks import task_rows

FOLDS = 10
STUDIES = 20
TRIALS = 15
SEED = 1

Rule = Callable[[PastRun, int, Sequence[PastRun]], bool]
"""Whether a run is ended at the given one of its evaluations, the finished runs being these."""


@dataclass
class Tally:
    """What a rule did over all searches.

    Attributes:
        ahead: Runs that would have been the best so far.
        lost: How many of them were ended.
        behind: The other runs.
        ended: How many of those were ended.
        spent: Trainings spent on runs after the first five.
        regret: Normalized regret of each search's best run to the best that it would have run.
    """

    ahead: int = 0
    lost: int = 0
    behind: int = 0
    ended: int = 0
    spent: float = 0.0
    regret: tuple[float, ...] = ()

    def replay(self, rule: Rule, first: Sequence[PastRun], others: Sequence[PastRun]) -> None:
        """Count one search."""
        finished = list(first)
        for run in others:
            ahead = run.curve.final < min(one.curve.final for one in finished)
            at = next((i for i in range(len(run.curve.shares)) if rule(run, i, finished)), None)
            if at is None:
                finished.append(run)
            self.ahead += ahead
            self.behind += not ahead
            self.lost += ahead and at is not None
            self.ended += not ahead and at is not None
            self.spent += 1.0 if at is None else run.curve.shares[at]
        scale = scale_of([run.curve for run in (*first, *others)])
        found = min(run.curve.final for run in finished)
        self.regret = (*self.regret, scale.regret(found))

    def __str__(self) -> str:
        """The tally in words."""
        runs = self.ahead + self.behind
        return (
            f"{self.lost / max(self.ahead, 1):.1%} of {self.ahead} runs that would have been the "
            f"best were ended, {self.ended / max(self.behind, 1):.1%} of the {self.behind} others; "
            f"{1 - self.spent / max(runs, 1):.1%} of the passes saved; regret of the best found "
            f"{mean(self.regret):.4f}"
        )


def by_curves(allowance: Allowance) -> Rule:
    """The rule of ``advisor.curve_pruner``."""

    def rule(run: PastRun, place: int, finished: Sequence[PastRun]) -> bool:
        curves = sorted((one.curve for one in finished), key=lambda curve: curve.final)[:FINISHED]
        scale, share = scale_of(curves), run.curve.shares[place]
        fall = farthest_fall(curves, share, scale)
        if fall is None:
            return False
        allowed = allowance(area_left(run.recipe.schedule, share), fall)
        return scale.regret(run.curve.losses[place]) > allowed

    return rule


def by_median(run: PastRun, place: int, finished: Sequence[PastRun]) -> bool:
    """Whether the run is above the median of the finished ones at the same share."""
    share = run.curve.shares[place]
    known = [
        loss
        for one in finished
        for at, loss in zip(one.curve.shares, one.curve.losses, strict=True)
        if abs(at - share) < 0.01
    ]
    return len(known) >= FINISHED and run.curve.losses[place] > median(known)


def never(run: PastRun, place: int, finished: Sequence[PastRun]) -> bool:
    """No run is ended."""
    return False


def main() -> None:
    """Print a line a rule."""
    rows = task_rows()
    runs = {name: found for name, found in past_runs().items() if name in rows}
    groups = sorted({rows[name].group for name in runs})
    tallies = {"no pruning": Tally(), "median": Tally(), "curves": Tally()}
    for fold in range(FOLDS):
        held = set(groups[fold::FOLDS])
        known = [found for name, found in runs.items() if rows[name].group not in held]
        rules: dict[str, Rule] = {
            "no pruning": never, "median": by_median, "curves": by_curves(fit_allowance(known)),
        }  # fmt: skip
        for name, found in runs.items():
            if rows[name].group in held:
                for first, others in studies(found, STUDIES, TRIALS, SEED):
                    for kind, rule in rules.items():
                        tallies[kind].replay(rule, first, others)
    for kind, tally in tallies.items():
        print(f"{kind}: {tally}")


if __name__ == "__main__":
    main()
