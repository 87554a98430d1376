"""Transposed convolution: the gradient of a convolution as a layer that enlarges images."""

from __future__ import annotations

import inspect
import math
from typing import Any

from .. import ops
from ..autograd.tensor import Tensor
from ..config.checked import Count
from ..config.serialization import register
from ..errors import ShapeError
from ..ops.geometry import extent, transposed_size
from .arguments import refuse
from .convolution import Conv
from .input_spec import LayerError
from .window import Window, fraction

_OPEN = 1 << 20  # stands for an axis of any length


class ConvTranspose(Conv):
    """Transposed convolution at any rank (Zeiler et al., 2010), from small to large images.

    Args:
        filters: output channels.
        kernel_size, strides, padding, data_format, dilation_rate: of the convolution that this
            transposes; see `Conv2D`.
        output_padding: None, or how many of the ``strides - 1`` other output sizes to go up; one
            number, or one per spatial axis.
        activation, use_bias, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint: as for `Conv2D`.
        kernel_initializer: of the kernel, ``(k..., filters, C)``.
        bias_initializer: of the bias, ``(filters,)``.

    Raises:
        ValueError: an argument out of its range, or nothing is left of the output.
    """

    def __init__(
        self,
        filters: Count,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        refuse(kwargs, ("groups",), type(self).__name__)
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
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
        self.output_padding = output_padding
        self._size((_OPEN,) * self.rank)  # refuses what fits no shape

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        return (*self.kernel_size, self.filters, channels)

    def move(self, inputs: Tensor) -> Tensor:
        outputs = ops.conv_transpose(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation_rate,
        )
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs)

    def _size(self, lengths: tuple[int, ...]) -> tuple[int, ...]:
        reach = extent(self.kernel_size, self.dilation_rate)
        given = (self.strides, self.padding, self.output_padding, self._where)
        return transposed_size(lengths, reach, *given)[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        given = self.spatial(input_shape)
        try:
            sizes = self._size(tuple(_OPEN if n is None else n for n in given))
        except ShapeError as error:
            raise LayerError(str(error)) from error
        lengths = tuple(None if n is None else m for n, m in zip(given, sizes, strict=True))
        return self.output_of(input_shape, lengths, self.filters)

    def multiply_adds(self, input_shape: Any, output_shape: Any) -> int:
        return self.kernel.size * math.prod(self.spatial(input_shape))

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        reach = extent(self.kernel_size, self.dilation_rate)
        given = (self.strides, self.padding, self.output_padding, self._where)
        pairs = transposed_size(self.spatial(input_shape), reach, *given)[1]
        axes = list(zip(reach, self.strides, pairs, strict=True))
        return Window(
            tuple(-(-k // s) for k, s, _ in axes),
            tuple(fraction(1, s) for s in self.strides),
            tuple(fraction(k - s - p[0], s) for k, s, p in axes),
        )

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "output_padding": self.output_padding}
        del config["groups"]
        return config


@register("layers")
class Conv1DTranspose(ConvTranspose):
    rank = 1


@register("layers")
class Conv2DTranspose(ConvTranspose):
    rank = 2


@register("layers")
class Conv3DTranspose(ConvTranspose):
    __doc__ = ConvTranspose.__doc__
    rank = 3

    def __init__(
        self,
        filters: Count,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        data_format: str | None = None,
        output_padding: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:  # the one whose arguments Keras has in this order
        given = (filters, kernel_size, strides, padding, output_padding, data_format)
        super().__init__(*given, *args, **kwargs)


def _keras_order() -> inspect.Signature:
    """The arguments of `ConvTranspose` with data_format before output_padding."""
    signature = inspect.signature(ConvTranspose)
    names = list(signature.parameters)
    at = names.index("output_padding")
    names[at : at + 2] = names[at + 1], names[at]
    return signature.replace(parameters=[signature.parameters[name] for name in names])


Conv3DTranspose.__signature__ = _keras_order()  # type: ignore[attr-defined]
