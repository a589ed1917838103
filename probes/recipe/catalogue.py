"""The one catalogue: every optimizer, schedule, normalization and extra as a row of data.

Search space, validation, features, listing, documentation and conformance tests are derived from
the rows; adding a method is adding a row (and, where no library has it, one file). This module
imports nothing heavy, so that listing the catalogue does not import torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["optimizer", "schedule", "normalization", "extra"]
Scale = Literal["log", "linear", "integer", "choice"]
Value = float | int | bool | str


@dataclass(frozen=True)
class Hyperparameter:
    """One setting of a method.

    Attributes:
        name: Its name in a recipe.
        default: Value when a recipe leaves it out.
        low: Lower end of the range that is searched.
        high: Upper end of the range that is searched.
        scale: How the range is searched; "choice" takes one of ``choices``.
        valid: Closed interval outside which a value is refused.
        argument: Constructor argument ("betas[0]": first entry of a tuple); empty for ``name``.
        choices: The values of a choice.
    """

    name: str
    default: Value
    low: float = 0.0
    high: float = 0.0
    scale: Scale = "linear"
    valid: tuple[float, float] = (0.0, 1e6)
    argument: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Method:
    """One row of the catalogue.

    Attributes:
        kind: Which table the row belongs to.
        name: Its name in a recipe.
        family: Family of the survey it belongs to.
        source: Import string ("torch.optim:AdamW").
        paper: Where it was published.
        summary: What it does, one clause.
        hyperparameters: Its settings; an optimizer's first is ``lr``.
        fixed: Constructor arguments that make this row what it is.
        needs: What it asks of the model or the loop ("matrix split", "norm layers").
        state: Optimizer state per parameter, in parameters.
        passes: Passes one step costs.
        stepper: Name of the implementation of ``probes.recipe.steppers.Stepper`` that serves it.
        torch: Oldest torch release that has it.
    """

    kind: Kind
    name: str
    family: str
    source: str
    paper: str
    summary: str
    hyperparameters: tuple[Hyperparameter, ...] = ()
    fixed: tuple[tuple[str, Value | None], ...] = ()
    needs: tuple[str, ...] = ()
    state: float = 0.0
    passes: float = 1.0
    stepper: str = "plain"
    torch: str = "2.6"


def _lr(default: float, low: float, high: float) -> Hyperparameter:
    return Hyperparameter("lr", default, low, high, "log", (1e-12, 1e4))


def _beta(name: str, default: float, low: float, high: float, argument: str = "") -> Hyperparameter:
    return Hyperparameter(name, default, low, high, "linear", (0.0, 1.0 - 1e-9), argument)


def _eps(default: float) -> Hyperparameter:
    return Hyperparameter("eps", default, 1e-10, 1e-4, "log", (0.0, 1.0))


_DECAY = Hyperparameter("weight_decay", 0.0, 1e-6, 1e-2, "log", (0.0, 1e3))
_DECOUPLED = Hyperparameter("weight_decay", 0.01, 1e-4, 1.0, "log", (0.0, 1e3))
_BETAS = (
    _beta("beta1", 0.9, 0.8, 0.95, "betas[0]"),
    _beta("beta2", 0.999, 0.95, 0.9995, "betas[1]"),
)
_MOMENTUM = _beta("momentum", 0.9, 0.8, 0.98)


def _optimizer(
    name: str,
    family: str,
    source: str,
    paper: str,
    summary: str,
    hyperparameters: tuple[Hyperparameter, ...],
    state: float,
    fixed: tuple[tuple[str, Value | None], ...] = (),
    needs: tuple[str, ...] = (),
    torch: str = "2.6",
) -> Method:
    return Method(
        "optimizer", name, family, source, paper, summary, hyperparameters, fixed, needs, state,
        torch=torch,
    )  # fmt: skip


_ADAM_RATE = (1e-4, 1e-1)
OPTIMIZERS = (
    _optimizer("sgd", "stochastic gradient descent", "torch.optim:SGD", "Robbins & Monro 1951",
               "plain mini-batch gradient steps", (_lr(0.1, 1e-3, 3.0), _DECAY), 0),
    _optimizer("momentum", "momentum", "torch.optim:SGD", "Polyak 1964", "heavy-ball momentum",
               (_lr(0.03, 1e-3, 1.0), _MOMENTUM, _DECAY), 1),
    _optimizer("nesterov", "momentum", "torch.optim:SGD", "Nesterov 1983; Sutskever et al. 2013",
               "momentum with the gradient looked up ahead",
               (_lr(0.03, 1e-3, 1.0), _MOMENTUM, _DECAY), 1, (("nesterov", True),)),
    _optimizer("adam", "adaptive", "torch.optim:Adam", "Kingma & Ba 2015",
               "momentum over the root of the second moment",
               (_lr(1e-3, *_ADAM_RATE), *_BETAS, _eps(1e-8), _DECAY), 2),
    _optimizer("amsgrad", "adaptive", "torch.optim:Adam", "Reddi et al. 2018",
               "Adam with a second moment that never falls",
               (_lr(1e-3, *_ADAM_RATE), *_BETAS, _eps(1e-8), _DECAY), 3, (("amsgrad", True),)),
    _optimizer("adamw", "adaptive", "torch.optim:AdamW", "Loshchilov & Hutter 2019",
               "Adam with decoupled weight decay",
               (_lr(1e-3, *_ADAM_RATE), *_BETAS, _eps(1e-8), _DECOUPLED), 2),
    _optimizer("nadam", "adaptive", "torch.optim:NAdam", "Dozat 2016",
               "Adam with Nesterov's momentum",
               (_lr(2e-3, *_ADAM_RATE), *_BETAS, _eps(1e-8), _DECAY), 2),
    _optimizer("nadamw", "adaptive", "torch.optim:NAdam", "Dozat 2016; Loshchilov & Hutter 2019",
               "NAdam with decoupled weight decay",
               (_lr(2e-3, *_ADAM_RATE), *_BETAS, _eps(1e-8), _DECOUPLED), 2,
               (("decoupled_weight_decay", True),)),
    _optimizer("radam", "adaptive", "torch.optim:RAdam", "Liu et al. 2020",
               "Adam with its early variance rectified",
               (_lr(1e-3, *_ADAM_RATE), *_BETAS, _eps(1e-8), _DECAY), 2),
    _optimizer("adamax", "adaptive", "torch.optim:Adamax", "Kingma & Ba 2015",
               "Adam by the infinity norm",
               (_lr(2e-3, *_ADAM_RATE), *_BETAS, _eps(1e-8), _DECAY), 2),
    _optimizer("adadelta", "adaptive", "torch.optim:Adadelta", "Zeiler 2012",
               "step sizes from past updates, no rate in theory",
               (_lr(1.0, 0.03, 10.0), _beta("rho", 0.9, 0.8, 0.99), _eps(1e-6), _DECAY), 2),
    _optimizer("adagrad", "adaptive", "torch.optim:Adagrad", "Duchi et al. 2011",
               "gradient over the root of the summed squares",
               (_lr(0.01, 1e-3, 0.3), _eps(1e-10), _DECAY), 1),
    _optimizer("rmsprop", "adaptive", "torch.optim:RMSprop", "Tieleman & Hinton 2012",
               "gradient over the running root mean square",
               (_lr(1e-3, 1e-4, 3e-2), _beta("alpha", 0.99, 0.9, 0.999),
                _beta("momentum", 0.0, 0.0, 0.95), _eps(1e-8), _DECAY), 1),
    _optimizer("adafactor", "adaptive", "torch.optim:Adafactor", "Shazeer & Stern 2018",
               "second moment kept as row and column sums",
               (_lr(0.01, 1e-3, 0.3), Hyperparameter(
                   "beta2_decay", -0.8, -0.9, -0.5, "linear", (-1.0, -0.01)), _DECOUPLED), 0.1),
    _optimizer("muon", "natural gradient and curvature",
               "probes.recipe.optimizers.muon_adamw:MuonAdamW",
               "Jordan et al. 2024; Liu et al. 2025",
               "orthogonalized momentum for matrices, AdamW for the rest",
               (_lr(2e-3, *_ADAM_RATE), _beta("momentum", 0.95, 0.85, 0.98), *_BETAS,
                _eps(1e-8), _DECOUPLED), 1.5, needs=("matrix split",), torch="2.9"),
)  # fmt: skip

_CYCLES = Hyperparameter("cycles", 3, 1, 8, "integer", (1, 1000))
_BASE = Hyperparameter("base", 0.1, 0.01, 0.5, "log", (0.0, 1.0))


def _final(default: float) -> Hyperparameter:
    return Hyperparameter("final", default, 1e-4, 0.2, "log", (0.0, 1.0))


WARMUP = Hyperparameter("warmup", 0.0, 0.0, 0.2, "linear", (0.0, 0.9))


def _schedule(
    name: str, function: str, paper: str, summary: str, *own: Hyperparameter, family: str = "decay"
) -> Method:
    return Method("schedule", name, family, f"probes.recipe.schedules:{function}", paper, summary,
                  (WARMUP, *own))  # fmt: skip


_RISE = Hyperparameter("rise", 0.3, 0.05, 0.5, "linear", (0.0, 0.95))
SCHEDULES = (
    _schedule("constant", "constant", "Robbins & Monro 1951", "the same rate throughout",
              family="constant"),
    _schedule("step", "step_decay", "He et al. 2016", "drops by a factor at equal distances",
              Hyperparameter("gamma", 0.1, 0.05, 0.5, "log", (1e-6, 1.0)),
              Hyperparameter("drops", 2, 1, 4, "integer", (1, 1000))),
    _schedule("exponential", "exponential", "Bengio 2012", "geometric decay",
              Hyperparameter("final", 0.01, 1e-3, 0.2, "log", (1e-12, 1.0))),
    _schedule("polynomial", "polynomial", "Chen et al. 2018", "a power of the steps left",
              Hyperparameter("power", 2.0, 0.5, 4.0, "linear", (0.01, 20.0)), _final(0.0)),
    _schedule("linear", "linear", "Defazio et al. 2023", "straight line to the end", _final(0.0)),
    _schedule("cosine", "cosine", "Loshchilov & Hutter 2017", "half a cosine", _final(0.0)),
    _schedule("cosine_restarts", "cosine_restarts", "Loshchilov & Hutter 2017",
              "cosines with warm restarts", _CYCLES, _final(0.0), family="cyclical"),
    _schedule("triangular", "triangular", "Smith 2017", "linear up and down",
              _CYCLES, _BASE, family="cyclical"),
    _schedule("triangular2", "triangular2", "Smith 2017", "triangular, halved each cycle",
              _CYCLES, _BASE, family="cyclical"),
    _schedule("exp_range", "exp_range", "Smith 2017", "triangular, falling geometrically",
              _CYCLES, _BASE, Hyperparameter("final", 0.1, 1e-3, 0.5, "log", (1e-9, 1.0)),
              family="cyclical"),
    _schedule("one_cycle", "one_cycle", "Smith & Topin 2019", "one cycle, cosine in two phases",
              _RISE, Hyperparameter("start", 0.04, 0.01, 0.3, "log", (0.0, 1.0)), _final(1e-4),
              family="cyclical"),
    _schedule("one_cycle_linear", "one_cycle_linear", "Smith & Topin 2019",
              "one cycle, linear in three phases, as published",
              Hyperparameter("rise", 0.45, 0.1, 0.49, "linear", (0.01, 0.5)),
              Hyperparameter("start", 0.1, 0.01, 0.3, "log", (0.0, 1.0)), _final(1e-3),
              family="cyclical"),
    _schedule("warmup_stable_decay", "warmup_stable_decay", "Hu et al. 2024; Haegele et al. 2024",
              "plateau, then a short decay",
              Hyperparameter("decay", 0.2, 0.1, 0.6, "linear", (0.01, 1.0)),
              Hyperparameter("shape", "sqrt", scale="choice", choices=("sqrt", "linear", "cosine")),
              _final(0.0), family="plateau"),
)  # fmt: skip


def _normalization(
    name: str, paper: str, summary: str, *own: Hyperparameter, needs: tuple[str, ...] = ()
) -> Method:
    return Method("normalization", name, "normalization",
                  "probes.recipe.normalization:apply_normalization", paper, summary, own,
                  needs=needs)  # fmt: skip


NORMALIZATIONS = (
    _normalization("keep", "", "the model as it is"),
    _normalization("none", "", "existing norm layers taken out", needs=("norm layers",)),
    _normalization("weight", "Salimans & Kingma 2016", "weights as direction times magnitude"),
    _normalization("batch", "Ioffe & Szegedy 2015", "over the batch, per channel"),
    _normalization("layer", "Ba et al. 2016", "over the features of a sample"),
    _normalization("group", "Wu & He 2018", "over groups of channels of a sample",
                   Hyperparameter("num_groups", 8, 1, 32, "integer", (1, 4096))),
    _normalization("instance", "Ulyanov et al. 2016", "per sample and channel, over space"),
    _normalization("rms", "Zhang & Sennrich 2019", "by the root mean square of the features"),
)  # fmt: skip

EXTRAS = (
    Method("extra", "norm", "clipping", "torch.nn.utils:clip_grad_norm_", "Pascanu et al. 2013",
           "gradient scaled down to a norm",
           (Hyperparameter("max", 1.0, 0.1, 10.0, "log", (1e-12, 1e9)),)),
    Method("extra", "label_smoothing", "regularization", "torch.nn.functional:cross_entropy",
           "Szegedy et al. 2016", "class targets mixed with the uniform distribution",
           (Hyperparameter("label_smoothing", 0.0, 0.0, 0.2, "linear", (0.0, 0.999)),),
           needs=("cross-entropy",)),
    Method("extra", "early_stopping", "regularization", "probes.training:train", "Prechelt 1998",
           "stops when validation no longer improves; the best weights are kept",
           (Hyperparameter("patience", 3, 1, 10, "integer", (1, 1000)),
            Hyperparameter("every", 0.05, 0.02, 0.1, "linear", (0.001, 0.5))),
           needs=("validation",)),
)  # fmt: skip

_TABLES: dict[Kind, dict[str, Method]] = {
    "optimizer": {row.name: row for row in OPTIMIZERS},
    "schedule": {row.name: row for row in SCHEDULES},
    "normalization": {row.name: row for row in NORMALIZATIONS},
    "extra": {row.name: row for row in EXTRAS},
}


def table(kind: Kind) -> dict[str, Method]:
    """The rows of one kind by name."""
    return _TABLES[kind]


def method(kind: Kind, name: str) -> Method:
    """The row of that name.

    Raises:
        UserError: There is none; near matches are named.
    """
    from probes.errors import unknown_name

    rows = _TABLES[kind]
    if name not in rows:
        article = "an" if kind[0] in "aeiou" else "a"
        raise unknown_name(f"{article} {kind}", name, rows)
    return rows[name]
