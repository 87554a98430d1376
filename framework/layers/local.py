"""Locally connected layers: windows as in a convolution, but with weights of their own at each."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..autograd.tensor import Tensor
from ..config.checked import Count
from ..config.serialization import register
from .arguments import known_length, refuse
from .convolution import Conv
from .input_spec import InputSpec, LayerError


class LocallyConnected(Conv):
    """Convolution without weight sharing: a kernel and a bias of its own for every position.

    The size of the input is fixed by the weights.

    Args:
        filters: output channels.
        kernel_size, strides, padding, data_format, activation, use_bias: as for `Conv2D`.
        kernel_initializer: of the kernels, ``(positions, taps * C, filters)``.
        bias_initializer: of the biases, ``(*output_size, filters)``.
        kernel_regularizer, bias_regularizer: what they add to the loss, as in ``"l2"``.
        activity_regularizer: what the output adds to the loss, for each sample.
        kernel_constraint, bias_constraint: what they are held to after each step, as in
            ``"non_neg"``.

    Raises:
        ValueError: an argument out of its range, or an input of open size.
    """

    unsaid = ("groups", "dilation_rate")

    def __init__(
        self,
        filters: Count,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        refuse(kwargs, ("dilation_rate", "groups"), type(self).__name__)
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            1,
            1,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **kwargs,
        )

    def build(self, input_shape: Any) -> None:
        channels = known_length(input_shape, self.channel_axis, "channels", self._where)
        if None in self.spatial(input_shape):
            raise LayerError(
                f"{self._where} has weights for every position, so it needs to know the size of "
                f"its input, received {tuple(input_shape)}. Say it in the shape of the Input."
            )
        size = self.spatial(self.compute_output_shape(input_shape))
        self.kernel = self.add_weight(
            (math.prod(size), math.prod(self.kernel_size) * channels, self.filters),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (*size, self.filters),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        axes = {i: n for i, n in enumerate(input_shape) if i}
        self.input_spec = InputSpec(
            ndim=self.rank + 2,
            axes=axes,
            layout=self.input_spec.layout if self.input_spec else (),
        )

    def move(self, inputs: Tensor) -> Tensor:
        outputs = ops.local_conv(
            inputs,
            self.kernel,
            kernel_size=self.kernel_size,
            strides=self.strides,
            padding=self.padding,
        )
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs)


@register("layers")
class LocallyConnected1D(LocallyConnected):
    rank = 1


@register("layers")
class LocallyConnected2D(LocallyConnected):
    rank = 2
