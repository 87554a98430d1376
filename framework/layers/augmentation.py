"""Augmentation that moves pixels: images flipped, shifted, turned and zoomed at random."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..autograd.tensor import Tensor, wrap
from ..config.serialization import register
from ..ops.affine import FILL_MODES, INTERPOLATIONS
from .images import Array, Generator, RandomImage, read_range


@register("layers")
class RandomFlip(RandomImage):
    """Mirrors an image with probability 1/2.

    Args:
        mode: ``"horizontal"`` (left and right change places), ``"vertical"``, or
            ``"horizontal_and_vertical"``: both at once, as Keras 3 does. For independent chances
            use two layers.
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

    def numbers(self, shape: tuple[int, ...], generator: Generator) -> dict[str, Array]:
        return {"flips": generator.random((shape[0], 1, 1, 1)) <= 0.5}

    def change(self, images: Tensor, drawn: dict[str, Array]) -> Tensor:
        axes = tuple(a for a, name in ((1, "vertical"), (2, "horizontal")) if name in self.mode)
        flips = drawn["flips"]
        if images.requires_grad:
            return ops.where(wrap(flips), ops.flip(images, axes), images)
        chosen, changed = flips.ravel(), images.data.copy()
        changed[chosen] = np.flip(images.data[chosen], axes)
        return wrap(changed)

    def change_masks(self, masks: Tensor, drawn: dict[str, Array]) -> Tensor:
        return self.change(masks, drawn)


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

    def numbers(self, shape: tuple[int, ...], generator: Generator) -> dict[str, Array]:
        return {"maps": self.maps(shape, generator)}

    def change(self, images: Tensor, drawn: dict[str, Array]) -> Tensor:
        return self._seen(images, drawn, self.interpolation)

    def change_masks(self, masks: Tensor, drawn: dict[str, Array]) -> Tensor:
        return self._seen(masks, drawn, "nearest")

    def _seen(self, images: Tensor, drawn: dict[str, Array], interpolation: str) -> Tensor:
        return ops.affine_transform(
            images,
            wrap(drawn["maps"]),
            fill_mode=self.fill_mode,
            interpolation=interpolation,
            fill_value=self.fill_value,
        )


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
        self.height_factor = read_range(height_factor, "height_factor", self._where)
        self.width_factor = read_range(width_factor, "width_factor", self._where)

    def maps(self, shape: tuple[int, ...], generator: Generator) -> Array:
        count, height, width, _ = shape
        maps = np.zeros((count, 6))
        maps[:, [0, 4]] = 1
        maps[:, 5] = -height * generator.uniform(*self.height_factor, count)
        maps[:, 2] = -width * generator.uniform(*self.width_factor, count)
        return maps


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
        self.factor = read_range(factor, "factor", self._where)

    def maps(self, shape: tuple[int, ...], generator: Generator) -> Array:
        count, height, width, _ = shape
        angle = 2 * math.pi * generator.uniform(*self.factor, count)
        cos, sin, x, y = np.cos(angle), np.sin(angle), (width - 1) / 2, (height - 1) / 2
        rows = (cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y)
        return np.stack(rows, axis=1)


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
        self.height_factor = read_range(height_factor, "height_factor", self._where, above=-1)
        self.width_factor = (
            None
            if width_factor is None
            else read_range(width_factor, "width_factor", self._where, above=-1)
        )

    def maps(self, shape: tuple[int, ...], generator: Generator) -> Array:
        count, height, width, _ = shape
        down = across = 1 + generator.uniform(*self.height_factor, count)
        if self.width_factor is not None:
            across = 1 + generator.uniform(*self.width_factor, count)
        none = np.zeros(count)
        x, y = (width - 1) / 2 * (1 - across), (height - 1) / 2 * (1 - down)
        return np.stack((across, none, x, none, down, y), axis=1)


@register("layers")
class RandomShear(RandomAffine):
    """Slants images: rows move sideways in proportion to their height, columns likewise.

    Args:
        x_factor: how far a row moves at most for each row above it, within [0, 1]: ``0.2`` stands
            for ``(0, 0.2)``. Either direction has probability 1/2.
        y_factor: likewise, of columns.
        interpolation, fill_mode, fill_value, data_format, seed: see `RandomAffine`.

    Raises:
        ValueError: a factor outside [0, 1].
    """

    def __init__(
        self,
        x_factor: Any = 0.0,
        y_factor: Any = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.x_factor = read_range(x_factor, "x_factor", self._where, least=0)
        self.y_factor = read_range(y_factor, "y_factor", self._where, least=0)

    def maps(self, shape: tuple[int, ...], generator: Generator) -> Array:
        maps = np.tile([1.0, 0, 0, 0, 1, 0], (shape[0], 1))
        sign = np.where(generator.random(shape[0]) > 0.5, -1, 1)
        maps[:, 1] = sign * generator.uniform(*self.x_factor, shape[0])
        maps[:, 3] = sign * generator.uniform(*self.y_factor, shape[0])
        return maps
