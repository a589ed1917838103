"""The result of an evaluation as data, as a table, and as a block of the README."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from advisor.evaluate.ablation_report import Ablations
from advisor.evaluate.blocks import between_marks

BEGIN, END = "<!-- quality:begin -->", "<!-- quality:end -->"
LARGE = "large ones"
"""What the column of larger tasks leaves out."""


class Method(BaseModel):
    """One way of choosing a recipe, measured on held-out tasks.

    Attributes:
        name: What it is.
        runs: Full trainings it costs.
        mean: Mean normalized test regret over tasks.
        low: Lower end of its 95 % bootstrap interval over data sets.
        high: Upper end.
        weighted: Mean over tasks weighted by the spread of their recipes over their noise.
        weighted_low: Lower end of its 95 % interval.
        weighted_high: Upper end.
        median: Median over tasks.
        p95: 95th percentile over tasks.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    runs: int
    mean: float
    low: float
    high: float
    weighted: float
    weighted_low: float
    weighted_high: float
    median: float
    p95: float


class Column(BaseModel):
    """All methods on one way of leaving out.

    Attributes:
        left_out: What of the task the meta-model has not seen.
        tasks: Number of tasks.
        datasets: Number of data sets.
        methods: Their results.
        gap_closed: (single best - advice) / (single best - oracle), with its interval. The oracle
            takes the best known recipe of each task, searched ones included.
        weighted_gap_closed: The same of weighted means.
        gap_closed_in_set: The same to the best recipe, task by task, of the set that the advice
            chooses from: without what only searches found.
        weighted_gap_closed_in_set: The same of weighted means.
        p95_ratio: 95th percentile of the advice's regret over that of the portfolio's first
            entry, with its interval.
        coverage: Share of first recommendations whose validation regret lies in the interval.
        width: Mean width of the interval.
        rank_correlation: Mean over tasks of Spearman's correlation of score and regret.
        abstained: Share of tasks on which the portfolio answered.
        boosted: Mean share of LightGBM's correction that nested validation chose.
        probe_share: Mean share of one full training that the probes cost.
    """

    model_config = ConfigDict(frozen=True)
    left_out: str
    tasks: int
    datasets: int
    methods: tuple[Method, ...]
    gap_closed: tuple[float, float, float]
    weighted_gap_closed: tuple[float, float, float]
    gap_closed_in_set: tuple[float, float, float]
    weighted_gap_closed_in_set: tuple[float, float, float]
    p95_ratio: tuple[float, float, float]
    coverage: float
    width: float
    rank_correlation: float
    abstained: float
    boosted: float
    probe_share: float

    def method(self, name: str, runs: int) -> Method | None:
        """The method of that name and number of runs, or None."""
        found = (m for m in self.methods if (m.name, m.runs) == (name, runs))
        return next(found, None)


class Report(BaseModel):
    """An evaluation.

    Attributes:
        made_by: The command.
        date: Day it was made.
        versions: Of this package, torch and lightgbm.
        edition: Which knowledge base it is of, as ``versions.edition`` tells.
        seed: Of the resampling.
        recipes: Reference recipes chosen among.
        columns: One for each way of leaving out.
        seed_spread: Median over tasks of the standard deviation of test regret between seeds.
        ablations: What each part of the advice is worth, where that was asked for.
    """

    model_config = ConfigDict(frozen=True)
    made_by: str
    date: str
    versions: dict[str, str]
    edition: str
    seed: int
    recipes: int
    columns: tuple[Column, ...]
    seed_spread: float
    ablations: Ablations | None = None

    def table(self) -> list[list[str]]:
        """Header and one row a method: runs, then for each column what it gave.

        A method that a column lacks (nothing searched there, or another number of recipes) shows
        as dashes in it.
        """
        header = ["method", "full runs"]
        for column in self.columns:
            header.append(f"mean regret, {column.left_out} left out")
            header.append("weighted")
            header.append("median / 95th percentile")
        rows = [header]
        for name, runs in dict.fromkeys((m.name, m.runs) for c in self.columns for m in c.methods):
            row = [name, str(runs)]
            for column in self.columns:
                here = column.method(name, runs)
                if here is None:
                    row += ["-", "-", "-"]
                    continue
                row.append(f"{here.mean:.3f} ({here.low:.3f}-{here.high:.3f})")
                row.append(f"{here.weighted:.3f}")
                row.append(f"{here.median:.3f} / {here.p95:.3f}")
            rows.append(row)
        return rows

    def facts(self) -> list[str]:
        """What stands beside the table, one line each."""
        lines = []
        for column in self.columns:
            tail, tail_low, tail_high = column.p95_ratio
            oracle = _gap(column.gap_closed, column.weighted_gap_closed)
            in_set = _gap(column.gap_closed_in_set, column.weighted_gap_closed_in_set)
            lines.append(
                f"{column.left_out} left out: {column.tasks} tasks from "
                f"{column.datasets} data sets; "
                f"gap closed from the single best recipe to the oracle (the best known recipe of "
                f"each task, searched ones included) {oracle}; to the best of the set {in_set}; "
                f"95th percentile over that of the "
                f"single best recipe {tail:.2f} ({tail_low:.2f} to {tail_high:.2f}); "
                f"rank correlation {column.rank_correlation:.2f}; "
                f"90 % interval covers {column.coverage:.0%}, mean width {column.width:.2f}; "
                f"abstained on {column.abstained:.0%}; LightGBM's share {column.boosted:.2f}; "
                f"probes cost {column.probe_share:.1%} of one training"
            )
        if all(column.left_out != LARGE for column in self.columns):
            lines.append(f"{LARGE} left out: not measured, the knowledge base has no runs of them")
        lines.append(f"seed-to-seed standard deviation of test regret: {self.seed_spread:.3f}")
        return lines

    def markdown(self) -> str:
        """Table and facts as Markdown."""
        header, *rows = self.table()
        lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        lines.append("")
        lines += [f"- {fact}" for fact in self.facts()]
        if self.ablations is not None:
            lines += ["", self.ablations.markdown()]
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        lines.append(
            f"- made by `{self.made_by}` on {self.date}, seed {self.seed}; "
            f"knowledge base of {self.edition}; {versions}"
        )
        return "\n".join(lines)

    def write_readme(self, path: Path) -> None:
        """Put the table between the marks in a README.

        Raises:
            UserError: The file has no marks.
        """
        between_marks(path, BEGIN, END, self.markdown())


def _gap(closed: tuple[float, float, float], weighted: tuple[float, float, float]) -> str:
    value, low, high = closed
    return (
        f"{value:.2f} (95 % interval {low:.2f} to {high:.2f}), tasks weighted by spread over noise "
        f"{weighted[0]:.2f} ({weighted[1]:.2f} to {weighted[2]:.2f})"
    )
