"""Augmentation that changes colours: each image by numbers of its own."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .. import ops
from ..autograd.tensor import Tensor, wrap
from ..config.serialization import register
from .colour_spaces import grey, hsv_to_rgb, rgb_to_hsv
from .images import Array, Generator, RandomImage, between, read_range, read_values


class RandomColour(RandomImage):
    """Base of the layers that change colours by a factor.

    Args:
        factor: two numbers that a factor is drawn between, for each image; one number stands for
            minus and plus it, as far as `bounds` allow.
        value_range: the smallest and the largest value of a pixel; results are held within it.
        data_format, seed: see `RandomImage`.

    Raises:
        ValueError: a factor out of bounds, or no range.
    """

    #: The least a factor can be; the most is 1.
    least: float = 0.0

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.factor = read_range(factor, "factor", self._where, least=self.least)
        self.value_range = read_values(value_range, self._where)

    def numbers(self, shape: tuple[int, ...], generator: Generator) -> dict[str, Array]:
        return {"factor": between(self.factor, shape[0], generator)}

    def change(self, images: Tensor, drawn: dict[str, Array]) -> Tensor:
        numbers = {k: wrap(v.astype(images.dtype)) for k, v in drawn.items()}
        return self.coloured(images, **numbers)

    def coloured(self, images: Tensor, factor: Tensor) -> Tensor:
        """What becomes of images ``(N, H, W, C)`` by factors ``(N, 1, 1, 1)``."""
        raise TypeError(f"{type(self).__name__} must define coloured(self, images, factor).")

    def held(self, images: Tensor) -> Tensor:
        """The images with no value outside their range."""
        low, high = self.value_range
        return ops.clip(images, low, high)

    def blended(self, images: Tensor, others: Tensor, share: Any) -> Tensor:
        """That share of others, the rest of the images, within the range."""
        return self.held(images + share * (others - images))


@register("layers")
class RandomBrightness(RandomColour):
    """``x + factor * (high - low)``.

    Args:
        factor: within [-1, 1]; ``0.2`` stands for ``(-0.2, 0.2)``.
        value_range, seed: see `RandomColour`.
    """

    least = -1.0

    def __init__(
        self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(factor, value_range, seed=seed, **kwargs)

    def coloured(self, images: Tensor, factor: Tensor) -> Tensor:
        low, high = self.value_range
        return self.held(images + factor * (high - low))


@register("layers")
class RandomContrast(RandomColour):
    """Every channel of an image stretched about its mean: ``(x - mean) * contrast + mean``.

    Args:
        factor: within [0, 1]; the contrast is drawn between ``1 - factor[0]`` and
            ``1 + factor[1]``, and ``0.2`` stands for ``(0, 0.2)``.
        value_range, seed: see `RandomColour`.
    """

    def __init__(
        self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(factor, value_range, seed=seed, **kwargs)

    def numbers(self, shape: tuple[int, ...], generator: Generator) -> dict[str, Array]:
        low, high = self.factor
        return {"factor": between((1 - low, 1 + high), shape[0], generator)}

    def coloured(self, images: Tensor, factor: Tensor) -> Tensor:
        mean = ops.mean(images, axis=(1, 2), keepdims=True)
        return self.held((images - mean) * factor + mean)


@register("layers")
class RandomColorDegeneration(RandomColour):
    """Colours faded towards grey: ``x + factor * (grey - x)``.

    Args:
        factor: within [-1, 1]; 1 is grey.
        value_range, data_format, seed: see `RandomColour`.
    """

    least = -1.0

    def coloured(self, images: Tensor, factor: Tensor) -> Tensor:
        return self.blended(images, grey(images), factor)


@register("layers")
class RandomSharpness(RandomColour):
    """Images blurred or sharpened: 0 blurs, 1/2 changes nothing, 1 sharpens.

    The blur is a mean of 3x3 pixels in which the middle one counts five times; there are zeros
    around the image.

    Args:
        factor: within [0, 1].
        value_range, data_format, seed: see `RandomColour`.
    """

    def coloured(self, images: Tensor, factor: Tensor) -> Tensor:
        channels = images.shape[-1]
        weights = np.full((3, 3, 1, channels), 1 / 13, images.dtype)
        weights[1, 1] *= 5
        smooth = ops.conv(images, wrap(weights), padding="same", groups=channels)
        return self.blended(images, smooth, 1 - 2 * factor)


@register("layers")
class RandomSaturation(RandomColour):
    """The saturation (in HSV) multiplied by ``factor / (1 - factor)``, so that 1/2 changes nothing.

    Args:
        factor: within [-1, 1]; 0 is grey, 1 all colour.
        value_range, data_format, seed: see `RandomColour`.
    """

    least = -1.0

    def numbers(self, shape: tuple[int, ...], generator: Generator) -> dict[str, Array]:
        factor = between(self.factor, shape[0], generator)
        return {"factor": factor / (1 - factor + 1e-7)}

    def coloured(self, images: Tensor, factor: Tensor) -> Tensor:
        hue, saturation, value = rgb_to_hsv(images)
        return hsv_to_rgb(hue, self.held(saturation * factor), value)


@register("layers")
class RandomHue(RandomColour):
    """The hue turned by up to ``factor / 2`` of the colour wheel, either way.

    Args:
        factor: within [0, 1].
        value_range, data_format, seed: see `RandomColour`.
    """

    def numbers(self, shape: tuple[int, ...], generator: Generator) -> dict[str, Array]:
        sign = np.where(generator.random((shape[0], 1, 1, 1)) > 0.5, -1, 1)
        return {"factor": sign * between(self.factor, shape[0], generator) / 2}

    def coloured(self, images: Tensor, factor: Tensor) -> Tensor:
        low, high = self.value_range
        hue, saturation, value = rgb_to_hsv((images - low) / (high - low))
        turned = hue + factor
        turned = ops.where(turned > 1, turned - 1, turned)
        turned = ops.where(turned < 0, turned + 1, turned)
        changed = ops.clip(hsv_to_rgb(turned, saturation, value), 0, 1)
        return changed * (high - low) + low


@register("layers")
class RandomInvert(RandomColour):
    """``high - x``, with a probability.

    Args:
        factor: within [0, 1]; the probability is drawn for each image, and ``1.0`` stands for
            ``(0, 1)``, so for half of the images.
        value_range, seed, data_format: see `RandomColour`.
    """

    def __init__(
        self,
        factor: Any = 1.0,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, data_format, seed, **kwargs)

    def numbers(self, shape: tuple[int, ...], generator: Generator) -> dict[str, Array]:
        probability = between(self.factor, shape[0], generator)
        return {"factor": generator.random(probability.shape) < probability}

    def coloured(self, images: Tensor, factor: Tensor) -> Tensor:
        return ops.where(factor > 0, self.value_range[1] - images, images)


@register("layers")
class RandomGrayscale(RandomImage):
    """Colours made grey, with a probability.

    Args:
        factor: the probability.
        data_format, seed: see `RandomImage`.

    Raises:
        ValueError: it is outside [0, 1].
    """

    def __init__(
        self,
        factor: float = 0.5,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.factor = read_range((0, factor), "factor", self._where, least=0)[1]

    def numbers(self, shape: tuple[int, ...], generator: Generator) -> dict[str, Array]:
        return {"chosen": generator.random((shape[0], 1, 1, 1)) < self.factor}

    def change(self, images: Tensor, drawn: dict[str, Array]) -> Tensor:
        return ops.where(wrap(drawn["chosen"]), grey(images), images)


@register("layers")
class RandomColorJitter(RandomImage):
    """Brightness, contrast, saturation and hue, one after the other.

    Args:
        value_range: the smallest and the largest value of a pixel.
        brightness_factor, contrast_factor, saturation_factor, hue_factor: those of
            `RandomBrightness`, `RandomContrast`, `RandomSaturation`, `RandomHue`; None leaves that
            one out.
        seed, data_format: see `RandomImage`.
    """

    _parts: ClassVar[dict[str, type[RandomColour]]] = {
        "brightness": RandomBrightness,
        "contrast": RandomContrast,
        "saturation": RandomSaturation,
        "hue": RandomHue,
    }

    def __init__(
        self,
        value_range: Any = (0, 255),
        brightness_factor: Any = None,
        contrast_factor: Any = None,
        saturation_factor: Any = None,
        hue_factor: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.value_range = read_values(value_range, self._where)
        factors = (brightness_factor, contrast_factor, saturation_factor, hue_factor)
        self.factors = dict(zip(self._parts, factors, strict=True))
        self._chosen = {
            name: self._parts[name](factor, self.value_range, seed=0, dtype=self.dtype)
            for name, factor in self.factors.items()
            if factor is not None
        }

    def numbers(self, shape: tuple[int, ...], generator: Generator) -> dict[str, Array]:
        return {
            name: part.numbers(shape, generator)["factor"] for name, part in self._chosen.items()
        }

    def change(self, images: Tensor, drawn: dict[str, Array]) -> Tensor:
        for name, factor in drawn.items():
            images = self._chosen[name].change(images, {"factor": factor})
        return images

    def get_config(self) -> dict[str, Any]:
        factors = {f"{name}_factor": factor for name, factor in self.factors.items()}
        return {**super().get_config(), "value_range": self.value_range, **factors}
