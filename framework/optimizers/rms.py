"""Steps divided by the root of the squares of the gradients: Adagrad, Adadelta, RMSprop."""

from __future__ import annotations

import numpy as np

from ..config.serialization import register
from .arguments import arguments
from .base import Array, Optimizer


@register("optimizers")
class Adagrad(Optimizer):
    """Adagrad (Duchi et al., 2011).

    With gradient g, for each parameter w::

        a <- a + g^2
        w <- w - learning_rate g / sqrt(a + epsilon)

    Args:
        learning_rate: the step size, or a schedule of it.
        initial_accumulator_value: what a starts from, 0 or more.
        epsilon: keeps the quotient finite.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: as for
            `Optimizer`.

    Raises:
        ValueError: `initial_accumulator_value` is negative.
    """

    slot_names = ("accumulator",)

    initial_accumulator_value: float
    epsilon: float

    __init__ = arguments(learning_rate=0.001, initial_accumulator_value=0.1, epsilon=1e-7)

    def check(self) -> None:
        self.initial = {"accumulator": self.initial_accumulator_value}

    def factors(self, learning_rate: float) -> tuple[float, ...]:
        return -learning_rate, self.epsilon

    def update(
        self,
        weights: Array,
        gradient: Array,
        slots: dict[str, Array],
        scratch: tuple[Array, Array],
        learning_rate: float,
    ) -> None:
        rate, epsilon = self.factors(learning_rate)
        total = slots["accumulator"]
        step, root = scratch
        total += np.multiply(gradient, gradient, out=step)
        np.add(total, epsilon, out=root)
        np.sqrt(root, out=root)
        np.multiply(gradient, rate, out=step)
        step /= root
        weights += step


@register("optimizers")
class Adadelta(Optimizer):
    """Adadelta: steps in the units of the parameters (Zeiler, 2012).

    With gradient g, for each parameter w::

        a <- rho a + (1 - rho) g^2
        s = -sqrt(d + epsilon) / sqrt(a + epsilon) g
        d <- rho d + (1 - rho) s^2
        w <- w + learning_rate s

    Args:
        learning_rate: the step size, or a schedule of it; the paper's is 1.
        rho: how much of the running means of g^2 and s^2 a step keeps.
        epsilon: keeps the quotient finite, and starts the steps.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: as for
            `Optimizer`.

    Raises:
        ValueError: rho is out of range.
    """

    slot_names = ("accumulated_grad", "accumulated_delta_var")

    rho: float
    epsilon: float

    __init__ = arguments(learning_rate=0.001, rho=0.95, epsilon=1e-7)

    def factors(self, learning_rate: float) -> tuple[float, ...]:
        return -learning_rate, self.rho, 1 - self.rho, self.epsilon

    def update(
        self,
        weights: Array,
        gradient: Array,
        slots: dict[str, Array],
        scratch: tuple[Array, Array],
        learning_rate: float,
    ) -> None:
        rate, rho, new, epsilon = self.factors(learning_rate)
        squares, steps = slots["accumulated_grad"], slots["accumulated_delta_var"]
        step, part = scratch
        squares *= rho
        np.multiply(gradient, gradient, out=part)
        squares += np.multiply(part, new, out=part)
        np.add(steps, epsilon, out=step)
        np.sqrt(step, out=step)
        step *= gradient
        np.add(squares, epsilon, out=part)
        step /= np.sqrt(part, out=part)
        steps *= rho
        np.multiply(step, step, out=part)
        steps += np.multiply(part, new, out=part)
        weights += np.multiply(step, rate, out=step)


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
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: as for
            `Optimizer`.

    Raises:
        ValueError: rho or the momentum is out of range.
    """

    rho: float
    momentum: float
    epsilon: float
    centered: bool

    __init__ = arguments(learning_rate=0.001, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False)

    @property
    def slot_names(self) -> tuple[str, ...]:
        wanted = {"velocity": True, "momentum": self.momentum, "average_gradient": self.centered}
        return tuple(name for name, kept in wanted.items() if kept)

    def factors(self, learning_rate: float) -> tuple[float, ...]:
        return learning_rate, self.rho, 1 - self.rho, self.epsilon, self.momentum

    def update(
        self,
        weights: Array,
        gradient: Array,
        slots: dict[str, Array],
        scratch: tuple[Array, Array],
        learning_rate: float,
    ) -> None:
        rate, rho, new, epsilon, momentum = self.factors(learning_rate)
        square = slots["velocity"]
        step, root = scratch

        np.multiply(gradient, gradient, out=step)
        step *= new
        square *= rho
        square += step
        if self.centered:
            average = slots["average_gradient"]
            average *= rho
            average += np.multiply(gradient, new, out=step)
            np.subtract(square, np.multiply(average, average, out=step), out=root)
            root += epsilon
        else:
            np.add(square, epsilon, out=root)
        np.sqrt(root, out=root)
        np.multiply(gradient, rate, out=step)
        step /= root
        if self.momentum:
            velocity = slots["momentum"]
            velocity *= momentum
            velocity += step
            weights -= velocity
        else:
            weights -= step
