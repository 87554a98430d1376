"""Adam and its kin, which divide an average of the gradients by how large they have been."""

from __future__ import annotations

import math

import numpy as np

from ..config.serialization import register
from .arguments import arguments
from .base import Array, Optimizer


def _move_moments(gradient: Array, slots: dict[str, Array], change: Array, *new: float) -> None:
    """The running means of g and g^2, a share `new` of the way to those of now."""
    mean, square = slots["momentum"], slots["velocity"]
    np.subtract(gradient, mean, out=change)
    change *= new[0]
    mean += change
    np.multiply(gradient, gradient, out=change)
    change -= square
    change *= new[1]
    square += change


class _Averaging(Optimizer):
    """Base of those that average the gradients and their size, by two shares and an epsilon."""

    beta_1: float
    beta_2: float
    epsilon: float

    def check(self) -> None:
        for name in ("beta_1", "beta_2"):
            if getattr(self, name) == 1:
                raise ValueError(f"{type(self).__name__}: {name} must be below 1, received 1.")


@register("optimizers")
class Adam(_Averaging):
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
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: as for
            `Optimizer`.

    Raises:
        ValueError: a beta is out of range.
    """

    amsgrad: bool

    __init__ = arguments(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False)

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity", *(("velocity_hat",) if self.amsgrad else ()))

    def factors(self, learning_rate: float) -> tuple[float, ...]:
        step = self.iterations + 1
        rate = learning_rate * math.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        return -rate, 1 - self.beta_1, 1 - self.beta_2, self.epsilon

    def update(
        self,
        weights: Array,
        gradient: Array,
        slots: dict[str, Array],
        scratch: tuple[Array, Array],
        learning_rate: float,
    ) -> None:
        rate, *new, epsilon = self.factors(learning_rate)
        change, root = scratch
        _move_moments(gradient, slots, change, *new)
        square = slots["velocity"]
        if self.amsgrad:
            square = np.maximum(slots["velocity_hat"], square, out=slots["velocity_hat"])
        np.sqrt(square, out=root)
        root += epsilon
        np.multiply(slots["momentum"], rate, out=change)
        change /= root
        weights += change


@register("optimizers")
class AdamW(Adam):
    """`Adam` with weight decay (Loshchilov & Hutter, 2019).

    Before each step every parameter w loses ``weight_decay learning_rate w``, which keeps the decay
    out of the running means, unlike a penalty in the loss.

    Args:
        learning_rate: the step size, or a schedule of it.
        weight_decay: the share of a parameter, times the learning rate, that each step takes off.
        beta_1, beta_2, epsilon, amsgrad: as for `Adam`.
        clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: as for
            `Optimizer`.

    Raises:
        ValueError: a beta is out of range, or `weight_decay` is None.
    """

    __init__ = arguments(
        learning_rate=0.001,
        weight_decay=0.004,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
    )

    def check(self) -> None:
        super().check()
        if self.weight_decay is None:
            raise ValueError("AdamW needs a weight_decay: a number such as 0.004. Or take Adam.")


@register("optimizers")
class Adamax(_Averaging):
    """Adamax: Adam by the largest gradient (Kingma & Ba, 2015, section 7.1).

    At step t with gradient g, for each parameter w::

        m <- m + (1 - beta_1) (g - m)
        u <- max(beta_2 u, |g|)
        w <- w - learning_rate / (1 - beta_1^t) m / (u + epsilon)

    Args:
        learning_rate: the step size, or a schedule of it.
        beta_1: how much of the running mean of g a step keeps.
        beta_2: how much of the largest g so far a step keeps.
        epsilon: keeps the quotient finite.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: as for
            `Optimizer`.

    Raises:
        ValueError: a beta is out of range.
    """

    slot_names = ("m", "u")

    __init__ = arguments(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7)

    def factors(self, learning_rate: float) -> tuple[float, ...]:
        rate = learning_rate / (1 - self.beta_1 ** (self.iterations + 1))
        return -rate, 1 - self.beta_1, self.beta_2, self.epsilon

    def update(
        self,
        weights: Array,
        gradient: Array,
        slots: dict[str, Array],
        scratch: tuple[Array, Array],
        learning_rate: float,
    ) -> None:
        rate, new, keep, epsilon = self.factors(learning_rate)
        mean, largest = slots["m"], slots["u"]
        change, size = scratch
        np.subtract(gradient, mean, out=change)
        change *= new
        mean += change
        largest *= keep
        np.maximum(largest, np.abs(gradient, out=size), out=largest)
        np.add(largest, epsilon, out=size)
        np.multiply(mean, rate, out=change)
        change /= size
        weights += change


@register("optimizers")
class Nadam(_Averaging):
    """Nadam: Adam that looks ahead along its momentum, as Nesterov's (Dozat, 2016).

    At step t with gradient g, for each parameter w::

        u_t = beta_1 (1 - 0.96^t / 2)                        the momentum, which grows
        m <- m + (1 - beta_1) (g - m)
        v <- v + (1 - beta_2) (g^2 - v)
        a = u_(t+1) m / (1 - u_1 u_2 ... u_(t+1)) + (1 - u_t) g / (1 - u_1 u_2 ... u_t)
        w <- w - learning_rate a / (sqrt(v / (1 - beta_2^t)) + epsilon)

    Args:
        learning_rate: the step size, or a schedule of it.
        beta_1, beta_2: how much of the running means of g and g^2 a step keeps.
        epsilon: keeps the quotient finite.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: as for
            `Optimizer`.

    Attributes:
        u_product: the product of u so far.

    Raises:
        ValueError: a beta is out of range.
    """

    slot_names = ("momentum", "velocity")
    scalars = ("u_product",)
    u_product: float = 1.0

    __init__ = arguments(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7)

    def _momentum(self, step: int) -> float:
        return self.beta_1 * (1 - 0.5 * 0.96**step)

    def advance(self) -> None:
        self.u_product *= self._momentum(self.iterations + 1)

    def factors(self, learning_rate: float) -> tuple[float, ...]:
        step = self.iterations + 1
        u, ahead = self._momentum(step), self._momentum(step + 1)
        of_mean = ahead / (1 - self.u_product * ahead)
        of_gradient = (1 - u) / (1 - self.u_product)
        rates = -learning_rate * of_mean, -learning_rate * of_gradient
        new = 1 - self.beta_1, 1 - self.beta_2
        return rates[0], *new, self.epsilon, rates[1], 1 / (1 - self.beta_2**step)

    def update(
        self,
        weights: Array,
        gradient: Array,
        slots: dict[str, Array],
        scratch: tuple[Array, Array],
        learning_rate: float,
    ) -> None:
        of_mean, *new, epsilon, of_gradient, growth = self.factors(learning_rate)
        change, root = scratch
        _move_moments(gradient, slots, change, *new)
        np.multiply(slots["momentum"], of_mean, out=change)
        change += np.multiply(gradient, of_gradient, out=root)
        np.multiply(slots["velocity"], growth, out=root)
        np.sqrt(root, out=root)
        root += epsilon
        change /= root
        weights += change
