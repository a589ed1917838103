"""What the parts of the advice are worth, as data and as lines of Markdown."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

NOT_MEASURED = "not measured at this budget"


class Ablation(BaseModel):
    """Advice with one part taken away (or nothing but one part), on held-out tasks.

    Attributes:
        name: What was changed.
        runs: Full trainings it costs: the best on validation of its first so many recipes.
        measured: Tasks on which what it takes away, or rests on, was measured.
        mean: Mean normalized test regret over tasks.
        low: Lower end of its 95 % bootstrap interval over data sets.
        high: Upper end.
        against: The row it is compared with.
        difference: Mean regret minus that of the row compared with, task by task.
        difference_low: Lower end of the difference's 95 % interval.
        difference_high: Upper end.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    runs: int
    measured: int
    mean: float
    low: float
    high: float
    against: str
    difference: float
    difference_low: float
    difference_high: float


class Growth(BaseModel):
    """Advice from a part of the knowledge base, mean over draws of data sets.

    Attributes:
        share: Share of the data sets.
        datasets: Their number in a fold.
        draws: Random nested draws that the mean is taken over.
        runs: Full trainings.
        mean: Mean normalized test regret over tasks.
        low: Lower end of its 95 % bootstrap interval over data sets.
        high: Upper end.
    """

    model_config = ConfigDict(frozen=True)
    share: float
    datasets: int
    draws: int
    runs: int
    mean: float
    low: float
    high: float


class Ablations(BaseModel):
    """All ablations; the first row of ``rows`` is the unchanged advice, at the usual budget.

    Attributes:
        tasks: Number of tasks.
        datasets: Number of data sets.
        rows: A row a change and number of runs.
        growth: A point a share of the knowledge base and number of runs, the smallest first.
    """

    model_config = ConfigDict(frozen=True)
    tasks: int
    datasets: int
    rows: tuple[Ablation, ...]
    growth: tuple[Growth, ...]

    def table(self) -> list[list[str]]:
        """Header and one row a change: regret with 1 and more runs, and what the change costs.

        A row whose measurement was there on no task has no numbers.
        """
        counts = sorted({row.runs for row in self.rows})
        header = ["ablation", "measured"]
        for k in counts:
            header += [f"mean regret, {k} run{'s' if k > 1 else ''}", "against all probes"]
        found = {(row.name, row.runs): row for row in self.rows}
        lines = [header]
        for name in dict.fromkeys(row.name for row in self.rows):
            measured = found[name, counts[0]].measured
            line = [name, f"on {measured} of {self.tasks} tasks"]
            if not measured:
                lines.append([*line, NOT_MEASURED, *["-"] * (2 * len(counts) - 1)])
                continue
            for k in counts:
                row = found[name, k]
                line.append(f"{row.mean:.3f} ({row.low:.3f}-{row.high:.3f})")
                ends = f"{row.difference_low:+.3f} to {row.difference_high:+.3f}"
                line.append(f"{row.difference:+.3f} ({ends})")
            lines.append(line)
        return lines

    def growth_lines(self) -> list[str]:
        """How the regret falls as the knowledge base grows, a line a number of runs."""
        lines = []
        for k in sorted({point.runs for point in self.growth}):
            points = ", ".join(
                f"{point.mean:.3f} ({point.low:.3f}-{point.high:.3f}) from {point.datasets}"
                for point in self.growth
                if point.runs == k
            )
            runs = f"{k} run{'s' if k > 1 else ''}"
            lines.append(f"mean regret with {runs} by data sets learned from: {points}")
        return lines

    def facts(self) -> list[str]:
        """What stands beside the table, one line each."""
        lines = [
            *self.growth_lines(),
            f"ablations on {self.tasks} tasks from {self.datasets} data sets, data set left "
            "out; by the Gaussian alone, without LightGBM and without abstention; the Gaussian's "
            "length scales are found once for each row on all of its tasks",
            "measured: tasks on which the budget bought what the row takes away or rests on; "
            "means and differences are over all tasks",
        ]
        others = dict.fromkeys(row.against for row in self.rows)
        lines += [
            f"rows that end as {name!r} does: every task's profile is of that tier, whatever its "
            f"budget, and what is taken away is compared with {name!r}"
            for name in list(others)[1:]
        ]
        return lines

    def markdown(self) -> str:
        """Table, growth and how both were made."""
        header, *rows = self.table()
        lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        lines.append("")
        return "\n".join([*lines, *(f"- {fact}" for fact in self.facts())])
