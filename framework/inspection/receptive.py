"""Receptive fields: what one position of a layer's output can see of the input of the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..layers.window import Window, fraction

if TYPE_CHECKING:
    from fractions import Fraction


class FieldAxis(NamedTuple):
    """A receptive field along one axis; see `ReceptiveField`."""

    size: int
    stride: int | Fraction
    offset: int | Fraction
    first: int
    last: int

    def start(self, position: int) -> int:
        """The first pixel that a position sees."""
        return math.floor(position * self.stride + self.offset)

    def behind(self, size: int, stride: int | Fraction, before: int | Fraction) -> FieldAxis:
        """Behind a window; what all positions see stays as it is."""
        grown = self.size + math.ceil((size - 1) * self.stride)
        offset = self.offset - before * self.stride
        parts = stride.denominator
        if parts > 1 and (self.stride != 1 or self.offset.denominator > 1):
            # Several positions share a window that starts at the first of them.
            slack = fraction(self.stride * (parts - 1), parts)
            grown, offset = grown + math.ceil(slack), offset - slack
        return self._replace(size=grown, stride=_whole(self.stride * stride), offset=_whole(offset))

    def cut(self, length: int) -> FieldAxis:
        """With `length` positions, all of which see no more than they reach."""
        end = self.start(length - 1) + self.size - 1
        return self._replace(first=max(self.first, self.start(0)), last=min(self.last, end))

    def everything(self) -> FieldAxis:
        """Of one that sees what all positions together see."""
        return self._replace(size=self.last - self.first + 1, stride=0, offset=self.first)


def _whole(number: int | Fraction) -> int | Fraction:
    return int(number) if number.denominator == 1 else number


@dataclass(frozen=True)
class ReceptiveField:
    """Output position i sees the input from pixel ``floor(i * stride + offset)`` on, `size` pixels
    along each axis (Araujo et al., "Computing receptive fields of convolutional neural networks",
    2019). Behind layers that enlarge images it may see up to a few pixels less.

    Attributes:
        axes: a `FieldAxis` for each spatial axis of the input; its `first` and `last` are of the
            pixels that all positions together see.
    """

    axes: tuple[FieldAxis, ...]

    @property
    def size(self) -> tuple[int, ...]:
        """Pixels along each axis; more than the input has where padding counts."""
        return tuple(a.size for a in self.axes)

    @property
    def stride(self) -> tuple[int | Fraction, ...]:
        """Input pixels from one position to the next: a fraction after upsampling, and 0 where all
        outputs see the same, or have no spatial order any more."""
        return tuple(a.stride for a in self.axes)

    @property
    def offset(self) -> tuple[int | Fraction, ...]:
        """The first pixel of position 0; negative in the padding."""
        return tuple(a.offset for a in self.axes)

    @classmethod
    def of_input(cls, lengths: Sequence[int]) -> ReceptiveField:
        """Of an input itself: each pixel sees itself."""
        return cls(tuple(FieldAxis(1, 1, 0, 0, n - 1) for n in lengths))

    def at(self, *position: int) -> tuple[tuple[int, int], ...]:
        """The first and last pixel of the input along each axis that an output sees.

        Raises:
            ValueError: not one number for each axis.
        """
        if len(position) != len(self.axes):
            raise ValueError(f"A position has {len(self.axes)} numbers, received {position}.")
        spans = []
        for i, axis in zip(position, self.axes, strict=True):
            start = axis.start(i)
            spans.append((max(start, axis.first), min(start + axis.size - 1, axis.last)))
        return tuple(spans)

    def through(self, window: Window | None, lengths: Sequence[int]) -> ReceptiveField:
        """Behind one more layer.

        Args:
            window: what the layer sees of the one before; None: all of it.
            lengths: of the spatial axes of its output.
        """
        if window is not None and not any(self.stride):
            return self
        if window is None or len(window.size) != len(self.axes):
            return self.everything()
        axes = [a.behind(*w) for a, w in zip(self.axes, zip(*window, strict=True), strict=True)]
        if any(window.strides) and len(lengths) == len(axes):
            axes = [a.cut(n) for a, n in zip(axes, lengths, strict=True)]
        return ReceptiveField(tuple(axes))

    def everything(self) -> ReceptiveField:
        """Of an output that sees all there is."""
        return ReceptiveField(tuple(a.everything() for a in self.axes))


def joined(fields: Sequence[ReceptiveField]) -> ReceptiveField:
    """What branches see together: from the first to the last pixel that any of them sees."""
    if len(fields) == 1:
        return fields[0]
    ordered = [any(f.stride) for f in fields]
    axes = [_joined([f.axes[i] for f in fields]) for i in range(len(fields[0].axes))]
    field = ReceptiveField(tuple(axes))
    return field.everything() if any(ordered) and not all(ordered) else field


def _joined(axes: Sequence[FieldAxis]) -> FieldAxis:
    start = min(a.offset for a in axes)
    return FieldAxis(
        size=max(math.ceil(a.offset - start) + a.size for a in axes),
        stride=max(a.stride for a in axes),
        offset=start,
        first=min(a.first for a in axes),
        last=max(a.last for a in axes),
    )
