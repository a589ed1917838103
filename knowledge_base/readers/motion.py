"""Motion of mechanical systems: where a state and a force lead in a short time.

The constants are read from the sources of a package of simulated environments, as text; the
transitions are computed here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from knowledge_base.readers.arrays import Arrays, ReadMember
from knowledge_base.readers.mechanics import Acrobot, CartPole, Pendulum, System, followed

SystemName: TypeAlias = Literal["pendulum", "cart_pole", "acrobot"]
_Constant: TypeAlias = Callable[[str], float]
_NUMBER = re.compile(
    r"(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)([ \t]*\*[ \t]*pi)?(?=[ \t]*(?:[\r\n,)\]}#`]|\Z))"
)
"""A number that stands alone: a line, an argument, or code quoted in documentation ends there."""
_FINE_STEP = 0.005
"""Seconds; the fastest of these motions is then followed to a millionth of its range."""


class _Set(NamedTuple):
    """A system with the ranges of its states and its force, and which positions are angles."""

    system: System
    highest: tuple[float, ...]
    angles: tuple[int, ...]
    force: float
    step: float


def _pendulum(constant: _Constant) -> _Set:
    rod = Pendulum(constant("g"), constant("self.m"), constant("self.l"))
    highest = (math.pi, constant("self.max_speed"))
    return _Set(rod, highest, (0,), constant("self.max_torque"), constant("self.dt"))


def _cart_pole(constant: _Constant) -> _Set:
    names = ("gravity", "masscart", "masspole", "length")
    system = CartPole(*(constant(f"self.{name}") for name in names))
    # The source bounds no velocity: these are what half a second of pushing gives.
    highest = (constant("self.x_threshold"), math.pi, 5.0, 5.0)
    return _Set(system, highest, (1,), constant("self.force_mag"), constant("self.tau"))


def _acrobot(constant: _Constant) -> _Set:
    names = ("MASS_1", "MASS_2", "LENGTH_1", "COM_POS_1", "COM_POS_2", "MOI")
    system = Acrobot(constant("g"), *(constant(f"LINK_{name}") for name in names))
    highest = (math.pi, math.pi, constant("MAX_VEL_1"), constant("MAX_VEL_2"))
    return _Set(system, highest, (0, 1), 1.0, constant("dt"))


_SETS: dict[SystemName, Callable[[_Constant], _Set]] = {
    "pendulum": _pendulum,
    "cart_pole": _cart_pole,
    "acrobot": _acrobot,
}


@dataclass(frozen=True)
class Transitions:
    """Reader that draws states and forces, and follows the motion.

    Attributes:
        member: Python source that assigns the system's constants; read as text and never run.
        name: The system.
        steps: How long the force lasts, in the source's own time steps.
        speed: Part of the range of velocities that is drawn from, in (0, 1].
        count: Transitions drawn.
        seed: Chooses them.
    """

    member: str
    name: SystemName
    steps: int
    speed: float = 1.0
    count: int = 4000
    seed: int = 0

    def __call__(self, read: ReadMember) -> Arrays:
        """States and forces as float32 (count, F), changes of the state as (count, 2 d).

        An angle is told by its cosine and sine; its change is in radians, over all turns made.
        """
        text = read(self.member).decode("utf-8")
        made = _SETS[self.name](lambda name: constant(text, name))
        random = np.random.default_rng(self.seed)
        half = len(made.highest) // 2
        highest = np.asarray(made.highest) * ([1.0] * half + [self.speed] * half)
        state = random.uniform(-highest, highest, (self.count, 2 * half))
        force = random.uniform(-made.force, made.force, self.count)
        seconds = self.steps * made.step
        after = followed(made.system, state, force, seconds, math.ceil(seconds / _FINE_STEP))
        plain = [index for index in range(2 * half) if index not in made.angles]
        angles = state[:, list(made.angles)]
        inputs = np.concatenate(
            [np.cos(angles), np.sin(angles), state[:, plain], force[:, None]], axis=1
        )
        return Arrays(inputs.astype(np.float32), (after - state).astype(np.float32), "regression")


def constant(text: str, name: str) -> float:
    """The number that a source first gives to a name: ``name = 0.5`` or ``name = 4 * pi``.

    Raises:
        ValueError: It gives the name no number, or the first one is part of a longer expression.
    """
    given = re.search(rf"(?<![\w.]){re.escape(name)}\s*=\s*(?=[\d.+-])", text)
    # A later number must not take the place of a first one that cannot be read.
    found = given and _NUMBER.match(text, given.end())
    if found is None:
        raise ValueError(f"the source gives {name} no number")
    return float(found[1]) * (math.pi if found[2] else 1.0)
