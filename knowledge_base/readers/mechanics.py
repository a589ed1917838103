"""Three small mechanical systems under a force: their equations of motion, and following them.

Sources: Barto, Sutton and Anderson, "Neuronlike adaptive elements that can solve difficult learning
control problems", 1983, appendix (cart and pole, here without friction); Sutton, "Generalization in
reinforcement learning", 1996, and Sutton and Barto, "Reinforcement Learning", 1998, section 11.3
(acrobot), here as one equation with a mass matrix. A state is the positions, then their velocities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

State = NDArray[np.float64]


class System(Protocol):
    """What a mechanical system says of itself."""

    def change(self, state: State, force: State) -> State:
        """Velocities and accelerations (N, 2 d) of states (N, 2 d) under forces (N,)."""
        ...

    def energy(self, state: State) -> State:
        """Kinetic and potential energy (N,) of states (N, 2 d), up to a constant."""
        ...


@dataclass(frozen=True)
class Pendulum:
    """A uniform rod on a pivot with a torque; state (angle from upright, velocity)."""

    gravity: float
    mass: float
    length: float

    def change(self, state: State, force: State) -> State:
        """As `System.change`; the rod's moment of inertia is m l^2 / 3."""
        angle, velocity = state.T
        weight = self.mass * self.gravity * self.length / 2 * np.sin(angle)
        return np.stack([velocity, (weight + force) * 3 / (self.mass * self.length**2)], axis=1)

    def energy(self, state: State) -> State:
        """As `System.energy`."""
        angle, velocity = state.T
        height = self.length / 2 * np.cos(angle)
        kinetic = self.mass * self.length**2 * velocity**2 / 6
        total: State = kinetic + self.mass * self.gravity * height
        return total


@dataclass(frozen=True)
class CartPole:
    """A uniform pole hinged on a cart that is pushed.

    A state is (place, angle from upright, velocity, angular velocity); `half_length` is half the
    pole's.
    """

    gravity: float
    cart: float
    pole: float
    half_length: float

    def change(self, state: State, force: State) -> State:
        """As `System.change`."""
        _, angle, velocity, turning = state.T
        sine, cosine = np.sin(angle), np.cos(angle)
        total = self.cart + self.pole
        moment = self.pole * self.half_length
        push = (force + moment * turning**2 * sine) / total
        inertia = self.half_length * (4 / 3 - self.pole * cosine**2 / total)
        bending = (self.gravity * sine - cosine * push) / inertia
        return np.stack([velocity, turning, push - moment * bending * cosine / total, bending], 1)

    def energy(self, state: State) -> State:
        """As `System.energy`."""
        _, angle, velocity, turning = state.T
        moment = self.pole * self.half_length
        kinetic = (self.cart + self.pole) * velocity**2 / 2
        kinetic = kinetic + moment * np.cos(angle) * velocity * turning
        kinetic = kinetic + 2 / 3 * moment * self.half_length * turning**2
        total: State = kinetic + moment * self.gravity * np.cos(angle)
        return total


@dataclass(frozen=True)
class Acrobot:
    """Two hinged links that hang from a bar, with a torque at the joint between them.

    A state is (first angle from hanging, second angle from the first, their velocities). `first`
    and `second` are the links' masses, `reach` the first one's length; `first_centre` and
    `second_centre` say how far the centres of mass are from the upper ends.
    """

    gravity: float
    first: float
    second: float
    reach: float
    first_centre: float
    second_centre: float
    inertia: float

    def _masses(self, bend: State) -> tuple[State, State, float]:
        """Entries (1, 1), (1, 2) and (2, 2) of the mass matrix where the joint is bent so."""
        inner = self.second * self.second_centre**2 + self.inertia
        coupling = self.second * self.reach * self.second_centre * np.cos(bend)
        fixed = self.first * self.first_centre**2 + self.second * self.reach**2 + self.inertia
        return fixed + inner + 2 * coupling, inner + coupling, inner

    def change(self, state: State, force: State) -> State:
        """As `System.change`."""
        angle, bend, turning, bending = state.T
        outer, both, inner = self._masses(bend)
        swing = self.second * self.reach * self.second_centre * np.sin(bend)
        lower = self.second * self.second_centre * self.gravity * np.sin(angle + bend)
        upper = self.first * self.first_centre + self.second * self.reach
        upper_weight = upper * self.gravity * np.sin(angle)
        first = swing * (2 * turning + bending) * bending - upper_weight - lower
        second = force - swing * turning**2 - lower
        determinant = outer * inner - both**2
        accelerations = (inner * first - both * second, outer * second - both * first)
        return np.stack([turning, bending, *(part / determinant for part in accelerations)], axis=1)

    def energy(self, state: State) -> State:
        """As `System.energy`."""
        angle, bend, turning, bending = state.T
        outer, both, inner = self._masses(bend)
        kinetic = (outer * turning**2 + inner * bending**2) / 2 + both * turning * bending
        upper = (self.first * self.first_centre + self.second * self.reach) * np.cos(angle)
        lower = self.second * self.second_centre * np.cos(angle + bend)
        total: State = kinetic - self.gravity * (upper + lower)
        return total


def followed(system: System, state: State, force: State, seconds: float, steps: int) -> State:
    """The states after a time under constant forces, by the classical Runge-Kutta method.

    Args:
        system: What moves.
        state: (N, 2 d) at the start.
        force: (N,), constant.
        seconds: How long.
        steps: Steps of the method; its error falls with their fourth power.
    """
    step = seconds / steps
    for _ in range(steps):
        first = system.change(state, force)
        second = system.change(state + step / 2 * first, force)
        third = system.change(state + step / 2 * second, force)
        fourth = system.change(state + step * third, force)
        state = state + step / 6 * (first + 2 * second + 2 * third + fourth)
    return state
