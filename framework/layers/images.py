"""What the layers on images share: their layout, the structures they take, and what they draw."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..autograd.tensor import Tensor
from ..autograd.tree import Shape
from .base import Layer
from .input_spec import InputSpec, LayerError
from .regularization import RandomLayer

Array = np.ndarray
if TYPE_CHECKING:
    Generator = np.random.Generator
else:
    Generator = "numpy.random.Generator"  # for annotations: the module is slow to import

#: The keys of a dict of data; labels and masks follow the images.
KEYS = ("images", "labels", "segmentation_masks")
_LAYOUTS = {
    "channels_last": ("batch", "height", "width", "channels"),
    "channels_first": ("batch", "channels", "height", "width"),
}


class ImageLayer(Layer):
    """Base of the layers over images ``(N, H, W, C)``, or one image ``(H, W, C)``.

    They also take a dict with ``"images"``, and ``"labels"`` or ``"segmentation_masks"`` that
    belong to them, and return one.

    Args:
        data_format: ``"channels_last"`` (default), or ``"channels_first"``.

    Raises:
        ValueError: another `data_format`.
    """

    casts_integers = True

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format or "channels_last"
        if self.data_format not in _LAYOUTS:
            raise ValueError(
                f"{self._where}: data_format must be 'channels_last' or 'channels_first', received "
                f"{data_format!r}."
            )
        self._batches = InputSpec(ndim=4, layout=_LAYOUTS[self.data_format])

    @property
    def _first(self) -> int:
        """The axis of the height, counted from the end."""
        return -3 if self.data_format == "channels_last" else -2

    def check_input(self, shape: Any) -> None:
        """Refuse what are no images, or a dict with something else."""
        if isinstance(shape, dict):
            unknown = [key for key in shape if key not in KEYS]
            if unknown or "images" not in shape:
                raise LayerError(
                    f"{self._where} takes images, or a dict with 'images' and perhaps 'labels' or "
                    f"'segmentation_masks', received the keys {', '.join(map(repr, shape))}."
                )
            shape = shape["images"]
        if len(shape) != 3 or shape[0] is None:
            self._batches.check(self._where, tuple(shape))

    def call(self, inputs: Any, training: bool = True) -> Any:
        data = inputs if isinstance(inputs, dict) else {"images": inputs}
        shape = self._last(data["images"]).shape
        drawn = self.draw((1,) * (4 - len(shape)) + shape, training)
        if drawn is None:
            return inputs
        changes = zip(KEYS, (self.change, self.change_labels, self.change_masks), strict=True)
        changed = {
            key: self._laid_out(change, data[key], drawn, key) for key, change in changes
            if key in data
        }  # fmt: skip
        return changed if isinstance(inputs, dict) else changed["images"]

    def _laid_out(self, change: Any, x: Tensor, drawn: Any, key: str) -> Tensor:
        """A change of batches with channels last, on what has another layout."""
        if key == "labels":
            return change(x, drawn)
        single = x.ndim == 3
        x = self._last(x)
        outputs = change(ops.expand_dims(x, 0) if single else x, drawn)
        outputs = ops.squeeze(outputs, 0) if single else outputs
        if self.data_format == "channels_last":
            return outputs
        return ops.moveaxis(outputs, -1, -3)

    def _last(self, x: Tensor) -> Tensor:
        return x if self.data_format == "channels_last" else ops.moveaxis(x, -3, -1)

    def draw(self, shape: tuple[int, ...], training: bool) -> Any:
        """What a change of images ``(N, H, W, C)`` depends on; None if they stay as they are."""
        return {}

    def change(self, images: Tensor, drawn: Any) -> Tensor:
        """What becomes of images ``(N, H, W, C)``."""
        raise TypeError(f"{type(self).__name__} must define change(self, images, drawn).")

    def change_labels(self, labels: Tensor, drawn: Any) -> Tensor:
        """What becomes of the labels of the images."""
        return labels

    def change_masks(self, masks: Tensor, drawn: Any) -> Tensor:
        """What becomes of their segmentation masks ``(N, H, W, C)``."""
        return masks

    def compute_output_shape(self, input_shape: Any) -> Any:
        if isinstance(input_shape, dict):
            resized = ("images", "segmentation_masks")
            return {
                key: self.image_shape(tuple(shape)) if key in resized else tuple(shape)
                for key, shape in input_shape.items()
            }
        return self.image_shape(tuple(input_shape))

    def image_shape(self, shape: Shape) -> Shape:
        """The shape of images of that shape, afterwards."""
        return shape


class SizedImages(ImageLayer):
    """Base of the layers whose images have one height and width, whatever came in.

    Args:
        height, width: of the images that come out.
        data_format: ``"channels_last"`` (default), or ``"channels_first"``.

    Raises:
        ValueError: they are no positive integers, or another `data_format`.
    """

    height: int
    width: int

    def image_shape(self, shape: Shape) -> Shape:
        sizes, first = list(shape), self._first
        sizes[first], sizes[first + 1] = self.height, self.width
        return tuple(sizes)


class RandomImage(ImageLayer, RandomLayer):
    """Base of the layers that change images at random, unless ``training=False``.

    Every image of a batch gets numbers of its own, drawn from the layer's counted stream (see
    `RandomLayer`), so a run can be repeated and resumed. As in Keras, a call that does not say
    whether it is training is: ``model.predict`` and ``model.evaluate`` say that they are not.

    Args:
        seed: an integer, or None for a stream of its own of the global seed.
        data_format: ``"channels_last"`` (default), or ``"channels_first"``.

    Raises:
        ValueError: another `data_format`.
    """

    def __init__(
        self, seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format, seed=seed, **kwargs)

    def draw(self, shape: tuple[int, ...], training: bool) -> Any:
        if not training or not shape[0]:
            return None
        return self.numbers(shape, self.next_generator())

    def numbers(self, shape: tuple[int, ...], generator: Generator) -> dict[str, Array]:
        """Random numbers for images ``(N, H, W, C)``, by what they are for."""
        raise TypeError(f"{type(self).__name__} must define numbers(self, shape, generator).")


def between(limits: tuple[float, float], count: int, generator: Generator) -> Array:
    """A number between two for each image, shape (N, 1, 1, 1)."""
    return generator.uniform(*limits, (count, 1, 1, 1))


def read_range(
    factor: Any, name: str, where: str, least: float = -1, above: float | None = None
) -> tuple[float, float]:
    """Two numbers in order, out of two, or of one that stands for both directions.

    Raises:
        ValueError: they are no numbers, or not within the bounds.
    """
    if isinstance(factor, (tuple, list, np.ndarray)):
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


def read_values(value_range: Any, where: str) -> tuple[float, float]:
    """The smallest and the largest value of a pixel.

    Raises:
        ValueError: they are not two numbers in order.
    """
    pair = value_range if isinstance(value_range, (tuple, list, np.ndarray)) else ()
    numbers = [_number(v) for v in pair]
    if len(numbers) != 2 or not numbers[0] <= numbers[1]:
        raise ValueError(f"{where}: value_range is (low, high), received {value_range!r}.")
    return numbers[0], numbers[1]


def _number(value: Any) -> float:
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return float(value) if is_number else math.nan
