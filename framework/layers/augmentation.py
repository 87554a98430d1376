"""Augmentation: images changed at random while training, so that a net sees more of the world.

Every image of a batch gets numbers of its own, drawn from the layer's counted stream (see
`RandomLayer`), so a run can be repeated and resumed. Otherwise than while training, all but
RandomCrop let images pass.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..ops.affine import FILL_MODES, INTERPOLATIONS
from ..serialization import register
from ..tensor import Tensor, wrap
from .arguments import positive
from .input_spec import InputSpec, LayerError
from .regularization import RandomLayer

Array = np.ndarray
Generator = np.random.Generator


class RandomImage(RandomLayer):
    """Base of the augmentation layers, over images ``(N, H, W, C)``.

    Args:
        seed: an integer, or None for a stream of its own of the global seed.
        data_format: ``"channels_last"`` (default), or ``"channels_first"``.

    Raises:
        ValueError: another `data_format`.
    """

    casts_integers = True

    def __init__(
        self, seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        if data_format not in (None, "channels_last", "channels_first"):
            raise ValueError(
                f"{self._where}: data_format must be 'channels_last' or 'channels_first', received "
                f"{data_format!r}."
            )
        self.data_format = data_format or "channels_last"
        last = ("batch", "height", "width", "channels")
        first = ("batch", "channels", "height", "width")
        layout = last if self.data_format == "channels_last" else first
        self.input_spec = InputSpec(ndim=4, layout=layout)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not training or not inputs.size:
            return self._laid_out(self.pass_by, inputs)
        generator = self.next_generator()
        return self._laid_out(lambda x: self.change(x, generator), inputs)

    def _laid_out(self, function: Any, inputs: Tensor) -> Tensor:
        if self.data_format == "channels_last":
            return function(inputs)
        outputs = function(ops.transpose(inputs, axes=(0, 2, 3, 1)))
        return ops.transpose(outputs, axes=(0, 3, 1, 2))

    def change(self, images: Tensor, generator: Generator) -> Tensor:
        """What becomes of images ``(N, H, W, C)`` while training."""
        raise TypeError(f"{type(self).__name__} must define change(self, images, generator).")

    def pass_by(self, images: Tensor) -> Tensor:
        """What becomes of them otherwise."""
        return images

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed, "data_format": self.data_format}


@register("layers")
class RandomFlip(RandomImage):
    """Mirrors an image with probability 1/2.

    Args:
        mode: ``"horizontal"`` (left and right change places), ``"vertical"``, or
            ``"horizontal_and_vertical"``, each with probability 1/2.
        seed, data_format: see `RandomImage`.

    Raises:
        ValueError: another mode.
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        if mode not in ("horizontal", "vertical", "horizontal_and_vertical"):
            raise ValueError(
                f"{self._where}: mode is 'horizontal', 'vertical' or 'horizontal_and_vertical', "
                f"received {mode!r}."
            )
        self.mode = mode

    def change(self, images: Tensor, generator: Generator) -> Tensor:
        for axis, name in ((2, "horizontal"), (1, "vertical")):
            if name in self.mode:
                chosen = generator.random((len(images), 1, 1, 1)) < 0.5
                images = ops.where(wrap(chosen), ops.flip(images, axis), images)
        return images

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


class RandomAffine(RandomImage):
    """Base of the layers that see every image through an affine map of its own.

    Args:
        fill_mode: how an image continues outside: ``"reflect"``, ``"wrap"``, ``"nearest"`` or
            ``"constant"`` (`fill_value`).
        interpolation: ``"bilinear"`` or ``"nearest"``.
        seed, data_format: see `RandomImage`.
        fill_value: for ``"constant"``.

    Raises:
        ValueError: another `fill_mode` or `interpolation`.
    """

    def __init__(
        self,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        for name, given, known in (
            ("fill_mode", fill_mode, FILL_MODES),
            ("interpolation", interpolation, INTERPOLATIONS),
        ):
            if given not in known:
                raise ValueError(
                    f"{self._where}: {name} must be one of {', '.join(known)}, received {given!r}."
                )
        self.fill_mode, self.interpolation = fill_mode, interpolation
        self.fill_value = float(fill_value)

    def maps(self, shape: tuple[int, ...], generator: Generator) -> Array:
        """Maps for images of that shape, ``(N, 6)``; see `gradtape.ops.affine_transform`."""
        raise TypeError(f"{type(self).__name__} must define maps(self, shape, generator).")

    def change(self, images: Tensor, generator: Generator) -> Tensor:
        return ops.affine_transform(
            images,
            wrap(self.maps(images.shape, generator)),
            fill_mode=self.fill_mode,
            interpolation=self.interpolation,
            fill_value=self.fill_value,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "fill_mode": self.fill_mode,
            "interpolation": self.interpolation,
            "fill_value": self.fill_value,
        }


@register("layers")
class RandomTranslation(RandomAffine):
    """Moves images down and to the right, or up and to the left.

    Args:
        height_factor: how far down at most, as a share of the height: ``0.2`` stands for
            ``(-0.2, 0.2)``, negative numbers move up.
        width_factor: how far to the right, likewise.
        fill_mode, interpolation, seed, fill_value, data_format: see `RandomAffine`.

    Raises:
        ValueError: a factor outside [-1, 1].
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor = _range(height_factor, "height_factor", self._where)
        self.width_factor = _range(width_factor, "width_factor", self._where)

    def maps(self, shape: tuple[int, ...], generator: Generator) -> Array:
        count, height, width, _ = shape
        maps = np.tile([1.0, 0, 0, 0, 1, 0], (count, 1))
        maps[:, 5] = -height * generator.uniform(*self.height_factor, count)
        maps[:, 2] = -width * generator.uniform(*self.width_factor, count)
        return maps

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "height_factor": self.height_factor,
            "width_factor": self.width_factor,
        }


@register("layers")
class RandomRotation(RandomAffine):
    """Turns images about their centre.

    Args:
        factor: how far at most, in full turns: ``0.1`` stands for ``(-0.1, 0.1)``, 36 degrees
            either way. Positive turns are anticlockwise.
        fill_mode, interpolation, seed, fill_value, data_format: see `RandomAffine`.

    Raises:
        ValueError: a factor outside [-1, 1].
    """

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = _range(factor, "factor", self._where)

    def maps(self, shape: tuple[int, ...], generator: Generator) -> Array:
        count, height, width, _ = shape
        angle = 2 * math.pi * generator.uniform(*self.factor, count)
        cos, sin, x, y = np.cos(angle), np.sin(angle), (width - 1) / 2, (height - 1) / 2
        rows = (cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y)
        return np.stack(rows, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


@register("layers")
class RandomZoom(RandomAffine):
    """Shows more or less of images around their centre.

    Args:
        height_factor: ``0.2`` stands for ``(-0.2, 0.2)``: from 20 % less (zoomed in) to 20 % more
            of the height (zoomed out).
        width_factor: likewise; None zooms both axes alike, which keeps the aspect ratio.
        fill_mode, interpolation, seed, fill_value, data_format: see `RandomAffine`.

    Raises:
        ValueError: a factor outside (-1, 1].
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor = _range(height_factor, "height_factor", self._where, above=-1)
        self.width_factor = (
            None
            if width_factor is None
            else _range(width_factor, "width_factor", self._where, above=-1)
        )

    def maps(self, shape: tuple[int, ...], generator: Generator) -> Array:
        count, height, width, _ = shape
        down = across = 1 + generator.uniform(*self.height_factor, count)
        if self.width_factor is not None:
            across = 1 + generator.uniform(*self.width_factor, count)
        none = np.zeros(count)
        x, y = (width - 1) / 2 * (1 - across), (height - 1) / 2 * (1 - down)
        return np.stack((across, none, x, none, down, y), axis=1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "height_factor": self.height_factor,
            "width_factor": self.width_factor,
        }


@register("layers")
class RandomErasing(RandomImage):
    """Covers a rectangle of an image (Zhong et al., 2017).

    Args:
        factor: the probability of it, drawn for each image between two numbers: ``1.0`` stands for
            ``(0, 1)``, so half of the images; ``(1, 1)`` takes all.
        scale: the square of the share of a side that is covered, drawn for each side:
            ``(0.02, 0.33)``.
        fill_value: what covers it: a number, or one per channel. None: normal noise times the
            largest value.
        value_range: of the pixels; what covers them is held within it.
        seed, data_format: see `RandomImage`.

    Raises:
        ValueError: a factor or scale outside [0, 1], or a range whose ends are not in order.
    """

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = (0.02, 0.33),
        fill_value: Any = None,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.factor = _range(factor, "factor", self._where, least=0)
        self.scale = _range(scale, "scale", self._where, least=0)
        self.fill_value = None if fill_value is None else np.asarray(fill_value, float).tolist()
        low, high = (float(v) for v in value_range)
        if not low <= high:
            raise ValueError(f"{self._where}: value_range is (low, high), received {value_range}.")
        self.value_range = (low, high)

    def change(self, images: Tensor, generator: Generator) -> Tensor:
        count, height, width, channels = images.shape
        chosen = generator.random(count) < generator.uniform(*self.factor, count)
        covered = chosen[:, None, None]
        for axis, length in ((1, height), (2, width)):
            share = np.sqrt(generator.uniform(*self.scale, count)) * length
            start = generator.random(count) * (length - share)
            place = np.arange(length)
            inside = (place >= start[:, None]) & (place < (start + share)[:, None])
            shape = (count, length, 1) if axis == 1 else (count, 1, length)
            covered = covered & inside.reshape(shape)
        if self.fill_value is None:
            fill: Array = generator.standard_normal(images.shape, np.float32) * self.value_range[1]
        else:
            fill = np.asarray(self.fill_value)
            if fill.ndim and fill.shape != (channels,):
                raise LayerError(
                    f"{self._where}: fill_value has {fill.size} numbers, the images have "
                    f"{channels} channels."
                )
        fill = np.clip(fill, *self.value_range).astype(images.dtype)
        return ops.where(wrap(covered[..., None]), wrap(fill), images)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "factor": self.factor,
            "scale": self.scale,
            "fill_value": self.fill_value,
            "value_range": self.value_range,
        }


@register("layers")
class RandomCrop(RandomImage):
    """A part of each image: a random one while training, the middle otherwise.

    Args:
        height, width: of the part.
        seed, data_format: see `RandomImage`.

    Raises:
        ValueError: the images are smaller than that.
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.height = positive(height, "height", self._where)
        self.width = positive(width, "width", self._where)

    @property
    def _first(self) -> int:
        return 1 if self.data_format == "channels_last" else 2

    def check_input(self, shape: Any) -> None:
        """Refuse images that are too small."""
        super().check_input(shape)
        sizes = zip(shape[self._first : self._first + 2], (self.height, self.width), strict=True)
        if any(n is not None and n < wanted for n, wanted in sizes):
            raise LayerError(
                f"{self._where} crops {self.height}x{self.width} out of images, received "
                f"{tuple(shape)}. Pad them first (ZeroPadding2D)."
            )

    def change(self, images: Tensor, generator: Generator) -> Tensor:
        count, height, width, _ = images.shape
        tops = generator.integers(height - self.height + 1, size=count)
        lefts = generator.integers(width - self.width + 1, size=count)
        rows = tops[:, None, None] + np.arange(self.height)[:, None]
        columns = lefts[:, None, None] + np.arange(self.width)
        return images[np.arange(count)[:, None, None], rows, columns]

    def pass_by(self, images: Tensor) -> Tensor:
        top, left = (images.shape[1] - self.height) // 2, (images.shape[2] - self.width) // 2
        return images[:, top : top + self.height, left : left + self.width]

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = list(input_shape)
        shape[self._first : self._first + 2] = [self.height, self.width]
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width}


def _range(
    factor: Any, name: str, where: str, least: float = -1, above: float | None = None
) -> tuple[float, float]:
    """Two numbers in order, out of two, or of one that stands for both directions.

    Raises:
        ValueError: they are no numbers, or not within the bounds.
    """
    if isinstance(factor, (tuple, list)):
        numbers = sorted(_number(v) for v in factor)
    else:
        size = abs(_number(factor))
        numbers = [max(-size, least), size]
    low = numbers[0] if numbers else math.nan
    if len(numbers) != 2 or not (least <= low <= numbers[1] <= 1) or low == above:
        bounds = f"({above}, 1]" if above is not None else f"[{least}, 1]"
        raise ValueError(
            f"{where}: {name} is a number or two of them, within {bounds}, received {factor!r}."
        )
    return numbers[0], numbers[1]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float, np.number)) else math.nan
