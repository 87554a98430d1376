"""Layers that bring images to one size: Resizing, CenterCrop, RandomCrop."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..autograd.tensor import Tensor, wrap
from ..config.checked import Count
from ..config.serialization import register
from ..ops.resize import resize
from .images import Array, Generator, RandomImage, SizedImages

#: Top, left, height and width of a part of an image.
Box = tuple[int, int, int, int]

_INTERPOLATIONS = ("bilinear", "nearest", "bicubic")


def _window(height: Count, width: Count, size: tuple[int, int]) -> Box:
    """The largest part, in the middle, with the aspect ratio of `size`."""
    down = max(min(height, int(width * size[0] / size[1])), 1)
    across = max(min(width, int(height * size[1] / size[0])), 1)
    return (height - down) // 2, (width - across) // 2, down, across


def _cut(images: Tensor, box: Box) -> Tensor:
    top, left, down, across = box
    return images[:, top : top + down, left : left + across]


@register("layers")
class Resizing(SizedImages):
    """Images at another size, by interpolation.

    Integer images stay integers of their dtype, rounded.

    Args:
        height, width: the new size.
        interpolation: ``"bilinear"``, ``"nearest"`` or ``"bicubic"``.
        crop_to_aspect_ratio: resize the largest part, in the middle, that has the new aspect ratio,
            instead of distorting the image.
        pad_to_aspect_ratio: put `fill_value` around the image first, so that it has it.
        fill_mode: ``"constant"``.
        fill_value: what is put around it.
        antialias: whether a smaller image is smoothed first; see `gradtape.ops.resize`.
        data_format: ``"channels_last"`` (default), or ``"channels_first"``.

    Raises:
        ValueError: sizes below 1, both ways to keep the aspect ratio, or another interpolation or
            `fill_mode`.
    """

    casts_integers = False

    def __init__(
        self,
        height: Count,
        width: Count,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.height = height
        self.width = width
        for name, given, known in (
            ("interpolation", interpolation, _INTERPOLATIONS),
            ("fill_mode", fill_mode, ("constant",)),
        ):
            if given not in known:
                raise ValueError(
                    f"{self._where}: {name} must be one of {', '.join(known)}, received {given!r}."
                )
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ValueError(
                f"{self._where}: crop_to_aspect_ratio or pad_to_aspect_ratio, not both."
            )
        self.interpolation, self.antialias = interpolation, bool(antialias)
        self.crop_to_aspect_ratio = bool(crop_to_aspect_ratio)
        self.pad_to_aspect_ratio = bool(pad_to_aspect_ratio)
        self.fill_mode, self.fill_value = fill_mode, float(fill_value)

    def change(self, images: Tensor, drawn: Any) -> Tensor:
        return self._resized(images, self.interpolation)

    def change_masks(self, masks: Tensor, drawn: Any) -> Tensor:
        return self._resized(masks, "nearest")

    def _resized(self, images: Tensor, interpolation: str) -> Tensor:
        kind = images.dtype
        images = images if kind.kind == "f" else images.astype(self.dtype)
        _, height, width, _ = images.shape
        size = (self.height, self.width)
        if self.crop_to_aspect_ratio:
            images = _cut(images, _window(height, width, size))
        if self.pad_to_aspect_ratio:
            down = (max(height, int(width * size[0] / size[1])) - height) // 2
            across = (max(width, int(height * size[1] / size[0])) - width) // 2
            sides = ((0, 0), (down, down), (across, across), (0, 0))
            images = ops.pad(images, pad_width=sides, constant_value=self.fill_value)
        images = resize(images, size, interpolation, self.antialias)
        if kind.kind == "f":
            return images
        limits = np.iinfo(kind) if kind.kind in "iu" else np.iinfo(np.uint8)
        return wrap(np.clip(np.rint(images.data), limits.min, limits.max).astype(kind))


@register("layers")
class CenterCrop(SizedImages):
    """The middle of each image; of one that is too small, the largest part with that aspect ratio,
    enlarged.

    Args:
        height, width: of the part.
        data_format: ``"channels_last"`` (default), or ``"channels_first"``.

    Raises:
        ValueError: they are no positive integers.
    """

    def __init__(
        self, height: Count, width: Count, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.height = height
        self.width = width

    def change(self, images: Tensor, drawn: Any) -> Tensor:
        return _middle(images, (self.height, self.width))

    def change_masks(self, masks: Tensor, drawn: Any) -> Tensor:
        return _middle(masks, (self.height, self.width), "nearest")


def _middle(images: Tensor, size: tuple[int, int], interpolation: str = "bilinear") -> Tensor:
    _, height, width, _ = images.shape
    down, across = height - size[0], width - size[1]
    if min(down, across) >= 0:
        return _cut(images, (down // 2, across // 2, *size))
    return resize(_cut(images, _window(height, width, size)), size, interpolation)


@register("layers")
class RandomCrop(RandomImage, SizedImages):
    """A part of each image: a random one while training, the middle otherwise.

    Of images that are too small it is the largest part with that aspect ratio, enlarged. Keras
    takes the same place in all images of a batch, and leaves images whole when not training.

    Args:
        height, width: of the part.
        seed, data_format: see `RandomImage`.

    Raises:
        ValueError: they are no positive integers.
    """

    def __init__(
        self,
        height: Count,
        width: Count,
        seed: int | None = None,
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, name=name, **kwargs)
        self.height = height
        self.width = width

    def draw(self, shape: tuple[int, ...], training: bool) -> dict[str, Array]:
        fits = shape[1] >= self.height and shape[2] >= self.width
        return (super().draw(shape, training) if fits else None) or {}

    def numbers(self, shape: tuple[int, ...], generator: Generator) -> dict[str, Array]:
        count, height, width, _ = shape
        return {
            "tops": generator.integers(height - self.height + 1, size=count),
            "lefts": generator.integers(width - self.width + 1, size=count),
        }

    def change(self, images: Tensor, drawn: dict[str, Array]) -> Tensor:
        return self._parts(images, drawn, "bilinear")

    def change_masks(self, masks: Tensor, drawn: dict[str, Array]) -> Tensor:
        return self._parts(masks, drawn, "nearest")

    def _parts(self, images: Tensor, drawn: dict[str, Array], interpolation: str) -> Tensor:
        if not drawn:
            return _middle(images, (self.height, self.width), interpolation)
        tops, lefts = drawn["tops"], drawn["lefts"]
        if not images.requires_grad:
            parts = np.lib.stride_tricks.sliding_window_view(
                images.data, (self.height, self.width), axis=(1, 2)
            )  # (N, places down, places across, C, height, width)
            return wrap(np.moveaxis(parts[np.arange(len(tops)), tops, lefts], 1, -1).copy())
        rows = tops[:, None, None] + np.arange(self.height)[:, None]
        columns = lefts[:, None, None] + np.arange(self.width)
        return images[np.arange(len(tops))[:, None, None], rows, columns]
