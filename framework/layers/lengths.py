"""Layers that scale vectors by their length: UnitNormalization, RMSNormalization."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..autograd.tensor import Tensor
from ..config.checked import Axes, Positive
from ..config.serialization import register
from ..ops.axes import axis_tuple
from ..ops.stateful import unit_length
from .activation import Elementwise
from .arguments import known_length
from .input_spec import InputSpec, LayerError
from .window import Window


class Scaled(Elementwise):
    """Base of the layers that divide by something along one axis or several."""

    def __init__(self, axis: Axes = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def check_input(self, shape: Any) -> None:
        """Refuse an input without the axes."""
        super().check_input(shape)
        rank = len(shape)
        if any(not -rank <= a < rank for a in _listed(self.axis)):
            raise LayerError(
                f"{self._where} scales along axis {self.axis}, which an input {shape} has not."
            )

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        return Window.channels(self.axis, input_shape)


@register("layers")
class UnitNormalization(Scaled):
    """Every vector to length 1: ``x / |x|``. Zeros stay zeros.

    Args:
        axis: one axis or several, along which the length is taken.

    Raises:
        TypeError: an axis that is no integer.
    """

    def call(self, inputs: Tensor) -> Tensor:
        return unit_length(inputs, axis_tuple(self.axis, inputs.ndim))


@register("layers")
class RMSNormalization(Scaled):
    """``scale * x / sqrt(mean(x^2) + epsilon)`` along some axes (Zhang & Sennrich, 2019).

    Args:
        axis: one axis or several, along which the mean is taken and the scale has its own numbers.
        epsilon: added to the mean square.

    Raises:
        TypeError, ValueError: an axis that is no integer, or an epsilon that is not positive.
    """

    def __init__(self, axis: Axes = -1, epsilon: Positive = 1e-6, **kwargs: Any) -> None:
        super().__init__(axis, **kwargs)
        self.epsilon = self._number(epsilon, "epsilon")

    def build(self, input_shape: Any) -> None:
        axes = axis_tuple(self.axis, len(input_shape))
        lengths = [known_length(input_shape, axis, "elements", self._where) for axis in axes]
        self.scale = self.add_weight(tuple(lengths), "ones", name="scale")
        spec = dict(zip(axes, lengths, strict=True))
        self.input_spec = InputSpec(ndim=len(input_shape), axes=spec)

    def call(self, inputs: Tensor) -> Tensor:
        axes = axis_tuple(self.axis, inputs.ndim)
        return ops.rms_norm(inputs, self.scale, axis=axes, epsilon=self.epsilon)


def _listed(axis: Axes) -> list[int]:
    return [axis] if isinstance(axis, int) else list(axis)
