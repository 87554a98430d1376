"""Images in grey, and as hue, saturation and value instead of red, green and blue."""

from __future__ import annotations

from .. import ops
from ..autograd.tensor import Tensor
from .input_spec import LayerError

#: How bright red, green and blue look (ITU-R BT.601).
LUMINANCE = (0.2989, 0.587, 0.114)


def _planes(images: Tensor) -> list[Tensor]:
    """Red, green and blue, ``(N, H, W, 1)`` each.

    Raises:
        LayerError: there are not three channels.
    """
    if images.shape[-1] != 3:
        raise LayerError(
            f"Colours are three channels: red, green, blue. Received images {images.shape}."
        )
    return [images[..., i : i + 1] for i in range(3)]


def grey(images: Tensor) -> Tensor:
    """The brightness of images ``(N, H, W, 3)``, as ``(N, H, W, 1)``; of one channel, the same."""
    if images.shape[-1] == 1:
        return images
    red, green, blue = (w * plane for w, plane in zip(LUMINANCE, _planes(images), strict=True))
    return red + green + blue


def rgb_to_hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in [0, 1), saturation in [0, 1] and value of images, ``(N, H, W, 1)`` each (Smith, 1978).

    The hue of grey, and the saturation of black, are 0.
    """
    red, green, blue = _planes(images)
    value = ops.maximum(ops.maximum(red, green), blue)
    spread = value - ops.minimum(ops.minimum(red, green), blue)
    safe = ops.where(spread > 0, spread, 1.0)
    from_red = ops.mod((green - blue) / safe, 6.0)
    from_green = (blue - red) / safe + 2.0
    from_blue = (red - green) / safe + 4.0
    sixths = ops.where(value == red, from_red, ops.where(value == green, from_green, from_blue))
    hue = ops.where(spread > 0, sixths / 6.0, 0.0)
    saturation = ops.where(value > 0, spread / ops.where(value > 0, value, 1.0), 0.0)
    return hue, saturation, value


def hsv_to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """The way back, to ``(N, H, W, 3)``: every colour falls off linearly around its own hue."""
    planes = []
    for sixth in (5.0, 3.0, 1.0):
        place = ops.mod(6.0 * hue + sixth, 6.0)
        off = ops.clip(ops.minimum(place, 4.0 - place), 0.0, 1.0)
        planes.append(value - value * saturation * off)
    return ops.concatenate(planes, axis=-1)
