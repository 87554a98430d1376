"""`Window`: what one position of a layer's output sees of its input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..autograd.tree import Shape
from ..ops.axes import axis_tuple
from ..ops.geometry import extent, resolve_padding

if TYPE_CHECKING:
    from fractions import Fraction

#: A length of axes that are open, for padding that depends on it.
_OPEN = 1 << 20


def fraction(numerator: int | Fraction, denominator: int) -> Fraction:
    """An exact ratio."""
    from fractions import Fraction  # slow to import, and rarely needed

    return Fraction(numerator, denominator)


class Window(NamedTuple):
    """Output position i sees the input from ``floor(i * strides - before)`` on, `size` elements.

    Attributes:
        size: elements seen along each spatial axis, from the first to the last.
        strides: how far the window moves; a fraction where the output is longer than the input, 0
            where the output has no spatial order any more.
        before: where the first window starts: how far before the first element.
    """

    size: tuple[int, ...]
    strides: tuple[int | Fraction, ...]
    before: tuple[int | Fraction, ...]

    @classmethod
    def point(cls, shape: Shape) -> Window:
        """Of a layer that looks at each position of an input of this shape by itself."""
        rank = spatial_rank(shape)
        return cls((1,) * rank, (1,) * rank, (0,) * rank)

    @classmethod
    def channels(cls, axis: Any, shape: Shape) -> Window | None:
        """Of a layer that works along these axes: a point, if they are the channels."""
        alone = len(shape) > 2 and axis_tuple(axis, len(shape)) == (len(shape) - 1,)
        return cls.point(shape) if alone else None

    @classmethod
    def disorder(cls, shape: Shape) -> Window:
        """Of a layer that moves elements to where there are no spatial axes, as Flatten does."""
        return cls.point(shape)._replace(strides=(0,) * spatial_rank(shape))

    @classmethod
    def sliding(
        cls,
        lengths: Shape,
        size: tuple[int, ...],
        strides: tuple[int, ...],
        padding: object,
        dilation: Sequence[int] | None = None,
    ) -> Window:
        """Of convolution and pooling over spatial axes of these lengths."""
        reach = extent(size, tuple(dilation or (1,) * len(size)))
        known = tuple(_OPEN if n is None else n for n in lengths)
        pairs = resolve_padding(padding, known, reach, strides, "Window")
        return cls(reach, tuple(strides), tuple(before for before, _ in pairs))


def spatial_rank(shape: Shape) -> int:
    """How many axes there are between batch and channels; the features of vectors count as one."""
    return max(len(shape) - 2, 1)
