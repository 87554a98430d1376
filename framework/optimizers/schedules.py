"""Learning rates that depend on the step. Names, arguments and formulas are Keras 3's.

gt.optimizers.SGD(gt.optimizers.schedules.CosineDecay(0.1, decay_steps=10_000), momentum=0.9)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from ..serialization import register

__all__ = ["CosineDecay", "ExponentialDecay", "LearningRateSchedule", "PiecewiseConstantDecay"]


class LearningRateSchedule(ABC):
    """Base of the schedules: a function of the number of steps taken so far."""

    @abstractmethod
    def __call__(self, step: int) -> float:
        """The learning rate of the step after `step` others."""

    @abstractmethod
    def get_config(self) -> dict[str, Any]:
        """The arguments that make this schedule again."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A schedule from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        given = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({given})"


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
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate = float(initial_learning_rate)
        self.decay_steps = _steps(decay_steps, "decay_steps", self)
        self.alpha = float(alpha)
        self.name = name
        self.warmup_target = None if warmup_target is None else float(warmup_target)
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        top = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return top + (self.warmup_target - top) * step / self.warmup_steps
            step, top = step - self.warmup_steps, self.warmup_target
        cosine = (1 + math.cos(math.pi * min(step / self.decay_steps, 1.0))) / 2
        return top * ((1 - self.alpha) * cosine + self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


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
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = float(initial_learning_rate)
        self.decay_steps = _steps(decay_steps, "decay_steps", self)
        self.decay_rate = float(decay_rate)
        self.staircase = bool(staircase)
        self.name = name

    def __call__(self, step: int) -> float:
        power = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate * self.decay_rate**power

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


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
        boundaries: Sequence[int],
        values: Sequence[float],
        name: str = "PiecewiseConstant",
    ) -> None:
        self.boundaries, self.values = list(boundaries), [float(v) for v in values]
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

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


def _steps(value: Any, name: str, schedule: LearningRateSchedule) -> Any:
    if isinstance(value, bool) or not value > 0:
        raise ValueError(f"{type(schedule).__name__}: {name} must be positive, received {value!r}.")
    return value
