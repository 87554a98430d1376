"""Max and average pooling, over windows or over everything, in one, two and three dimensions."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..autograd.tensor import Tensor
from ..config.serialization import register
from ..ops.geometry import per_axis
from .spatial import SpatialLayer, read_padding
from .window import Window


class Pooling(SpatialLayer):
    """Base of the pooling layers: one number for each window and channel.

    Args:
        pool_size: the window: one number, or one per spatial axis.
        strides: steps of the window. Default: `pool_size`.
        padding: ``"valid"`` (windows that lie inside), ``"same"``, a number, or pairs
            ``((top, bottom), (left, right))``. What is padded never wins a maximum and is not
            counted in a mean.
        data_format: ``"channels_last"`` for ``(N, ..., C)``, or ``"channels_first"``.

    Raises:
        ValueError: an argument out of its range.
    """

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: Any = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, name=name, **kwargs)
        self.pool_size = per_axis(pool_size, self.rank, "pool_size", self._where)
        self.strides = per_axis(
            self.pool_size if strides is None else strides, self.rank, "strides", self._where
        )
        self.padding = read_padding(padding, self.rank, self._where)

    def compute_output_shape(self, input_shape: Any) -> Any:
        lengths = self.windows(
            input_shape,
            "pool_size",
            size=self.pool_size,
            strides=self.strides,
            padding=self.padding,
        )
        return self.output_of(input_shape, lengths, input_shape[self.channel_axis])

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        lengths = self.spatial(input_shape)
        return Window.sliding(lengths, self.pool_size, self.strides, self.padding)


class MaxPooling(Pooling):
    __doc__ = f"The largest value of each window, by default of 2.\n\n{Pooling.__doc__}"

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: Any = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)

    def move(self, inputs: Tensor) -> Tensor:
        return ops.max_pool(
            inputs, pool_size=self.pool_size, strides=self.strides, padding=self.padding
        )


class AveragePooling(Pooling):
    __doc__ = f"The mean of each window.\n\n{Pooling.__doc__}"

    def move(self, inputs: Tensor) -> Tensor:
        return ops.average_pool(
            inputs, pool_size=self.pool_size, strides=self.strides, padding=self.padding
        )


class GlobalPooling(SpatialLayer):
    """Base of the layers that pool each channel to one number: ``(N, ..., C)`` to ``(N, C)``.

    Args:
        data_format: ``"channels_last"`` for ``(N, ..., C)``, or ``"channels_first"``.
        keepdims: keep the spatial axes, with length 1.
    """

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.keepdims = keepdims

    @property
    def _axes(self) -> tuple[int, ...]:
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    def compute_output_shape(self, input_shape: Any) -> Any:
        lengths = (1,) * self.rank if self.keepdims else ()
        return self.output_of(input_shape, lengths, input_shape[self.channel_axis])


class GlobalAveragePooling(GlobalPooling):
    __doc__ = f"The mean of each channel.\n\n{GlobalPooling.__doc__}"

    def call(self, inputs: Tensor) -> Tensor:
        return ops.mean(inputs, axis=self._axes, keepdims=self.keepdims)


class GlobalMaxPooling(GlobalPooling):
    __doc__ = f"The largest value of each channel.\n\n{GlobalPooling.__doc__}"

    def call(self, inputs: Tensor) -> Tensor:
        return ops.max(inputs, axis=self._axes, keepdims=self.keepdims)


class AdaptivePooling(SpatialLayer):
    """Base of the layers that pool to a given size: output i is made of the elements from
    ``floor(i * n / size)`` to ``ceil((i + 1) * n / size)`` of n.

    Args:
        output_size: of the spatial axes: one number, or one per axis.
        data_format: ``"channels_last"`` for ``(N, ..., C)``, or ``"channels_first"``.

    Raises:
        ValueError: sizes that are no positive integers.
    """

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.output_size = per_axis(output_size, self.rank, "output_size", self._where)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.output_of(input_shape, self.output_size, input_shape[self.channel_axis])

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        lengths = self.spatial(input_shape)
        axes = list(zip(lengths, self.output_size, strict=True))
        if any(n % m for n, m in axes):
            return None  # windows of several sizes
        sizes = tuple(n // m for n, m in axes)
        return Window(sizes, sizes, (0,) * self.rank)


class AdaptiveAveragePooling(AdaptivePooling):
    __doc__ = f"The mean of each part.\n\n{AdaptivePooling.__doc__}"

    def move(self, inputs: Tensor) -> Tensor:
        return ops.adaptive_average_pool(inputs, output_size=self.output_size)


class AdaptiveMaxPooling(AdaptivePooling):
    __doc__ = f"The largest value of each part.\n\n{AdaptivePooling.__doc__}"

    def move(self, inputs: Tensor) -> Tensor:
        return ops.adaptive_max_pool(inputs, output_size=self.output_size)


@register("layers")
class AdaptiveAveragePooling1D(AdaptiveAveragePooling):
    rank = 1


@register("layers")
class AdaptiveAveragePooling2D(AdaptiveAveragePooling):
    rank = 2


@register("layers")
class AdaptiveAveragePooling3D(AdaptiveAveragePooling):
    rank = 3


@register("layers")
class AdaptiveMaxPooling1D(AdaptiveMaxPooling):
    rank = 1


@register("layers")
class AdaptiveMaxPooling2D(AdaptiveMaxPooling):
    rank = 2


@register("layers")
class AdaptiveMaxPooling3D(AdaptiveMaxPooling):
    rank = 3


@register("layers")
class MaxPooling1D(MaxPooling):
    rank = 1


@register("layers")
class MaxPooling2D(MaxPooling):
    rank = 2


@register("layers")
class MaxPooling3D(MaxPooling):
    rank = 3


@register("layers")
class AveragePooling1D(AveragePooling):
    rank = 1


@register("layers")
class AveragePooling2D(AveragePooling):
    rank = 2


@register("layers")
class AveragePooling3D(AveragePooling):
    rank = 3


@register("layers")
class GlobalAveragePooling1D(GlobalAveragePooling):
    rank = 1


@register("layers")
class GlobalAveragePooling2D(GlobalAveragePooling):
    rank = 2


@register("layers")
class GlobalAveragePooling3D(GlobalAveragePooling):
    rank = 3


@register("layers")
class GlobalMaxPooling1D(GlobalMaxPooling):
    rank = 1


@register("layers")
class GlobalMaxPooling2D(GlobalMaxPooling):
    rank = 2


@register("layers")
class GlobalMaxPooling3D(GlobalMaxPooling):
    rank = 3


MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = (
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
)
