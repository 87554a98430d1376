"""Samples: the valid calls of an op on which its gradient is proven.

They are drawn, not listed: a family of ops shares its shapes, memory layouts and value ranges, and
each op says what is special about it (its domain, its kinks).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Generator = np.random.Generator
else:
    Generator = "numpy.random.Generator"  # for annotations: the module is slow to import

#: The difference step of a check on values of unit scale; kinks stay further away than it reaches.
STEP = 1e-3
KINK_DISTANCE = 10 * STEP


class Sample:
    """One valid call of an op: arrays by position, settings by keyword.

    Arrays are float64 where a gradient may flow; integers and bools stay what they are.
    """

    def __init__(self, *arrays: Any, **settings: Any) -> None:
        self.arrays = tuple(np.asarray(a) for a in arrays)
        self.settings = settings
        self.step = STEP
        self.constant: tuple[int, ...] = ()
        self.aliasable = True

    def at_scale(self, scale: float) -> Sample:
        """This sample with difference steps measured in `scale`, the size of its values."""
        self.step = STEP * abs(scale)
        return self

    def without_gradient(self, *positions: int) -> Sample:
        """This sample with the arrays at these positions held constant."""
        self.constant = positions
        return self

    def unaliased(self) -> Sample:
        """This sample, not to be tried with one array for all."""
        self.aliasable = False
        return self

    def __repr__(self) -> str:
        parts = [f"{a.dtype}{list(a.shape)}" for a in self.arrays]
        parts += [f"{k}={v!r}" for k, v in self.settings.items()]
        return f"({', '.join(parts)})"


#: Draws the samples of an op from the generator it is given.
Samples = Callable[[Generator], Iterable[Sample]]


def no_samples(rng: Generator) -> Iterable[Sample]:
    """The samples of an op that has none: it can be used, and checked on inputs of one's own with
    `gradcheck`, but not be proven."""
    return ()


#: Draws an array of a shape.
Draw = Callable[[Generator, tuple[int, ...]], np.ndarray]

#: Scalars, empty axes, unit axes, and odd tails around the vector widths.
SHAPES = [
    (),
    (1,),
    (0,),
    (3,),
    (2, 3),
    (1, 4),
    (3, 0, 2),
    (2, 1, 3),
    (5, 1),
    (9,),
    (17,),
    (2, 2, 2, 2),
]

#: Pairs that broadcast, both ways and through unit, missing and empty axes.
PAIRS = [
    ((), ()),
    ((3,), (3,)),
    ((2, 3), (2, 3)),
    ((2, 3), (3,)),
    ((3,), (2, 3)),
    ((2, 1), (1, 3)),
    ((), (4,)),
    ((4,), ()),
    ((2, 3, 2), (3, 1)),
    ((1, 1), (2, 3)),
    ((0, 3), (3,)),
    ((1,), (0,)),
    ((1, 3, 1), (2, 1, 4)),
    ((9,), (9,)),
    ((17,), (1,)),
]


def between(low: float, high: float, avoid: Sequence[float] = ()) -> Draw:
    """Values in [low, high], none close to a value in `avoid`."""

    def draw(rng: Generator, shape: tuple[int, ...]) -> np.ndarray:
        values = rng.uniform(low, high, shape)
        for kink in avoid:
            offset = values - kink
            near = np.abs(offset) < KINK_DISTANCE
            values = np.where(near, kink + np.where(offset < 0, -1, 1) * 2 * KINK_DISTANCE, values)
        return np.asarray(values)

    return draw


def distinct(rng: Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Values no two of which are close, in random order: for ops that compare their elements."""
    size = int(np.prod(shape))
    values = (rng.permutation(size) - size / 2) * (5 * KINK_DISTANCE) + KINK_DISTANCE
    return values.reshape(shape)


def layouts(rng: Generator, draw: Draw) -> Iterator[np.ndarray]:
    """Arrays that are not simply contiguous: transposed, strided, reversed, Fortran, broadcast."""
    yield draw(rng, (3, 2)).T
    yield draw(rng, (7,))[::2]
    yield draw(rng, (5,))[::-1]
    yield draw(rng, (2, 6))[:, ::-3]
    yield np.asfortranarray(draw(rng, (2, 3, 2)))
    yield np.broadcast_to(draw(rng, (1, 3)), (2, 3))


#: Of the domain of `unary`: close to zero, and out where an op levels off or explodes.
WITH_TAILS = (1.0, 1e-3, 8.0)


def unary(
    low: float = -2.0,
    high: float = 2.0,
    /,
    *,
    avoid: Sequence[float] = (),
    scales: Sequence[float] = (1.0, 1e-3),
    **settings: Sequence[Any],
) -> Samples:
    """Samples of an elementwise op of one array, over every combination of the listed settings.

    Args:
        low, high, avoid: the domain and the kinks in it.
        scales: factors on the domain (the kinks must stay where they are: zero).
        settings: for each setting the values to try.
    """

    def samples(rng: Generator) -> Iterator[Sample]:
        draw = between(low, high, avoid)
        for chosen in combinations(**settings):
            for scale in scales:
                for shape in SHAPES:
                    yield Sample(draw(rng, shape) * scale, **chosen).at_scale(scale)
                for array in layouts(rng, draw):
                    yield Sample(array * scale, **chosen).at_scale(scale)
            for shape in ((3,), (2, 3), (1,), (4, 2)):
                for _ in range(8 // len(scales)):
                    yield Sample(draw(rng, shape), **chosen)

    return samples


def binary(
    left: Draw | None = None,
    right: Draw | None = None,
    apart: bool = False,
    **settings: Sequence[Any],
) -> Samples:
    """Samples of an elementwise op of two arrays that broadcast.

    Args:
        left, right: the domain of each array.
        apart: keep the two arrays' elements away from each other (where ``x == y`` is a kink).
        settings: for each setting the values to try.
    """
    left = left or between(-2, 2)
    right = right or left
    place = _apart if apart else lambda x, y: (x, y)

    def samples(rng: Generator) -> Iterator[Sample]:
        for chosen in combinations(**settings):
            for first, second in PAIRS:
                for _ in range(3):
                    yield Sample(*place(left(rng, first), right(rng, second)), **chosen)
            for x, y in zip(layouts(rng, left), layouts(rng, right), strict=True):
                yield Sample(*place(x, y), **chosen)

    return samples


def _apart(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two moved so that no element of one comes close to an element of the other."""
    grid = 4 * KINK_DISTANCE
    return x - x % grid, y - y % grid + grid / 2


def calls(*cases: tuple[Any, ...], draw: Draw | None = None, repeats: int = 6) -> Samples:
    """Samples of an op at listed calls: each case is ``(shape, ..., {setting: value})``."""
    draw = draw or between(-2, 2)

    def samples(rng: Generator) -> Iterator[Sample]:
        for *shapes, settings in cases:
            for _ in range(repeats):
                yield Sample(*(draw(rng, shape) for shape in shapes), **settings)

    return samples


def combinations(**settings: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Every combination of the values listed for each setting."""
    chosen: list[dict[str, Any]] = [{}]
    for name, values in settings.items():
        chosen = [{**c, name: v} for c in chosen for v in values]
    yield from chosen
