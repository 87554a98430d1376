"""Depthwise and separable convolution: a kernel for each channel, then one across the channels."""

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


class Depthwise(SpatialLayer):
    """What depthwise and separable convolution share: windows, and a kernel for each channel."""

    activation = activations.Chosen()

    def __init__(
        self,
        kernel_size: Any,
        strides: Any,
        padding: Any,
        depth_multiplier: Count,
        data_format: str | None,
        dilation_rate: Any,
        activation: Any,
        use_bias: bool,
        depthwise_initializer: Any,
        bias_initializer: Any,
        depthwise_regularizer: Any,
        bias_regularizer: Any,
        depthwise_constraint: Any,
        bias_constraint: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, **kwargs)
        rank, where = self.rank, self._where
        self.kernel_size = per_axis(kernel_size, rank, "kernel_size", where)
        self.strides = per_axis(strides, rank, "strides", where)
        self.padding = read_padding(padding, rank, where)
        self.dilation_rate = per_axis(dilation_rate, rank, "dilation_rate", where)
        self.depth_multiplier = depth_multiplier
        self.activation = activation
        self.use_bias = use_bias
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.bias: Any = None

    def add_depthwise(self, input_shape: Any, name: str) -> int:
        """Make the kernel, ``(k..., C, depth_multiplier)``; returns C times the multiplier."""
        channels = known_length(input_shape, self.channel_axis, "channels", self._where)
        self.depthwise_kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier),
            self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
            name=name,
        )
        self.input_spec = self._spec(channels)
        return channels * self.depth_multiplier

    def add_bias(self, filters: Count) -> None:
        """Make the bias."""
        if self.use_bias:
            self.bias = self.add_weight(
                (filters,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def depthwise(self, inputs: Tensor) -> Tensor:
        """Every channel convolved with its own kernels."""
        channels = inputs.shape[-1]
        shape = (*self.kernel_size, 1, channels * self.depth_multiplier)
        return ops.conv(
            inputs,
            ops.reshape(self.depthwise_kernel, shape=shape),
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            groups=channels,
        )

    def activated(self, outputs: Tensor) -> Tensor:
        """With bias and activation."""
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs)

    def shape_with(self, input_shape: Any, filters: int | None) -> Any:
        """The output shape for that many filters."""
        lengths = self.windows(
            input_shape,
            "kernel",
            size=self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
        )
        return self.output_of(input_shape, lengths, filters)

    def multiply_adds(self, input_shape: Any, output_shape: Any) -> int:
        positions = math.prod(self.spatial(output_shape))
        return positions * sum(w.size for w in self.weights if w.ndim > 2)

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        lengths = self.spatial(input_shape)
        return Window.sliding(
            lengths, self.kernel_size, self.strides, self.padding, self.dilation_rate
        )


class DepthwiseConv(Depthwise):
    """Convolution of every channel by itself, with `depth_multiplier` kernels each.

    Args:
        kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias: as for
            `Conv2D`.
        depth_multiplier: kernels, and so output channels, for each input channel.
        depthwise_initializer: of the kernel, ``(k..., C, depth_multiplier)``.
        bias_initializer: of the bias, ``(C * depth_multiplier,)``.
        depthwise_regularizer, bias_regularizer: what they add to the loss, as in ``"l2"``.
        activity_regularizer: what the output adds to the loss, for each sample.
        depthwise_constraint, bias_constraint: what they are held to after each step.

    Raises:
        ValueError: an argument out of its range.
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        depth_multiplier: Count = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            depth_multiplier,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            depthwise_initializer,
            bias_initializer,
            depthwise_regularizer,
            bias_regularizer,
            depthwise_constraint,
            bias_constraint,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )

    def build(self, input_shape: Any) -> None:
        self.add_bias(self.add_depthwise(input_shape, "kernel"))
        self.kernel = self.depthwise_kernel

    def move(self, inputs: Tensor) -> Tensor:
        return self.activated(self.depthwise(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        channels = input_shape[self.channel_axis]
        filters = None if channels is None else channels * self.depth_multiplier
        return self.shape_with(input_shape, filters)


class SeparableConv(Depthwise):
    """Convolution in two parts: of every channel by itself, then 1x1 across the channels.

    Args:
        filters: output channels.
        kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias: as for
            `Conv2D`.
        depth_multiplier: channels between the parts, for each input channel.
        depthwise_initializer: of the first kernel, ``(k..., C, depth_multiplier)``.
        pointwise_initializer: of the second, ``(1..., C * depth_multiplier, filters)``.
        bias_initializer: of the bias, ``(filters,)``.
        depthwise_regularizer, pointwise_regularizer, bias_regularizer: what they add to the loss.
        activity_regularizer: what the output adds to the loss, for each sample.
        depthwise_constraint, pointwise_constraint, bias_constraint: what they are held to after
            each step.

    Raises:
        ValueError: an argument out of its range.
    """

    def __init__(
        self,
        filters: Count,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: Count = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            depth_multiplier,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            depthwise_initializer,
            bias_initializer,
            depthwise_regularizer,
            bias_regularizer,
            depthwise_constraint,
            bias_constraint,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.filters = filters
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.pointwise_constraint = constraints.get(pointwise_constraint)

    def build(self, input_shape: Any) -> None:
        between = self.add_depthwise(input_shape, "depthwise_kernel")
        self.pointwise_kernel = self.add_weight(
            (*(1,) * self.rank, between, self.filters),
            self.pointwise_initializer,
            regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
            name="pointwise_kernel",
        )
        self.add_bias(self.filters)

    def move(self, inputs: Tensor) -> Tensor:
        return self.activated(ops.conv(self.depthwise(inputs), self.pointwise_kernel))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.shape_with(input_shape, self.filters)


@register("layers")
class DepthwiseConv1D(DepthwiseConv):
    rank = 1


@register("layers")
class DepthwiseConv2D(DepthwiseConv):
    rank = 2


@register("layers")
class SeparableConv1D(SeparableConv):
    rank = 1


@register("layers")
class SeparableConv2D(SeparableConv):
    rank = 2
