"""Activation functions that have settings or weights of their own, as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import constraints, initializers, ops, regularizers
from ..autograd.tensor import Tensor, as_tensor
from ..autograd.tree import Shape, shape_map
from ..config.checked import Axes
from ..config.serialization import lookup, register, serialize
from ..ops.axes import axis_tuple
from ..ops.stateful import prelu, shares
from .arguments import known_length
from .base import Layer
from .input_spec import InputSpec
from .window import Window

_NEVER = -1e9  # a logit whose share is zero


class Elementwise(Layer):
    """Base of the layers whose output has the shape of their input."""

    casts_integers = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        return Window.point(input_shape)

    def _number(self, value: Any, name: str, least: float | None = 0.0) -> float:
        """A setting as a float.

        Raises:
            ValueError: it is below `least`.
        """
        if least is not None and value < least:
            raise ValueError(f"{self._where}: {name} must not be below {least}, received {value}.")
        return float(value)


@register("layers")
class ReLU(Elementwise):
    """The rectified linear unit: ``max(x, 0)`` (Nair & Hinton, 2010).

    Args:
        max_value: what larger outputs are held at. Default: nothing.
        negative_slope: the slope below the threshold.
        threshold: up to where the output is small: x above, ``negative_slope * (x - threshold)``
            below.

    Raises:
        ValueError: one of them is negative.
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else self._number(max_value, "max_value")
        self.negative_slope = self._number(negative_slope, "negative_slope")
        self.threshold = self._number(threshold, "threshold")

    def call(self, inputs: Tensor) -> Tensor:
        return ops.relu(
            inputs,
            negative_slope=self.negative_slope,
            max_value=self.max_value,
            threshold=self.threshold,
        )


@register("layers")
class LeakyReLU(Elementwise):
    """x above 0, ``negative_slope * x`` below (Maas et al., 2013).

    Args:
        negative_slope: 0 or more.

    Raises:
        ValueError: it is negative.
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = self._number(negative_slope, "negative_slope")

    def call(self, inputs: Tensor) -> Tensor:
        return ops.relu(inputs, negative_slope=self.negative_slope)


@register("layers")
class ELU(Elementwise):
    """x above 0, ``alpha * (exp(x) - 1)`` below (Clevert et al., 2016).

    Args:
        alpha: minus the limit on the left.
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = self._number(alpha, "alpha", None)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.elu(inputs, alpha=self.alpha)


@register("layers")
class PReLU(Elementwise):
    """x above 0, ``alpha * x`` below, with alpha learned (He et al., 2015).

    Args:
        alpha_initializer: of alpha, which has the shape of a sample.
        alpha_regularizer: what it adds to the loss.
        alpha_constraint: what it is held to after each step.
        shared_axes: axes along which alpha is one number; ``(1, 2)`` gives one per channel.
    """

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(
            alpha_initializer.lower() if isinstance(alpha_initializer, str) else alpha_initializer
        )
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        if isinstance(shared_axes, int):
            shared_axes = (shared_axes,)
        self.shared_axes = None if shared_axes is None else tuple(shared_axes)

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        shared = axis_tuple(self.shared_axes, rank) if self.shared_axes else ()
        own = [i for i in range(1, rank) if i not in shared]
        axes = {i: known_length(input_shape, i, "elements", self._where) for i in own}
        self.alpha = self.add_weight(
            tuple(axes.get(i, 1) for i in range(1, rank)),
            self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
            name="alpha",
        )
        self.input_spec = InputSpec(ndim=rank, axes=axes)

    def call(self, inputs: Tensor) -> Tensor:
        return prelu(inputs, self.alpha)


@register("layers")
class Softmax(Elementwise):
    """``exp(x) / sum(exp(x))`` along an axis: positive numbers with sum 1.

    Args:
        axis: along which they sum to 1, one axis or several.
    """

    def __init__(self, axis: Axes = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Tensor, mask: Any = None) -> Tensor:
        """The shares of the inputs; where a mask of bools does not hold, 0."""
        if mask is not None:
            mask = as_tensor(mask)
            held = mask if mask.dtype.kind == "b" else mask > 0.5
            inputs = ops.where(held, inputs, _NEVER)
        outputs = shares(inputs, axis=self.axis)
        return outputs if mask is None else ops.where(held, outputs, 0.0)


@register("layers")
class Identity(Elementwise):
    """What goes in comes out."""

    casts_integers = False

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@register("layers")
class Lambda(Layer):
    """A function of tensors as a layer.

    To be saved, the function must have a name and be registered with
    ``@gt.saving.register_keras_serializable()``: a file never holds code.

    Args:
        function: of the input, and of `arguments` as keywords.
        output_shape: of one sample, or a function of the input shape (with its batch axis).
            Default: found by trying the function on zeros.
        mask: None: masks are not passed from layer to layer here.
        arguments: settings for the function. One that takes ``training`` is told.

    Raises:
        TypeError: it is not a function.
        ValueError: a mask.
    """

    def __init__(
        self,
        function: Any,
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if mask is not None:
            raise ValueError(
                f"{self._where}: mask is not supported, for masks are not passed from layer to "
                "layer. Make it an input of the function."
            )
        if isinstance(function, str):
            function = lookup(function, "function")
        if not callable(function):
            raise TypeError(f"{self._where} takes a function, received {function!r}.")
        self.function = function
        if isinstance(output_shape, str):
            output_shape = lookup(output_shape, "function")
        if isinstance(output_shape, dict) and not output_shape:
            raise ValueError(f"{self._where}: output_shape is empty, received {output_shape!r}.")
        known = output_shape is None or callable(output_shape)
        self._sample_shape = output_shape if known else shape_map(tuple, output_shape)
        self.arguments = dict(arguments or {})
        named = getattr(getattr(function, "__code__", None), "co_varnames", ())
        self._tells = "training" in named

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        told = {"training": training} if self._tells else {}
        return self.function(inputs, **self.arguments, **told)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "function": serialize(self.function),
            "output_shape": serialize(self._sample_shape),
            "arguments": self.arguments,
        }

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._sample_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._sample_shape):
            return self._sample_shape(input_shape)
        given: list[Shape] = []
        shape_map(given.append, input_shape)
        return shape_map(lambda s: (given[0][0], *s), self._sample_shape)
