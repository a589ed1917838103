"""The claims of the survey as rows of data: what is compared with what, and what is claimed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from knowledge_base.findings.side import Field, Side

Measure = Literal["regret", "error", "speed"]
Price = Literal["memory", "seconds", "growth"]
Direction = Literal["lower", "higher"]
AS_GOOD = 0.02
"""Regret by which a method may be behind and still match another: about the standard deviation
between two seeds of one recipe."""
TENFOLD = 0.1
"""An order of magnitude sooner, as a ratio of passes."""


@dataclass(frozen=True)
class Comparison:
    """Two sets of recipes, compared on every task that ran both.

    Attributes:
        first: What the claim is about.
        other: What it is compared with.
        measure: "regret" is normalized test regret, first minus other; "error" the test error of
            classifications, first minus other; "speed" the passes to the loss that both reach,
            first over other.
        aside: In what the two sides may differ; all else is held equal. With "rate" among them,
            each side has its best recipe of an equal number of tries; without, each recipe of one
            side meets each of the other.
        claimed: On which side of the threshold the claim puts first; None where the claim does not
            speak of the measure, which is then shown and decides nothing.
        threshold: On the measure's scale; None is 0 for a difference, 1 for a ratio.
        dataset: A leak group to look at alone, "" for all. Tasks then take the data sets' place.
    """

    first: Side
    other: Side
    measure: Measure
    aside: tuple[Field, ...]
    claimed: Direction | None = "lower"
    threshold: float | None = None
    dataset: str = ""


@dataclass(frozen=True)
class Cost:
    """Two groups of optimizers, compared by the table of prices.

    Attributes:
        first: Names of optimizers that the claim is about.
        other: Names of those they are compared with, each with each.
        price: "memory" in bytes of state for each parameter, first minus other; "seconds" a step,
            first over other; "growth" of that ratio from a narrow to a wide dense net.
        claimed: On which side of the threshold the claim puts first.
    """

    first: tuple[str, ...]
    other: tuple[str, ...]
    price: Price
    claimed: Direction = "higher"


@dataclass(frozen=True)
class Claim:
    """One claim of the survey.

    Attributes:
        number: Its number.
        text: What it says.
        parts: What it comes down to, at least one of which is claimed; beside speed also how the
            same sides do on test data.
    """

    number: int
    text: str
    parts: tuple[Comparison | Cost, ...]


_SGD, _MOMENTUM = ("sgd",), ("momentum",)
_BOTH = ("sgd", "momentum")
_GRID: tuple[Field, ...] = ("optimizer", "schedule", "rate")
_FIXED_OR_COSINE = ("constant", "cosine")
_CYCLICAL = ("triangular", "triangular2", "exp_range", "trapezoidal_cycle", "cosine_restarts")
_DECAYS = ("step", "exponential", "polynomial", "linear", "cosine")
_NATURAL = ("kfac", "ekfac")


def _normalized(name: str) -> Side:
    label = "layers as they are" if name == "keep" else f"{name.replace('_', ' + ')} normalization"
    return Side(f"SGD or momentum, {label}", _BOTH, normalization=name)


def _optimizer(*names: str) -> Side:
    return Side(" or ".join(names), names, _FIXED_OR_COSINE)


def _any_schedule(name: str) -> Side:
    return Side(name, (name,))


def _speed(
    first: Side, other: Side, aside: tuple[Field, ...], threshold: float | None = None
) -> tuple[Comparison, ...]:
    """Speed, which the claim is about, and test regret, which decides nothing.

    Speed is read off validation curves: without the regret nobody would see what it costs.
    """
    return (
        Comparison(first, other, "speed", aside, threshold=threshold),
        Comparison(first, other, "regret", aside, claimed=None),
    )


def _ensembles(averaging: str, optimizers: tuple[str, ...]) -> tuple[Comparison, ...]:
    name = averaging.replace("_", " ")
    ensemble = Side(f"{optimizers[0]}, {name}", optimizers, averaging=averaging)
    single = Side(f"{optimizers[0]}, one model", optimizers)
    return (
        Comparison(ensemble, single, "speed", ("averaging",)),
        Comparison(ensemble, single, "regret", ("averaging",)),
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        1,
        "Weight normalization matches or beats batch normalization, and speeds SGD.",
        (
            Comparison(
                _normalized("weight"), _normalized("batch"), "regret", ("normalization",),
                threshold=AS_GOOD,
            ),
            *_speed(_normalized("weight"), _normalized("keep"), ("normalization",)),
        ),
    ),
    Claim(
        2,
        "Weight and batch normalization together give the best test accuracy.",
        tuple(
            Comparison(_normalized("weight_batch"), _normalized(name), "error", ("normalization",))
            for name in ("keep", "weight", "batch")
        ),
    ),
    Claim(
        3,
        "Cyclical learning rates converge sooner than fixed or decaying ones.",
        tuple(
            part
            for name, schedules in (("fixed rate", ("constant",)), ("decaying rate", _DECAYS))
            for part in _speed(
                Side("cyclical rate", schedules=_CYCLICAL), Side(name, schedules=schedules),
                ("schedule",),
            )
        ),
    ),
    Claim(
        4,
        "Ensembles improve SGD's convergence and generalization; heavy dropout hurts.",
        (
            *_ensembles("deep_ensemble", _SGD),
            *_ensembles("snapshot_ensemble", _MOMENTUM),
            Comparison(
                Side("inserted dropout 0.5", insert_dropout=0.5), Side("no inserted dropout"),
                "regret", ("insert_dropout",), claimed="higher",
            ),
        ),
    ),
    Claim(
        5,
        "AMSBound and Nadam beat momentum and SGD in speed and precision, at more memory and "
        "computation.",
        (
            *(
                Comparison(_optimizer(first), _optimizer(other), measure, _GRID)
                for first in ("amsbound", "nadam")
                for other in ("momentum", "sgd")
                for measure in ("speed", "regret")
            ),
            Cost(("amsbound", "nadam"), _BOTH, "memory"),
            Cost(("amsbound", "nadam"), _BOTH, "seconds"),
        ),
    ),
    Claim(
        6,
        "Natural gradient has the best convergence, but scales badly.",
        (
            *(
                part
                for other in ("sgd", "momentum", "adamw", "nadam", "amsbound")
                for part in _speed(_optimizer(*_NATURAL), _optimizer(other), _GRID)
            ),
            Cost(_NATURAL, _SGD, "memory"),
            Cost(_NATURAL, _SGD, "seconds"),
            Cost(_NATURAL, _SGD, "growth"),
        ),
    ),
    Claim(
        7,
        "Nadam is first on CIFAR-10.",
        tuple(
            Comparison(_any_schedule("nadam"), _any_schedule(other), "regret", _GRID,
                       dataset="cifar10")
            for other in ("sgd", "momentum", "nesterov", "adam", "adamw", "amsgrad", "adamax",
                          "adadelta", "adagrad", "rmsprop", "amsbound")
        ),
    ),
    Claim(
        8,
        "Gradient clipping speeds training.",
        _speed(Side("clipped", clipped=True), Side("not clipped"), ("clip",)),
    ),
    Claim(
        9,
        "Dynamic rate, ensemble and natural gradient together give an order of magnitude.",
        tuple(
            part
            for other in _BOTH
            for part in _speed(
                Side("ekfac, cosine restarts, snapshot ensemble", ("ekfac",), ("cosine_restarts",),
                     averaging="snapshot_ensemble"),
                Side(f"{other}, fixed rate", (other,), ("constant",)),
                ("optimizer", "schedule", "rate", "averaging"), TENFOLD,
            )
        ),
    ),
)  # fmt: skip
"""All claims, in the survey's order."""
