"""A choice from the catalogue: a row's name with its settings, checked against the row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from probes.errors import UserError, shown, unknown_name
from probes.recipe.catalogue import Hyperparameter, Kind, Value, method


class Choice(BaseModel):
    """A row of the catalogue with its settings, written flat: ``{"name": "adamw", "lr": 1e-3}``.

    Settings left out take the row's defaults, so two recipes that mean the same are equal.

    Raises:
        UserError: An unknown name or setting, or a value outside its valid range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[Kind]
    name: str
    settings: dict[str, Value] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any) -> Any:
        if isinstance(data, str):
            data = {"name": data}
        if not isinstance(data, Mapping) or "name" not in data:
            raise UserError(
                f"the {cls.kind} as a mapping with a name", shown(data), 'write {"name": ...}'
            )
        flat = {key: value for key, value in data.items() if key not in ("name", "settings")}
        nested = data.get("settings", {})
        if not isinstance(nested, Mapping):
            raise UserError(
                f"the settings of the {cls.kind} as a mapping", shown(nested),
                "write them beside the name",
            )  # fmt: skip
        flat.update(nested)
        row = method(cls.kind, str(data["name"]))
        known = {setting.name: setting for setting in row.hyperparameters}
        for key in flat:
            if key not in known:
                if not known:
                    raise UserError(f"no settings for {row.name}", shown(key), f"leave {key} out")
                raise unknown_name(f"a setting of {row.name}", key, known)
        settings = {
            key: _checked(row.name, setting, flat.get(key, setting.default))
            for key, setting in known.items()
        }
        return {"name": row.name, "settings": settings}

    @model_serializer
    def _write(self) -> dict[str, Value]:
        return {"name": self.name, **self.settings}

    def __hash__(self) -> int:
        return hash((self.name, *sorted(self.settings.items())))

    def __getitem__(self, setting: str) -> Value:
        return self.settings[setting]

    def number(self, setting: str) -> float:
        """A numeric setting as a float."""
        return float(self.settings[setting])


class OptimizerChoice(Choice):
    """The optimizer with its hyperparameters; ``lr`` is the peak of the schedule."""

    kind: ClassVar[Kind] = "optimizer"


class ScheduleChoice(Choice):
    """The learning-rate schedule."""

    kind: ClassVar[Kind] = "schedule"


class NormalizationChoice(Choice):
    """The change to the model's normalization."""

    kind: ClassVar[Kind] = "normalization"


class ExtraChoice(Choice):
    """Clipping, averaging and whatever else is a row of the extras."""

    kind: ClassVar[Kind] = "extra"


def _checked(owner: str, setting: Hyperparameter, value: Any) -> Value:
    """The value, typed as the setting wants it, or an error that gives the valid range."""
    where = f"{setting.name} of {owner}"
    if setting.scale == "choice":
        if value not in setting.choices:
            raise unknown_name(where, value, setting.choices)
        return str(value)
    low, high = setting.valid
    if isinstance(value, str):  # YAML reads "1e-3" as text
        try:
            value = float(value)
        except ValueError:
            raise UserError(f"{where} as a number", shown(value), "give a number") from None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # false of NaN too
        raise UserError(
            f"{where} between {low:g} and {high:g}", shown(value),
            f"the usual range is {setting.low:g} to {setting.high:g}",
        )  # fmt: skip
    if setting.scale == "integer":
        if value != int(value):
            raise UserError(f"{where} as a whole number", shown(value), f"try {round(value)}")
        return int(value)
    return float(value)
