"""Convolution in one, two and three dimensions."""

from __future__ import annotations

import math
from typing import Any

from .. import activations, constraints, initializers, ops, regularizers
from ..autograd.tensor import Tensor
from ..config.checked import Count
from ..config.serialization import register
from ..ops.geometry import per_axis
from .arguments import known_length
from .spatial import SpatialLayer, read_padding
from .window import Window


class Conv(SpatialLayer):
    """Convolution (cross-correlation) at any rank: ``activation(conv(x, kernel) + bias)``.

    Args:
        filters: output channels.
        kernel_size: one number, or one per spatial axis.
        strides: steps of the window, likewise.
        padding: ``"valid"`` (none), ``"same"`` (at stride 1 the output is as long as the input; of
            an odd number of zeros the larger half comes last), a number of zeros on every side, or
            pairs ``((top, bottom), (left, right))``. In one dimension also ``"causal"``.
        data_format: ``"channels_last"`` for ``(N, ..., C)``, or ``"channels_first"``.
        dilation_rate: distance between the taps of the kernel.
        groups: how many independent convolutions share out the channels.
        activation: a name (``"relu"``) or a function. Default: none.
        use_bias: whether to add a bias per output channel.
        kernel_initializer: of the kernel, ``(k..., c_in // groups, filters)``.
        bias_initializer: of the bias, ``(filters,)``.
        kernel_regularizer, bias_regularizer: what they add to the loss, as in ``"l2"``.
        activity_regularizer: what the output adds to the loss, for each sample.
        kernel_constraint, bias_constraint: what they are held to after each step, as in
            ``"non_neg"``.

    Raises:
        ValueError: an argument out of its range, or `groups` does not divide the channels.
    """

    activation = activations.Chosen()

    def __init__(
        self,
        filters: Count,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: Count = 1,
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
        super().__init__(data_format, activity_regularizer=activity_regularizer, **kwargs)
        rank, where = self.rank, self._where
        self.filters = filters
        self.kernel_size = per_axis(kernel_size, rank, "kernel_size", where)
        self.strides = per_axis(strides, rank, "strides", where)
        self.padding = read_padding(padding, rank, where)
        self.dilation_rate = per_axis(dilation_rate, rank, "dilation_rate", where)
        self.groups = groups
        if self.filters % self.groups:
            raise ValueError(
                f"{where}: groups must divide filters, received groups={groups}, filters={filters}."
            )
        self.activation = activation
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.bias: Any = None

    def build(self, input_shape: Any) -> None:
        channels = known_length(input_shape, self.channel_axis, "channels", self._where)
        if channels % self.groups:
            raise ValueError(
                f"{self._where}: groups must divide the input channels, received groups="
                f"{self.groups} and {channels} channels."
            )
        shape = self.kernel_shape(channels)
        self.kernel = self.add_weight(
            shape,
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (self.filters,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        self.input_spec = self._spec(channels)

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """The shape of the kernel for that many input channels."""
        return (*self.kernel_size, channels // self.groups, self.filters)

    def move(self, inputs: Tensor) -> Tensor:
        outputs = ops.conv(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            groups=self.groups,
        )
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        lengths = self.windows(
            input_shape,
            "kernel",
            size=self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
        )
        return self.output_of(input_shape, lengths, self.filters)

    def multiply_adds(self, input_shape: Any, output_shape: Any) -> int:
        inputs = math.prod(self.kernel_size) * input_shape[self.channel_axis] // self.groups
        return inputs * math.prod(output_shape[1:])

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        lengths = self.spatial(input_shape)
        return Window.sliding(
            lengths, self.kernel_size, self.strides, self.padding, self.dilation_rate
        )


@register("layers")
class Conv1D(Conv):
    __doc__ = f"Convolution over ``(N, steps, C)``: text, voice, time series.\n\n{Conv.__doc__}"
    rank = 1


@register("layers")
class Conv2D(Conv):
    __doc__ = f"Convolution over ``(N, H, W, C)``: images.\n\n{Conv.__doc__}"
    rank = 2


@register("layers")
class Conv3D(Conv):
    __doc__ = f"Convolution over ``(N, D, H, W, C)``: video, volumes.\n\n{Conv.__doc__}"
    rank = 3
