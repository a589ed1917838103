"""All findings as data: claims with verdicts, the map of winners, and what they rest on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from knowledge_base.findings.claims import CLAIMS, Claim, Comparison, Cost, Direction
from knowledge_base.findings.costs import compared, device
from knowledge_base.findings.measure import differences, recipes_of
from knowledge_base.findings.outcomes import Outcomes, read_outcomes
from knowledge_base.findings.verdict import FEWEST, RULE, Verdict, decide, estimate, joined
from knowledge_base.findings.winners import WinnersMap, winners_map
from knowledge_base.store import SHIPPED, check_hashes
from probes.recipe.prices import Prices, shipped_prices

Unit = Literal["test regret", "test error", "passes, ratio", "bytes a parameter", "seconds, ratio",
               "growth of seconds, ratio"]  # fmt: skip
_UNITS: dict[str, Unit] = {
    "regret": "test regret", "error": "test error", "speed": "passes, ratio",
    "memory": "bytes a parameter", "seconds": "seconds, ratio",
    "growth": "growth of seconds, ratio",
}  # fmt: skip
NO_VERDICT = "not part of the verdict"
"""What is said of a part on a measure of which the claim does not speak."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class Part(_Frozen):
    """One comparison of a claim.

    Attributes:
        first: What the claim is about.
        other: What it is compared with.
        unit: What the numbers are: first minus other, or first over other for a ratio.
        claimed: Side of the threshold on which the claim puts the value; None where the claim does
            not speak of this measure.
        threshold: On the scale of the unit.
        value: Mean over data sets (geometric for a ratio), None where there are no runs.
        low: Lower end of the 95 % interval; for costs, of the range.
        high: Its upper end.
        tasks: Tasks with runs on both sides (for costs, pairs of optimizers and models).
        datasets: Data sets they come from (for costs 0).
        recipes: Recipes of each side that were run.
        by_dataset: Value of each data set, or of each task where one data set is looked at alone;
            for costs of each pair.
        verdict: What follows, None where nothing is claimed: the claim is decided without it.
        why: In words, where there is more to say than that the interval decides.
        refuted_jointly: Whether it is refuted at the interval widened for the claim's parts.
    """

    first: str
    other: str
    unit: Unit
    claimed: Direction | None
    threshold: float
    value: float | None = None
    low: float | None = None
    high: float | None = None
    tasks: int = 0
    datasets: int = 0
    recipes: tuple[int, int] = (0, 0)
    by_dataset: dict[str, float] = Field(default_factory=dict)
    verdict: Verdict | None = "undecided"
    why: str = ""
    refuted_jointly: bool = False

    @property
    def outcome(self) -> str:
        """Its verdict for people, with what there is to say of it."""
        if self.verdict is None:
            return self.why
        return f"{self.verdict} ({self.why})" if self.why else self.verdict

    @property
    def ratio(self) -> bool:
        """Whether its values are ratios."""
        return self.unit.endswith("ratio")

    def shown(self, value: float | None) -> str:
        """A value of it for people, "-" for none."""
        if value is None:
            return "-"
        if self.ratio:
            return f"{value:.3g}"
        return f"{value:+.3g}" if self.unit == "bytes a parameter" else f"{value:+.3f}"


class ClaimFinding(_Frozen):
    """A claim with what the runs say."""

    number: int
    text: str
    verdict: Verdict
    why: str
    parts: tuple[Part, ...]


class LeftOut(_Frozen):
    """A task that does not count."""

    task: str
    reason: str


class Findings(_Frozen):
    """All findings of a packed knowledge base.

    Attributes:
        schema_version: Rises when a reader must change.
        folder: Where the knowledge base is; no path where it is the shipped one.
        runs: Runs that it holds.
        tasks: Tasks that count.
        datasets: Data sets (leak groups) they come from.
        prices: Device of the table of prices, "" where nothing was measured.
        rule: How verdicts are made, in words.
        claims: The claims, in the survey's order.
        winners: Which optimizer wins where.
        left_out: Tasks that do not count, with reasons.
    """

    schema_version: Literal[2] = Field(default=2, alias="schema")
    folder: str
    runs: int
    tasks: int
    datasets: int
    prices: str
    rule: tuple[str, ...]
    claims: tuple[ClaimFinding, ...]
    winners: WinnersMap
    left_out: tuple[LeftOut, ...]


def findings(
    folder: Path = SHIPPED, claims: tuple[Claim, ...] = CLAIMS, prices: Prices | None = None
) -> Findings:
    """What the runs of a packed knowledge base say of the claims.

    Args:
        folder: Where the packed files are.
        claims: The claims.
        prices: The table of prices; None for the shipped one.

    Raises:
        UserError: There is no packed knowledge base, or its files were changed.
    """
    check_hashes(folder)
    outcomes = read_outcomes(folder)
    table = shipped_prices() if prices is None else prices
    section = device(table)
    return Findings(
        folder="the shipped knowledge base" if folder == SHIPPED else str(folder),
        runs=outcomes.runs,
        tasks=len(outcomes.rows),
        datasets=len(set(outcomes.groups)),
        prices="" if section is None else section.device,
        rule=RULE,
        claims=tuple(_claim(claim, outcomes, table) for claim in claims),
        winners=winners_map(outcomes),
        left_out=tuple(LeftOut(task=item.task, reason=item.reason) for item in outcomes.left_out),
    )


def _claim(claim: Claim, outcomes: Outcomes, prices: Prices) -> ClaimFinding:
    deciding = sum(part.claimed is not None for part in claim.parts)
    parts = tuple(
        _cost(part, prices) if isinstance(part, Cost) else _comparison(part, outcomes, deciding)
        for part in claim.parts
    )
    verdict, why = joined(
        [part.verdict for part in parts if part.verdict is not None],
        [part.refuted_jointly for part in parts if part.verdict is not None],
    )
    rows = zip(parts, claim.parts, strict=True)
    if verdict == "undecided" and not any(p.tasks for p, row in rows if not isinstance(row, Cost)):
        why = "no runs"
    return ClaimFinding(number=claim.number, text=claim.text, verdict=verdict, why=why, parts=parts)


def _comparison(comparison: Comparison, outcomes: Outcomes, deciding: int) -> Part:
    """A part of a claim that so many parts decide."""
    speed = comparison.measure == "speed"
    default = 1.0 if speed else 0.0
    part = Part(
        first=comparison.first.name, other=comparison.other.name,
        unit=_UNITS[comparison.measure], claimed=comparison.claimed,
        threshold=default if comparison.threshold is None else comparison.threshold,
        recipes=recipes_of(comparison, outcomes),
        verdict=None if comparison.claimed is None else "undecided",
    )  # fmt: skip
    found = differences(comparison, outcomes)
    estimated = estimate(found, deciding)
    if estimated is None:
        why = "no runs" if comparison.claimed is not None else f"{NO_VERDICT}; no runs"
        return part.model_copy(update={"why": why})
    shown = math.exp if speed else float
    low, high = shown(estimated.low), shown(estimated.high)
    wide = shown(estimated.wide_low), shown(estimated.wide_high)
    units = len(estimated.groups)
    decided: dict[str, Any]
    if part.claimed is None:
        decided = {"why": NO_VERDICT}
    elif units < FEWEST:
        kind = "task" if comparison.dataset else "data set"
        decided = {"why": f"{units} {kind}{'s' * (units != 1)}, {FEWEST} are needed"}
    else:
        decided = {
            "verdict": decide(low, high, part.claimed, part.threshold),
            "refuted_jointly": decide(*wide, part.claimed, part.threshold) == "refuted",
        }
    return part.model_copy(
        update={
            "value": shown(estimated.mean), "low": low, "high": high, "tasks": len(found),
            "datasets": 1 if comparison.dataset else units,
            "by_dataset": {name: shown(value) for name, value in estimated.groups.items()},
            **decided,
        }
    )  # fmt: skip


def _cost(cost: Cost, prices: Prices) -> Part:
    ratio = cost.price != "memory"
    part = Part(
        first=" or ".join(cost.first), other=" or ".join(cost.other), unit=_UNITS[cost.price],
        claimed=cost.claimed, threshold=1.0 if ratio else 0.0,
    )  # fmt: skip
    found = compared(cost, prices)
    if not found:
        return part.model_copy(update={"why": "not measured"})
    shown = math.exp if ratio else float
    values = [item.value for item in found]
    low, high = shown(min(values)), shown(max(values))
    verdict = decide(low, high, cost.claimed, part.threshold)
    return part.model_copy(
        update={
            "value": shown(sum(values) / len(values)), "low": low, "high": high,
            "tasks": len(found),
            "by_dataset": {item.pair: shown(item.value) for item in found},
            "verdict": verdict, "refuted_jointly": verdict == "refuted",
        }
    )  # fmt: skip
