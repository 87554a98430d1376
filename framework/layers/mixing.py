"""Augmentation that covers parts of images, with noise or with other images of the batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..autograd.tensor import Tensor, wrap
from ..config.checked import Numbers, Positive
from ..config.serialization import register
from .images import Array, Generator, RandomImage, read_range, read_values
from .input_spec import LayerError


def _rectangles(shape: tuple[int, ...], down: Array, across: Array, generator: Generator) -> Array:
    """Whether each pixel lies in a rectangle somewhere in its image, shape (N, H, W, 1).

    Args:
        down, across: the share of the height and of the width that it takes, (N,) each.
    """
    inside: Any = True
    for axis, share in ((2, across), (1, down)):
        length = shape[axis]
        start = generator.random(len(share)) * (length - share * length)
        place = np.arange(length)
        taken = (place >= start[:, None]) & (place < (start + share * length)[:, None])
        inside = inside & np.expand_dims(taken, 3 - axis)
    return inside[..., None]


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
        fill_value: Numbers | None = None,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.factor = read_range(factor, "factor", self._where, least=0)
        self.scale = read_range(scale, "scale", self._where, least=0)
        self.fill_value = fill_value
        self.value_range = read_values(value_range, self._where)

    def numbers(self, shape: tuple[int, ...], generator: Generator) -> dict[str, Array]:
        count, channels = shape[0], shape[-1]
        chosen = generator.random(count) < generator.uniform(*self.factor, count)
        down, across = np.sqrt(generator.uniform(*self.scale, (2, count)))
        covered = _rectangles(shape, down, across, generator) & chosen[:, None, None, None]
        if self.fill_value is None:
            fill: Array = generator.standard_normal(shape, np.float32) * self.value_range[1]
        else:
            fill = np.asarray(self.fill_value)
            if fill.ndim and fill.shape != (channels,):
                raise LayerError(
                    f"{self._where}: fill_value has {fill.size} numbers, the images have "
                    f"{channels} channels."
                )
        return {"covered": covered, "fill": np.clip(fill, *self.value_range)}

    def change(self, images: Tensor, drawn: dict[str, Array]) -> Tensor:
        fill = drawn["fill"].astype(images.dtype)
        return ops.where(wrap(drawn["covered"]), wrap(fill), images)


class Mixing(RandomImage):
    """Base of the layers that mix every image, and its label, with another of the batch.

    `numbers` are ``order``, which image each is mixed with, and ``weights``, the share of the label
    that each keeps, shape (N,).
    """

    def change_labels(self, labels: Tensor, drawn: dict[str, Array]) -> Tensor:
        """Labels ``(N, classes)``, one-hot or probabilities, mixed as their images are."""
        if labels.ndim < 2:
            raise LayerError(
                f"{self._where} mixes labels of shape (N, classes), received {labels.shape}. Make "
                "them one-hot first: gt.utils.to_categorical(labels)."
            )
        weights = drawn["weights"].reshape(-1, *(1,) * (labels.ndim - 1))
        return _mixed(labels, drawn["order"], weights)


@register("layers")
class MixUp(Mixing):
    """Every image and its label averaged with another of the batch (Zhang et al., 2018).

    Args:
        alpha: of the distribution Beta(alpha, alpha) that an image's own weight is drawn from.
        data_format, seed: see `RandomImage`.

    Raises:
        ValueError: alpha is not positive.
    """

    def __init__(
        self,
        alpha: Positive = 0.2,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.alpha = alpha

    def numbers(self, shape: tuple[int, ...], generator: Generator) -> dict[str, Array]:
        order = generator.permutation(shape[0])
        return {"order": order, "weights": generator.beta(self.alpha, self.alpha, shape[0])}

    def change(self, images: Tensor, drawn: dict[str, Array]) -> Tensor:
        return _mixed(images, drawn["order"], drawn["weights"].reshape(-1, 1, 1, 1))

    def change_masks(self, masks: Tensor, drawn: dict[str, Array]) -> Tensor:
        return self.change(masks, drawn)


@register("layers")
class CutMix(Mixing):
    """A rectangle of every image taken from another of the batch, and that share of its label (Yun
    et al., 2019).

    Args:
        factor: of the distribution Beta(factor, factor) that the kept share is drawn from, itself
            drawn between two numbers for each batch: ``1.0`` stands for ``(0, 1)``.
        seed, data_format: see `RandomImage`.

    Raises:
        ValueError: a factor outside [0, 1].
    """

    def __init__(
        self,
        factor: Any = 1.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.factor = read_range(factor, "factor", self._where, least=0)

    def numbers(self, shape: tuple[int, ...], generator: Generator) -> dict[str, Array]:
        alpha = generator.uniform(*self.factor) + 1e-6
        share = np.sqrt(1 - generator.beta(alpha, alpha, shape[0]))
        return {
            "covered": _rectangles(shape, share, share, generator),
            "weights": 1 - share**2,
            "order": generator.permutation(shape[0]),
        }

    def change(self, images: Tensor, drawn: dict[str, Array]) -> Tensor:
        return ops.where(wrap(drawn["covered"]), ops.take(images, drawn["order"], axis=0), images)

    def change_masks(self, masks: Tensor, drawn: dict[str, Array]) -> Tensor:
        return self.change(masks, drawn)


def _mixed(x: Tensor, order: Array, weights: Array) -> Tensor:
    """``weights * x + (1 - weights) * x[order]``."""
    own = wrap(weights.astype(x.dtype))
    return own * x + (1 - own) * ops.take(x, order, axis=0)
