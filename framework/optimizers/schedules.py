"""Learning rates that depend on the step. Names, arguments and formulas are Keras 3's.

gt.optimizers.SGD(gt.optimizers.schedules.CosineDecay(0.1, decay_steps=10_000), momentum=0.9)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..config.checked import NotNegative, Positive, Share
from ..config.configured import Configured
from ..config.exports import exporting
from ..config.serialization import deserialize as _deserialize
from ..config.serialization import deserializer, register, serialize

__all__ = ["CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay",
           "LearningRateSchedule", "PiecewiseConstantDecay", "PolynomialDecay", "deserialize",
           "serialize"]  # fmt: skip


class LearningRateSchedule(Configured, ABC):
    """Base of the schedules: a function of the number of steps taken so far."""

    @abstractmethod
    def __call__(self, step: int) -> float:
        """The learning rate of the step after `step` others."""


@register("schedules")
class CosineDecay(LearningRateSchedule):
    """Down along half a cosine (Loshchilov & Hutter, 2017), with a linear warm-up if wished.

    From `initial_learning_rate`, or `warmup_target` after the warm-up, r::

        r ((1 - alpha) (1 + cos(pi min(step / decay_steps, 1))) / 2 + alpha)

    Args:
        initial_learning_rate: at step 0.
        decay_steps: how many steps it takes down.
        alpha: the share of the rate that is left.
        name: what to call it.
        warmup_target: where a warm-up ends; None: there is none.
        warmup_steps: how many steps that takes.

    Raises:
        ValueError: no steps to go down in.
    """

    def __init__(
        self,
        initial_learning_rate: NotNegative,
        decay_steps: Positive,
        alpha: Share = 0.0,
        name: str = "CosineDecay",
        warmup_target: NotNegative | None = None,
        warmup_steps: NotNegative = 0,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        top, done = self.initial_learning_rate, float(step)
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return top + (self.warmup_target - top) * step / self.warmup_steps
            done, top = step - self.warmup_steps, self.warmup_target
        cosine = (1 + math.cos(math.pi * min(done / self.decay_steps, 1.0))) / 2
        return top * ((1 - self.alpha) * cosine + self.alpha)


@register("schedules")
class ExponentialDecay(LearningRateSchedule):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``.

    Args:
        initial_learning_rate: at step 0.
        decay_steps: after how many steps it has been multiplied once.
        decay_rate: by what.
        staircase: whether to do so all at once, every `decay_steps` steps.
        name: what to call it.

    Raises:
        ValueError: `decay_steps` is not positive.
    """

    def __init__(
        self,
        initial_learning_rate: NotNegative,
        decay_steps: Positive,
        decay_rate: NotNegative,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = bool(staircase)
        self.name = name

    def __call__(self, step: int) -> float:
        power = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate * self.decay_rate**power


@register("schedules")
class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[0]`` up to and with step ``boundaries[0]``, then ``values[1]``, and so on.

    Args:
        boundaries: steps, in rising order.
        values: one more than there are boundaries.
        name: what to call it.

    Raises:
        ValueError: the numbers of them do not fit, or the boundaries are not in order.
    """

    def __init__(
        self,
        boundaries: Sequence[NotNegative],
        values: Sequence[NotNegative],
        name: str = "PiecewiseConstant",
    ) -> None:
        self.boundaries, self.values = list(boundaries), list(values)
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"{type(self).__name__} takes one value more than boundaries, received "
                f"{len(self.boundaries)} boundaries and {len(self.values)} values."
            )
        if self.boundaries != sorted(self.boundaries):
            raise ValueError(f"The boundaries must rise, received {self.boundaries}.")
        self.name = name

    def __call__(self, step: int) -> float:
        return self.values[bisect_left(self.boundaries, step)]


@register("schedules")
class InverseTimeDecay(LearningRateSchedule):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    Args:
        initial_learning_rate: at step 0.
        decay_steps: after how many steps the divisor has grown by `decay_rate`.
        decay_rate: by how much that is.
        staircase: whether it grows all at once, every `decay_steps` steps.
        name: what to call it.

    Raises:
        ValueError: `decay_steps` is not positive.
    """

    def __init__(
        self,
        initial_learning_rate: NotNegative,
        decay_steps: Positive,
        decay_rate: NotNegative,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = bool(staircase)
        self.name = name

    def __call__(self, step: int) -> float:
        times = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate / (1 + self.decay_rate * times)


@register("schedules")
class PolynomialDecay(LearningRateSchedule):
    """Down to `end_learning_rate` along ``(1 - step / decay_steps) ** power``, and there it stays.

    Args:
        initial_learning_rate: at step 0.
        decay_steps: how many steps it takes down.
        end_learning_rate: where it ends.
        power: 1 is a straight line.
        cycle: start again, rather than stay, from where the same curve stretched to the next
            multiple of `decay_steps` is.
        name: what to call it.

    Raises:
        ValueError: `decay_steps` is not positive.
    """

    def __init__(
        self,
        initial_learning_rate: NotNegative,
        decay_steps: Positive,
        end_learning_rate: NotNegative = 0.0001,
        power: Positive = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = bool(cycle)
        self.name = name

    def __call__(self, step: int) -> float:
        cycles = max(1, math.ceil(step / self.decay_steps)) if self.cycle else 1
        left = 1 - min(step / (self.decay_steps * cycles), 1.0)
        span = self.initial_learning_rate - self.end_learning_rate
        return self.end_learning_rate + span * left**self.power


@register("schedules")
class CosineDecayRestarts(LearningRateSchedule):
    """Down along half a cosine again and again (Loshchilov & Hutter, 2017: SGDR).

    The i-th time takes ``first_decay_steps * t_mul ** i`` steps, from
    ``initial_learning_rate * m_mul ** i``.

    Args:
        initial_learning_rate: at step 0.
        first_decay_steps: how many steps it takes down the first time.
        t_mul: how many times longer each time is.
        m_mul: how many times higher each start is.
        alpha: the share of `initial_learning_rate` that is left at the end of each.
        name: what to call it.

    Raises:
        ValueError: `first_decay_steps` or `t_mul` is not positive.
    """

    def __init__(
        self,
        initial_learning_rate: NotNegative,
        first_decay_steps: Positive,
        t_mul: Positive = 2.0,
        m_mul: NotNegative = 1.0,
        alpha: Share = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: int) -> float:
        done = step / self.first_decay_steps
        if self.t_mul == 1:
            restarts = math.floor(done)
            share = done - restarts
        else:  # the first so many times take (t_mul^n - 1) / (t_mul - 1) of the first's steps
            grown = 1 + done * (self.t_mul - 1)
            if grown <= 0:  # ever shorter ones, all over by now
                return self.initial_learning_rate * self.alpha
            restarts = math.floor(math.log(grown, self.t_mul) + 1e-9)
            before = (self.t_mul**restarts - 1) / (self.t_mul - 1)
            share = (done - before) / self.t_mul**restarts
        cosine = (1 + math.cos(math.pi * share)) / 2 * self.m_mul**restarts
        return self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha)


deserialize = deserializer(lambda config: _deserialize(config, "schedule", "schedules"))
if not TYPE_CHECKING:  # so that types know every name
    __getattr__, __dir__ = exporting(__name__, __all__, "schedule")
