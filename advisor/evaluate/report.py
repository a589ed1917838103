"""The result of an evaluation as data, as a table, and as a block of the README."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from probes.errors import UserError

BEGIN, END = "<!-- quality:begin -->", "<!-- quality:end -->"


class Method(BaseModel):
    """One way of choosing a recipe, measured on held-out tasks.

    Attributes:
        name: What it is.
        runs: Full trainings it costs.
        mean: Mean normalized test regret over tasks.
        low: Lower end of its 95 % bootstrap interval over data sets.
        high: Upper end.
        median: Median over tasks.
        p95: 95th percentile over tasks.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    runs: int
    mean: float
    low: float
    high: float
    median: float
    p95: float


class Column(BaseModel):
    """All methods on one way of leaving out.

    Attributes:
        left_out: What of the task the meta-model has not seen.
        tasks: Number of tasks.
        datasets: Number of data sets.
        methods: Their results.
        gap_closed: (single best - advice) / (single best - best known), with its interval.
        coverage: Share of first recommendations whose validation regret lies in the interval.
        width: Mean width of the interval.
        rank_correlation: Mean over tasks of Spearman's correlation of score and regret.
        abstained: Share of tasks on which the portfolio answered.
        probe_share: Mean share of one full training that the probes cost.
    """

    model_config = ConfigDict(frozen=True)
    left_out: str
    tasks: int
    datasets: int
    methods: tuple[Method, ...]
    gap_closed: tuple[float, float, float]
    coverage: float
    width: float
    rank_correlation: float
    abstained: float
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
        seed: Of the resampling.
        recipes: Reference recipes chosen among.
        columns: One for each way of leaving out.
        seed_spread: Median over tasks of the standard deviation of test regret between seeds.
    """

    model_config = ConfigDict(frozen=True)
    made_by: str
    date: str
    versions: dict[str, str]
    seed: int
    recipes: int
    columns: tuple[Column, ...]
    seed_spread: float

    def table(self) -> list[list[str]]:
        """Header and one row a method: runs, then mean and interval for each column."""
        header = ["method", "full runs"]
        for column in self.columns:
            header.append(f"mean regret, {column.left_out} left out")
            header.append("median")
            header.append("95th percentile")
        rows = [header]
        for method in self.columns[0].methods:
            row = [method.name, str(method.runs)]
            for column in self.columns:
                here = column.method(method.name, method.runs)
                if here is None:
                    row += ["-", "-", "-"]
                    continue
                row.append(f"{here.mean:.3f} ({here.low:.3f}-{here.high:.3f})")
                row.append(f"{here.median:.3f}")
                row.append(f"{here.p95:.3f}")
            rows.append(row)
        return rows

    def facts(self) -> list[str]:
        """What stands beside the table, one line each."""
        lines = []
        for column in self.columns:
            gap, low, high = column.gap_closed
            lines.append(
                f"{column.left_out} left out: {column.tasks} tasks from "
                f"{column.datasets} data sets; "
                f"gap closed {gap:.2f} (95 % interval {low:.2f} to {high:.2f}); "
                f"rank correlation {column.rank_correlation:.2f}; "
                f"90 % interval covers {column.coverage:.0%}, mean width {column.width:.2f}; "
                f"abstained on {column.abstained:.0%}; "
                f"probes cost {column.probe_share:.1%} of one training"
            )
        lines.append(f"seed-to-seed standard deviation of test regret: {self.seed_spread:.3f}")
        return lines

    def markdown(self) -> str:
        """Table and facts as Markdown."""
        header, *rows = self.table()
        lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        lines.append("")
        lines += [f"- {fact}" for fact in self.facts()]
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        lines.append(f"- made by `{self.made_by}` on {self.date}, seed {self.seed}; {versions}")
        return "\n".join(lines)

    def write_readme(self, path: Path) -> None:
        """Put the table between the marks in a README.

        Raises:
            UserError: The file has no marks.
        """
        text = path.read_text(encoding="utf-8")
        if BEGIN not in text or END not in text:
            raise UserError(f"a file with {BEGIN} and {END}", str(path), "add the two lines")
        head, rest = text.split(BEGIN, 1)
        tail = rest.split(END, 1)[1]
        path.write_text(f"{head}{BEGIN}\n{self.markdown()}\n{END}{tail}", encoding="utf-8")
