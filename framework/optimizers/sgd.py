"""Stochastic gradient descent, with momentum if wished."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..serialization import register
from .base import Array, Optimizer
from .schedules import LearningRateSchedule


@register("optimizers")
class SGD(Optimizer):
    """Stochastic gradient descent (Robbins & Monro, 1951), with momentum (Polyak, 1964).

    With gradient g, for each parameter w::

        w <- w - learning_rate g                             momentum = 0

        v <- momentum v - learning_rate g                    momentum > 0
        w <- w + v
        w <- w + momentum v - learning_rate g                instead, if nesterov

    Args:
        learning_rate: the step size, or a schedule of it.
        momentum: the share of the last step that goes into the next, 0 to 1.
        nesterov: look ahead along the momentum (Nesterov, 1983; Sutskever et al., 2013).
        weight_decay, clipnorm, clipvalue, global_clipnorm, name: as for `Optimizer`.

    Raises:
        ValueError: the momentum is out of range.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name)
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must lie in [0, 1], received {momentum}.")
        self.momentum = momentum
        self.nesterov = nesterov

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    def update(
        self,
        weights: Array,
        gradient: Array,
        slots: dict[str, Array],
        scratch: tuple[Array, Array],
        learning_rate: float,
    ) -> None:
        step, ahead = scratch
        np.multiply(gradient, learning_rate, out=step)
        if not self.momentum:
            weights -= step
            return
        velocity = slots["momentum"]
        velocity *= self.momentum
        velocity -= step
        if self.nesterov:
            weights += np.multiply(velocity, self.momentum, out=ahead)
            weights -= step
        else:
            weights += velocity

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
