"""Optimizers that scale each step by the gradients seen so far: Adam and RMSprop."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..serialization import register
from .base import Array, Optimizer
from .schedules import LearningRateSchedule


@register("optimizers")
class Adam(Optimizer):
    """Adam (Kingma & Ba, 2015), with the epsilon of the formula before its section 2.1.

    At step t with gradient g, for each parameter w::

        m <- m + (1 - beta_1) (g - m)
        v <- v + (1 - beta_2) (g^2 - v)
        w <- w - learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)

    Args:
        learning_rate: the step size, or a schedule of it.
        beta_1, beta_2: how much of the running means of g and g^2 a step keeps.
        epsilon: keeps the quotient finite.
        amsgrad: divide by the largest v so far (Reddi et al., 2018).
        weight_decay, clipnorm, clipvalue, global_clipnorm, name: as for `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name)
        for key, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= beta < 1:
                raise ValueError(f"{key} must lie in [0, 1), received {beta}.")
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity", *(("velocity_hat",) if self.amsgrad else ()))

    def update(
        self,
        weights: Array,
        gradient: Array,
        slots: dict[str, Array],
        scratch: tuple[Array, Array],
        learning_rate: float,
    ) -> None:
        mean, square = slots["momentum"], slots["velocity"]
        change, root = scratch
        step = self.iterations + 1
        rate = learning_rate * math.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)

        np.subtract(gradient, mean, out=change)
        change *= 1 - self.beta_1
        mean += change
        np.multiply(gradient, gradient, out=change)
        change -= square
        change *= 1 - self.beta_2
        square += change
        if self.amsgrad:
            square = np.maximum(slots["velocity_hat"], square, out=slots["velocity_hat"])
        np.sqrt(square, out=root)
        root += self.epsilon
        np.multiply(mean, rate, out=change)
        change /= root
        weights -= change

    def get_config(self) -> dict[str, Any]:
        own = {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }
        return {**super().get_config(), **own}


@register("optimizers")
class RMSprop(Optimizer):
    """RMSprop (Hinton, 2012, lecture 6e), with momentum or centered if wished (Graves, 2013).

    With gradient g, for each parameter w::

        v <- rho v + (1 - rho) g^2
        a <- rho a + (1 - rho) g                             a = 0 unless centered
        s <- learning_rate g / sqrt(v - a^2 + epsilon)
        w <- w - s                                           momentum = 0

        u <- momentum u + s                                  momentum > 0
        w <- w - u

    Args:
        learning_rate: the step size, or a schedule of it.
        rho: how much of the running means of g^2 and g a step keeps.
        momentum: the share of the last step that goes into the next.
        epsilon: keeps the quotient finite.
        centered: divide by the deviation of the gradient rather than its root mean square.
        weight_decay, clipnorm, clipvalue, global_clipnorm, name: as for `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    @property
    def slot_names(self) -> tuple[str, ...]:
        wanted = {"velocity": True, "momentum": self.momentum, "average_gradient": self.centered}
        return tuple(name for name, kept in wanted.items() if kept)

    def update(
        self,
        weights: Array,
        gradient: Array,
        slots: dict[str, Array],
        scratch: tuple[Array, Array],
        learning_rate: float,
    ) -> None:
        square = slots["velocity"]
        step, root = scratch

        np.multiply(gradient, gradient, out=step)
        step *= 1 - self.rho
        square *= self.rho
        square += step
        if self.centered:
            average = slots["average_gradient"]
            average *= self.rho
            average += np.multiply(gradient, 1 - self.rho, out=step)
            np.subtract(square, np.multiply(average, average, out=step), out=root)
            root += self.epsilon
        else:
            np.add(square, self.epsilon, out=root)
        np.sqrt(root, out=root)
        np.multiply(gradient, learning_rate, out=step)
        step /= root
        if self.momentum:
            velocity = slots["momentum"]
            velocity *= self.momentum
            velocity += step
            weights -= velocity
        else:
            weights -= step

    def get_config(self) -> dict[str, Any]:
        own = {
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }
        return {**super().get_config(), **own}
