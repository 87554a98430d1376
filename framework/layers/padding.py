"""Layers that change the size of images without computing: zero padding, cropping, upsampling."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..autograd.tensor import Tensor
from ..config.serialization import register
from ..ops.geometry import per_axis, resolve_padding
from .input_spec import LayerError
from .spatial import SpatialLayer
from .window import Window, fraction


class ZeroPadding(SpatialLayer):
    """Zeros around the spatial axes.

    Args:
        padding: how many: one number for every side, one per spatial axis, or a pair
            ``(before, after)`` for each axis, as in ``((top, bottom), (left, right))``. In one
            dimension also ``(left, right)``.
        data_format: ``"channels_last"`` for ``(N, ..., C)``, or ``"channels_first"``.

    Raises:
        ValueError: none of these.
    """

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.padding = _pairs(padding, self.rank, "padding", self._where)

    def move(self, inputs: Tensor) -> Tensor:
        return ops.pad(inputs, pad_width=((0, 0), *self.padding, (0, 0)))

    def compute_output_shape(self, input_shape: Any) -> Any:
        pairs = zip(self.spatial(input_shape), self.padding, strict=True)
        lengths = tuple(None if n is None else n + sum(p) for n, p in pairs)
        return self.output_of(input_shape, lengths, input_shape[self.channel_axis])

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        return Window((1,) * self.rank, (1,) * self.rank, tuple(p[0] for p in self.padding))


class Cropping(SpatialLayer):
    """The spatial axes without their ends.

    Args:
        cropping: how many to cut off, given as for `ZeroPadding2D`.
        data_format: ``"channels_last"`` for ``(N, ..., C)``, or ``"channels_first"``.

    Raises:
        ValueError: none of these, or nothing is left of the input.
    """

    def __init__(self, cropping: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.cropping = _pairs(cropping, self.rank, "cropping", self._where)

    def move(self, inputs: Tensor) -> Tensor:
        spans = [
            slice(before, n - after)
            for n, (before, after) in zip(inputs.shape[1:-1], self.cropping, strict=True)
        ]
        return inputs[(slice(None), *spans)]

    def check_input(self, shape: Any) -> None:
        """Refuse an input that is cropped away."""
        super().check_input(shape)
        for n, pair in zip(self.spatial(shape), self.cropping, strict=True):
            if n is not None and n <= sum(pair):
                raise LayerError(
                    f"{self._where} cuts {pair[0]} + {pair[1]} off an axis of length {n}: nothing "
                    f"is left of the input {tuple(shape)}."
                )

    def compute_output_shape(self, input_shape: Any) -> Any:
        pairs = zip(self.spatial(input_shape), self.cropping, strict=True)
        lengths = tuple(None if n is None else n - sum(p) for n, p in pairs)
        return self.output_of(input_shape, lengths, input_shape[self.channel_axis])

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        return Window((1,) * self.rank, (1,) * self.rank, tuple(-c[0] for c in self.cropping))


class UpSampling(SpatialLayer):
    """Every element of the spatial axes repeated.

    Args:
        size: how often: one number, or one per spatial axis.
        data_format: ``"channels_last"`` for ``(N, ..., C)``, or ``"channels_first"``.

    Raises:
        ValueError: none of these.
    """

    def __init__(self, size: Any = 2, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.size = per_axis(size, self.rank, "size", self._where)

    def move(self, inputs: Tensor) -> Tensor:
        for axis, factor in enumerate(self.size, start=1):
            inputs = ops.repeat(inputs, factor, axis) if factor > 1 else inputs
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        pairs = zip(self.spatial(input_shape), self.size, strict=True)
        lengths = tuple(None if n is None else n * k for n, k in pairs)
        return self.output_of(input_shape, lengths, input_shape[self.channel_axis])

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        steps = tuple(fraction(1, k) for k in self.size)
        return Window((1,) * self.rank, steps, (0,) * self.rank)


def _pairs(value: Any, rank: int, name: str, where: str) -> Any:
    ones = (1,) * rank
    if isinstance(value, str):
        raise ValueError(f"{where}: {name} takes numbers, received {value!r}.")
    try:
        return resolve_padding(value, ones, ones, ones, where)
    except ValueError as error:
        raise ValueError(
            f"{where}: {name} is a number, one per spatial axis, or a pair (before, after) for "
            f"each, not negative; received {value!r}."
        ) from error


@register("layers")
class ZeroPadding1D(ZeroPadding):
    rank = 1


@register("layers")
class ZeroPadding2D(ZeroPadding):
    rank = 2


@register("layers")
class ZeroPadding3D(ZeroPadding):
    rank = 3


@register("layers")
class Cropping1D(Cropping):
    rank = 1


@register("layers")
class Cropping2D(Cropping):
    rank = 2

    def __init__(
        self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(cropping, data_format, **kwargs)


@register("layers")
class Cropping3D(Cropping):
    rank = 3


@register("layers")
class UpSampling1D(UpSampling):
    rank = 1


@register("layers")
class UpSampling2D(UpSampling):
    """Images enlarged by whole factors.

    Args:
        size: the factors of ``(H, W)``, or one for both.
        data_format: ``"channels_last"`` for ``(N, H, W, C)``, or ``"channels_first"``.
        interpolation: ``"nearest"`` repeats each pixel, ``"bilinear"`` and ``"bicubic"``
            interpolate.

    Raises:
        ValueError: another interpolation, or factors that are no positive integers.
    """

    rank = 2

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(size, data_format, **kwargs)
        if interpolation not in ("nearest", "bilinear", "bicubic"):
            raise ValueError(
                f"{self._where}: interpolation is 'nearest', 'bilinear' or 'bicubic', received "
                f"{interpolation!r}."
            )
        self.interpolation = interpolation

    def move(self, inputs: Tensor) -> Tensor:
        return ops.upsample(inputs, size=self.size, interpolation=self.interpolation)

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        window = super().window(input_shape, output_shape)
        if window is None or self.interpolation == "nearest":
            return window
        # The two (or four) nearest elements, from one before ``(i + 1/2) / k - 1/2`` on.
        more = int(self.interpolation == "bicubic")
        before = tuple(fraction(k - 1, 2 * k) + more for k in self.size)
        return window._replace(size=(2 + 2 * more,) * self.rank, before=before)


@register("layers")
class UpSampling3D(UpSampling):
    rank = 3
