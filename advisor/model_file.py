"""A meta-model as files: JSON for the Gaussian and the facts, text for LightGBM if needed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from advisor.covariance import SIZES
from advisor.feature_table import RECIPE_UNITS, TASK_UNITS
from advisor.features import VERSION, feature_names, optimizer_names
from advisor.fitted_file import damaged, missing, of_another, read_fitted
from advisor.gaussian import OutcomeGaussian
from advisor.meta_model import MetaModel
from probes.errors import UserError
from probes.files import write_text
from probes.recipe.schema import Recipe

if TYPE_CHECKING:
    import lightgbm

MODEL = "a fitted meta-model"
"""What the files hold, in words."""
_SCHEMA = 2
_Positive = Annotated[float, Field(gt=0)]
_Index = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    """A part of the file: numbers are finite numbers, and no text is read as one."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class _Gaussian(_Part):
    """What ``OutcomeGaussian.to_plain`` gives."""

    task_groups: list[list[_Index]]
    recipe_groups: list[list[_Index]]
    parameters: list[float]
    task_mean: list[float]
    task_deviation: list[Annotated[float, Field(ge=0)]]
    recipe_mean: list[float]
    recipe_deviation: list[Annotated[float, Field(ge=0)]]
    tasks: list[list[float]]
    recipes: list[list[float]]
    level: float
    scale: _Positive
    weights: list[list[float]]

    def fits(self, tasks: int, recipes: int) -> bool:
        """Whether all of it goes with so many tasks and recipes, and with this release's features.

        Args:
            tasks: Number of known tasks.
            recipes: Number of reference recipes.
        """
        p, q = len(TASK_UNITS), len(RECIPE_UNITS) + len(optimizer_names())
        groups = len(SIZES) + len(self.task_groups) + len(self.recipe_groups)
        return (
            len(self.parameters) == groups
            and len(self.task_mean) == len(self.task_deviation) == p
            and len(self.recipe_mean) == len(self.recipe_deviation) == q
            and all(column < p for group in self.task_groups for column in group)
            and all(column < q for group in self.recipe_groups for column in group)
            and _has_shape(self.tasks, tasks, p)
            and _has_shape(self.recipes, recipes, q)
            and _has_shape(self.weights, tasks, recipes)
        )


class Document(_Part):
    """The JSON file.

    Attributes:
        tier: See ``MetaModel``, as for all that is not told here.
        recipes: Each as ``Recipe.plain`` gives it.
        relative_seconds: Wall time of a step over AdamW's, by optimizer.
        log_ranges: Natural log of untrained over best loss, by task.
    """

    tier: int
    gaussian: _Gaussian
    weight: float = Field(ge=0, le=1)
    low: float
    high: float
    floor: float
    recipes: list[dict[str, Any]] = Field(min_length=1)
    portfolio: list[_Index]
    names: list[str] = Field(min_length=1)
    regrets: list[list[float]]
    relative_seconds: dict[str, _Positive]
    log_ranges: dict[str, float]

    @model_validator(mode="after")
    def _together(self) -> Self:
        """Raises ValueError where one part does not go with another."""
        tasks, recipes = len(self.names), len(self.recipes)
        if not (self.gaussian.fits(tasks, recipes) and _has_shape(self.regrets, tasks, recipes)):
            raise ValueError("numbers of other tasks, recipes or features")
        if any(index >= recipes for index in self.portfolio):
            raise ValueError("a portfolio of recipes that are not there")
        if len(set(self.names)) < tasks or not self.log_ranges.keys() >= set(self.names):
            raise ValueError("tasks of one name, or without a range")
        if not self.relative_seconds.keys() <= set(optimizer_names()):
            raise ValueError("times of unknown optimizers")
        return self


def _has_shape(rows: Sequence[Sequence[float]], count: int, width: int) -> bool:
    return len(rows) == count and all(len(row) == width for row in rows)


def write_model(
    model: MetaModel,
    relative_seconds: Mapping[str, float],
    log_ranges: Mapping[str, float],
    folder: Path,
) -> None:
    """Write a meta-model; a booster's file of an earlier one goes where it has none.

    Args:
        model: The meta-model.
        relative_seconds: Wall time of a step over AdamW's, by optimizer.
        log_ranges: Natural log of untrained over best loss, by task.
        folder: Where to.
    """
    data = {
        **_release(),
        "tier": model.tier,
        "gaussian": model.gaussian.to_plain(),
        "weight": model.weight,
        "low": model.low,
        "high": model.high,
        "floor": model.floor,
        "recipes": [recipe.plain() for recipe in model.recipes],
        "portfolio": model.portfolio,
        "names": list(model.names),
        "regrets": np.round(model.regrets, 4).tolist(),
        "relative_seconds": dict(relative_seconds),
        "log_ranges": dict(log_ranges),
    }
    boosted = _place(folder, model.tier, "booster")
    if model.booster is None:
        boosted.unlink(missing_ok=True)
    else:
        write_text(boosted, model.booster.model_to_string())
    text = json.dumps(data, separators=(",", ":"))
    write_text(_place(folder, model.tier, "meta_model"), text + "\n")


def has_model(tier: int, folder: Path) -> bool:
    """Whether a folder has a file for the meta-model of a tier."""
    return _place(folder, tier, "meta_model").exists()


def read_model(tier: int, folder: Path) -> tuple[MetaModel, Document]:
    """Read what ``write_model`` wrote: the meta-model of a tier, and the whole file.

    Raises:
        UserError: It is not there, is damaged, or was written for other features.
    """
    path = _place(folder, tier, "meta_model")
    data = read_fitted(path, MODEL)
    if any(data.get(name) != value for name, value in _release().items()):
        raise of_another(path, "a meta-model fitted for this release")
    try:
        document = Document.model_validate(data)
        recipes = tuple(Recipe.parse(plain) for plain in document.recipes)
    except (ValidationError, UserError):
        raise damaged(path, MODEL) from None
    if document.tier != tier:
        raise damaged(path, MODEL)
    regrets = np.asarray(document.regrets, dtype=np.float64)
    model = MetaModel(
        tier=tier,
        gaussian=OutcomeGaussian.from_plain(dict(document.gaussian)),
        booster=_booster(_place(folder, tier, "booster")) if document.weight else None,
        weight=document.weight,
        low=document.low,
        high=document.high,
        floor=document.floor,
        recipes=recipes,
        means=regrets.mean(0),
        portfolio=document.portfolio,
        names=tuple(document.names),
        regrets=regrets,
    )
    return model, document


def _release() -> dict[str, Any]:
    """What tells the release, or its features, for which a meta-model was fitted."""
    return {
        "schema": _SCHEMA, "features": VERSION, "columns": feature_names(),
        "optimizers": optimizer_names(),
    }  # fmt: skip


def _place(folder: Path, tier: int, what: Literal["meta_model", "booster"]) -> Path:
    return folder / f"{what}_{tier}.{'json' if what == 'meta_model' else 'txt'}"


def _booster(path: Path) -> lightgbm.Booster:
    """LightGBM's part; imported here, as a quarter of a second is a lot to who needs none."""
    import lightgbm

    if not path.exists():
        raise missing(path, MODEL)
    try:
        return lightgbm.Booster(model_file=str(path))
    except lightgbm.basic.LightGBMError:
        raise damaged(path, MODEL) from None
