"""Which recipes one side of a comparison has: the plain ones, but for what the side names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from probes.recipe.catalogue import method
from probes.recipe.choice import Choice
from probes.recipe.schema import Recipe

Field = Literal[
    "optimizer", "rate", "schedule", "normalization", "clip", "averaging", "insert_dropout"
]


@dataclass(frozen=True)
class Side:
    """A set of recipes by what they have; what is not named stays plain.

    Plain is: outputs and layers as they are, no clipping, no averaging, no inserted dropout, the
    task's batch size, the whole budget, no early stopping, and every setting of the optimizer but
    the rate at its default.

    Attributes:
        name: What it is, for people.
        optimizers: Names of optimizers; empty for any.
        schedules: Names of schedules; empty for any.
        normalization: Name of a normalization.
        clipped: Whether gradients are clipped, by whatever rule.
        averaging: Name of an averaging or ensemble, "" for none.
        insert_dropout: Rate of the inserted dropout, None for none.
    """

    name: str
    optimizers: tuple[str, ...] = ()
    schedules: tuple[str, ...] = ()
    normalization: str = "keep"
    clipped: bool = False
    averaging: str = ""
    insert_dropout: float | None = None

    def has(self, recipe: Recipe) -> bool:
        """Whether a recipe belongs to this side."""
        averaging = "" if recipe.averaging is None else recipe.averaging.name
        return (
            (not self.optimizers or recipe.optimizer.name in self.optimizers)
            and (not self.schedules or recipe.schedule.name in self.schedules)
            and recipe.normalization.name == self.normalization
            and (recipe.clip is not None) == self.clipped
            and averaging == self.averaging
            and recipe.regularization.insert_dropout == self.insert_dropout
            and _plain_elsewhere(recipe)
        )


def stratum(recipe: Recipe, aside: tuple[Field, ...]) -> tuple[Any, ...]:
    """What two recipes must share to be compared: all fields but those set aside."""
    values: dict[Field, Any] = {
        "optimizer": recipe.optimizer.name,
        "rate": recipe.optimizer.number("lr"),
        "schedule": _settings(recipe.schedule),
        "normalization": _settings(recipe.normalization),
        "clip": _settings(recipe.clip),
        "averaging": _settings(recipe.averaging),
        "insert_dropout": recipe.regularization.insert_dropout,
    }
    return tuple(value for field, value in values.items() if field not in aside)


def _plain_elsewhere(recipe: Recipe) -> bool:
    regularization = recipe.regularization
    others = method("optimizer", recipe.optimizer.name).hyperparameters[1:]
    return (
        recipe.batch_size is None
        and recipe.horizon == 1.0
        and regularization.early_stopping is None
        and regularization.dropout is None
        and regularization.label_smoothing == 0.0
        and all(recipe.optimizer[setting.name] == setting.default for setting in others)
    )


def _settings(chosen: Choice | None) -> tuple[Any, ...]:
    return () if chosen is None else (chosen.name, *sorted(chosen.settings.items()))
