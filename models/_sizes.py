"""What every net of the zoo asks of its `input_shape`, and how a net is made narrower."""

from __future__ import annotations

from collections.abc import Sequence


def image_shape(net: str, input_shape: Sequence[int], smallest: int) -> tuple[int, int, int]:
    """`input_shape` as (height, width, channels), if an image of that size fits the net.

    Args:
        net: its name, for the error.
        input_shape: what the user gave.
        smallest: the least height and width that leave something for the last layer to see.

    Raises:
        ValueError: no such shape, too small, or without channels.
    """
    shape = tuple(input_shape)
    if len(shape) != 3 or not all(isinstance(n, int) for n in shape):
        raise ValueError(f"{net} expected input_shape (height, width, channels), received {shape}.")
    height, width, channels = shape
    if min(height, width) < smallest:
        first = 0 < height < min(smallest, 5) and min(width, channels) >= smallest
        hint = f" Channels come last: did you mean {(width, channels, height)}?" if first else ""
        raise ValueError(
            f"{net} needs images of {smallest}x{smallest} or more, received input_shape {shape}."
            f"{hint}"
        )
    if channels < 1:
        raise ValueError(f"{net} needs images of one or more channels, received {shape}.")
    return height, width, channels


def scaled(filters: int, width: float, multiple: int = 1) -> int:
    """`filters` times the width multiplier, as the nearest multiple above zero."""
    return max(1, round(filters * width / multiple)) * multiple
