"""Steps of the size of the gradient, or of one size: SGD, with momentum if wished, and Lion."""

from __future__ import annotations

import numpy as np

from ..config.serialization import register
from .arguments import arguments
from .base import Array, Optimizer


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
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: as for
            `Optimizer`.

    Raises:
        ValueError: the momentum is out of range.
    """

    momentum: float
    nesterov: bool

    __init__ = arguments(learning_rate=0.01, momentum=0.0, nesterov=False)

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    def factors(self, learning_rate: float) -> tuple[float, ...]:
        return -learning_rate, self.momentum

    def update(
        self,
        weights: Array,
        gradient: Array,
        slots: dict[str, Array],
        scratch: tuple[Array, Array],
        learning_rate: float,
    ) -> None:
        rate, keep = self.factors(learning_rate)
        step, ahead = scratch
        np.multiply(gradient, rate, out=step)
        if not self.momentum:
            weights += step
            return
        velocity = slots["momentum"]
        velocity *= keep
        velocity += step
        if self.nesterov:
            weights += np.multiply(velocity, keep, out=ahead)
            weights += step
        else:
            weights += velocity


@register("optimizers")
class Lion(Optimizer):
    """Lion: the sign of an average of gradients (Chen et al., 2023).

    With gradient g, for each parameter w::

        w <- w - learning_rate sign(beta_1 m + (1 - beta_1) g)
        m <- beta_2 m + (1 - beta_2) g

    Args:
        learning_rate: the step size, or a schedule of it: about a tenth of what Adam takes.
        beta_1: how much of the average goes into a step.
        beta_2: how much of the average a step keeps.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: as for
            `Optimizer`.

    Raises:
        ValueError: a beta is out of range.
    """

    slot_names = ("momentum",)

    beta_1: float
    beta_2: float

    __init__ = arguments(learning_rate=0.001, beta_1=0.9, beta_2=0.99)

    def factors(self, learning_rate: float) -> tuple[float, ...]:
        return -learning_rate, self.beta_1, 1 - self.beta_1, self.beta_2, 1 - self.beta_2

    def update(
        self,
        weights: Array,
        gradient: Array,
        slots: dict[str, Array],
        scratch: tuple[Array, Array],
        learning_rate: float,
    ) -> None:
        rate, old_1, new_1, old_2, new_2 = self.factors(learning_rate)
        mean = slots["momentum"]
        step, part = scratch
        np.multiply(mean, old_1, out=step)
        step += np.multiply(gradient, new_1, out=part)
        np.sign(step, out=step)
        step *= rate
        weights += step
        mean *= old_2
        mean += np.multiply(gradient, new_2, out=part)
