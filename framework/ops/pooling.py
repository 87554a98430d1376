"""Pooling of 1-D, 2-D and 3-D images (N, *spatial, C): the maximum or the mean of every window.

Maximum: `max_pool_index` finds where it is (no gradient: it is piecewise constant) and
`gather_positions` fetches it from there, which is linear. Its adjoint, `scatter_positions`, is its
gradient, and the other way round, so that pooling has every order of derivative and the search is
done once.

Mean: linear, so again an op and its adjoint. Padding never counts: a maximum ignores it (as if it
were minus infinity, not zero), a mean divides by the pixels that are really there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from .. import kernels
from ..autograd.registry import composite, op
from ..autograd.tensor import Tensor, as_tensor
from ..errors import ShapeError
from ..samples import Generator, Sample, distinct
from .geometry import (
    Pairs,
    Sizes,
    arranged,
    check_rank,
    draw,
    floats,
    output_size,
    per_axis,
    volumes,
    window_settings,
)

Array = np.ndarray
#: For each of D, H and W: the first pixel of every window, and the one behind its last.
Ranges = tuple[Array, Array, Array]


# Which pixels each output sees


@lru_cache(maxsize=1024)
def _sliding(input_size: Sizes, pool_size: Sizes, strides: Sizes, padding: Pairs) -> Ranges:
    ranges = []
    outputs = output_size(input_size, pool_size, strides, padding)
    for n, o, k, s, p in zip(input_size, outputs, pool_size, strides, padding, strict=True):
        start = np.arange(o) * s - p[0]
        ranges.append(np.stack([np.maximum(start, 0), np.minimum(start + k, n)], axis=1))
    return as_three(ranges)


def as_three(ranges: list[Array]) -> Ranges:
    """The ranges of 1 to 3 spatial axes as those of D, H and W."""
    unit = np.array([[0, 1]])
    d, h, w = [unit] * (3 - len(ranges)) + [r.astype(np.int64) for r in ranges]
    return d, h, w


def _outputs(x: Array, ranges: Ranges, dtype: Any) -> Array:
    """Room for one pixel a window."""
    sizes = [len(r) for r in ranges]
    return np.empty((len(x), *sizes[5 - x.ndim :], x.shape[-1]), dtype)


def average_under(x: Array, ranges: Ranges) -> Array:
    """The mean of every window."""
    (x,) = floats(x)
    y = _outputs(x, ranges, x.dtype)
    kernels.pooling.average(volumes(x), volumes(y), *ranges)
    return y


def spread_under(gradient: Array, ranges: Ranges, input_size: Sizes) -> Array:
    """The adjoint of `average_under`."""
    (gradient,) = floats(gradient)
    x = np.zeros((len(gradient), *input_size, gradient.shape[-1]), gradient.dtype)
    kernels.pooling.spread(volumes(gradient), volumes(x), *ranges)
    return x


def _numbers(x: Array) -> Array:
    """Contiguous, in a dtype that kernels which only compare and move are compiled for."""
    if x.dtype.kind == "f":
        return floats(x)[0]
    return np.ascontiguousarray(x, np.uint64 if x.dtype == np.uint64 else np.int64)


def argmax_under(x: Array, ranges: Ranges) -> Array:
    """The position of the maximum of every window."""
    x = _numbers(x)
    small = math.prod(x.shape[1:-1]) < 2**31
    index = _outputs(x, ranges, np.int32 if small else np.int64)
    kernels.pooling.argmax(volumes(x), volumes(index), *ranges)
    return index


# Settings


def _resolve(where: str) -> Callable[..., dict[str, Any]]:
    def resolve(x: Tensor, pool_size: Any, strides: Any, padding: Any) -> dict[str, Any]:
        return _settings(where, x.shape, pool_size, strides, padding)[0]

    return resolve


def _settings(
    where: str, x_shape: Sizes, pool_size: Any = 2, strides: Any = None, padding: Any = "valid"
) -> tuple[dict[str, Any], Sizes]:
    strides = pool_size if strides is None else strides
    settings, outputs = window_settings(where, x_shape, "pool_size", pool_size, strides, padding)
    del settings["dilation"]
    for size, pair in zip(settings["pool_size"], settings["padding"], strict=True):
        if max(pair) >= size:
            raise ValueError(
                f"{where} expected less padding than pool_size={settings['pool_size']} on every "
                f"side, received padding={padding!r}: a window could lie on padding only."
            )
    return settings, (x_shape[0], *outputs, x_shape[-1])


# Samples

Case = tuple[Sizes, dict[str, Any]]


def pool_cases(rng: Generator) -> Iterator[Case]:
    """Shapes of x and settings: the corners by hand, then 30 at random."""
    yield (2, 4, 1), {}
    yield (1, 4, 4, 1), {}
    yield (2, 2, 3, 3), {"pool_size": (2, 1)}
    yield (1, 1, 1, 1), {"pool_size": 1}
    yield (1, 5, 5, 2), {"pool_size": 3, "strides": 2}
    yield (1, 4, 5, 1), {"pool_size": 2, "strides": 1}
    yield (1, 4, 5, 1), {"pool_size": 3, "strides": (1, 2), "padding": "same"}
    yield (1, 5, 5, 1), {"padding": "same"}
    yield (1, 7, 1), {"pool_size": 2, "strides": 3, "padding": "same"}
    yield (1, 5, 6, 1), {"pool_size": 2, "strides": 3}
    yield (1, 3, 4, 2), {"pool_size": (2, 3), "padding": ((1, 0), (0, 2))}
    yield (1, 3, 4, 1), {"pool_size": 3, "strides": 1, "padding": 1}
    yield (1, 3, 3, 1), {"pool_size": 3, "strides": 2, "padding": ((2, 2), (1, 0))}
    yield (1, 3, 5), {"pool_size": 2, "strides": 1}
    yield (1, 4, 8), {}
    yield (1, 3, 17), {"pool_size": 3}
    yield (0, 4, 4, 2), {}
    yield (0, 3, 1), {"pool_size": 3, "strides": 1, "padding": "same"}
    yield (0, 2, 2, 2, 3), {}
    yield (1, 2, 4, 2, 1), {}
    yield (1, 3, 2, 3, 2), {"pool_size": (2, 1, 2), "strides": 1}
    yield (2, 3, 3, 2, 1), {"padding": "same"}
    yield (1, 2, 2, 3, 2), {"pool_size": (1, 2, 3), "padding": ((0, 0), (1, 1), (2, 0))}
    for _ in range(30):
        rank = int(rng.choice([1, 2, 2, 3]))
        size = rng.integers(1, 4, rank)
        x = size + rng.integers(0, (6, 4, 2)[rank - 1], rank)
        pairs = rng.integers(0, size[:, None], (rank, 2))
        settings = {
            "pool_size": tuple(size.tolist()),
            "strides": tuple(rng.integers(1, 4, rank).tolist()),
            "padding": tuple(map(tuple, pairs.tolist())),
        }
        yield (1, *x.tolist(), int(rng.integers(1, 4))), settings


def samples_of(cases: Callable[[Generator], Iterator[Case]], apart: bool = False) -> Any:
    """Samples of x; `apart`, with no two values so close that a difference step swaps them."""

    def samples(rng: Generator) -> Iterator[Sample]:
        for x, settings in cases(rng):
            yield Sample(arranged(rng, distinct(rng, x)) if apart else draw(rng, x), **settings)

    return samples


def _gradient_samples(rng: Generator) -> Iterator[Sample]:
    for x, settings in pool_cases(rng):
        y = _settings("average_pool", x, **settings)[1]
        yield Sample(draw(rng, y), input_size=x[1:-1], **settings)


def _position_samples(scatters: bool) -> Any:
    def samples(rng: Generator) -> Iterator[Sample]:
        for x, settings in pool_cases(rng):
            y = _settings("max_pool", x, **settings)[1]
            kind = (np.int32, np.int64)[rng.integers(2)]
            index = rng.integers(0, math.prod(x[1:-1]), y).astype(kind)
            if scatters:
                yield Sample(draw(rng, y), index, input_size=x[1:-1])
            else:
                yield Sample(draw(rng, x), index)

    return samples


# Maximum


@op(
    gradients=(None,),
    samples=samples_of(pool_cases, apart=True),
    resolve=_resolve("max_pool"),
)
def max_pool_index(
    x: Array, /, pool_size: Any = 2, strides: Any = None, padding: Any = "valid"
) -> Array:
    """Where the maximum of every window is: int32 positions among the pixels of its image.

    The first one in row-major order where several are equal; a NaN counts as the largest.

    Args:
        x, pool_size, strides, padding: see `max_pool`.

    Returns:
        (N, *output_size, C) int32, in row-major order over the spatial axes.
    """
    return argmax_under(x, _sliding(x.shape[1:-1], pool_size, strides, padding))


def _resolve_gather(x: Tensor, index: Tensor) -> dict[str, Any]:
    _check_index("gather_positions", x.shape, index)
    return {}


def _check_index(where: str, shape: Sizes, index: Tensor) -> None:
    check_rank(where, shape, len(shape) - 2)
    ends = shape[0], shape[-1]
    if index.ndim != len(shape) or (index.shape[0], index.shape[-1]) != ends:
        raise ShapeError(
            f"{where} expected x of shape (N, *spatial, C) and positions of shape (N, *outputs, C) "
            f"with the same N, C and rank, received {shape} and {index.shape}."
        )
    if index.dtype.kind != "i":
        raise TypeError(f"{where} expected integer positions, received dtype {index.dtype}.")


def _flat(x: Array) -> Array:
    """(N, *spatial, C) as (N, pixels, C)."""
    return np.ascontiguousarray(x).reshape(len(x), math.prod(x.shape[1:-1]), x.shape[-1])


def _check_positions(valid: bool, input_size: Sizes) -> None:
    if not valid:
        raise IndexError(f"a position is outside the {math.prod(input_size)} pixels of an image")


@op(
    gradients=(lambda g, y, x, i: scatter_positions(g, i, input_size=x.shape[1:-1]), None),
    samples=_position_samples(scatters=False),
    resolve=_resolve_gather,
    linear=True,
    integers=True,
)
def gather_positions(x: Array, index: Array, /) -> Array:
    """The pixels at the given positions, each channel its own: ``x[n, i[n, o, c], c]``.

    Args:
        x: (N, *spatial, C).
        index: (N, *outputs, C) ints, positions among the pixels of an image in row-major order.

    Returns:
        (N, *outputs, C).

    Raises:
        IndexError: a position outside the image.
    """
    numbers = _numbers(x)
    y = np.empty(index.shape, numbers.dtype)
    _check_positions(kernels.pooling.gather(_flat(numbers), _flat(index), _flat(y)), x.shape[1:-1])
    return y.astype(x.dtype, copy=False)


def _resolve_scatter(gradient: Tensor, index: Tensor, input_size: Any) -> dict[str, Any]:
    where = "scatter_positions"
    if gradient.shape != index.shape:
        raise ShapeError(
            f"{where} expected one value a position, received values {gradient.shape} and "
            f"positions {index.shape}."
        )
    _check_index(where, gradient.shape, index)
    return {"input_size": per_axis(input_size, index.ndim - 2, "input_size", where, least=0)}


@op(
    gradients=(lambda v, x, g, i, input_size: gather_positions(v, i), None),
    samples=_position_samples(scatters=True),
    resolve=_resolve_scatter,
    linear=True,
    integers=True,
)
def scatter_positions(values: Array, index: Array, /, input_size: Any) -> Array:
    """Images that are zero but for the values added at the given positions.

    Args:
        values: (N, *outputs, C).
        index: (N, *outputs, C) ints; see `gather_positions`, whose adjoint this is.
        input_size: the spatial size of the images.

    Returns:
        (N, *input_size, C).

    Raises:
        IndexError: a position outside the image.
    """
    values = _numbers(values)
    x = np.zeros((len(values), *input_size, values.shape[-1]), values.dtype)
    _check_positions(kernels.pooling.scatter(_flat(values), _flat(index), _flat(x)), input_size)
    return x


@composite(samples=samples_of(pool_cases, apart=True))
def max_pool(x: Any, pool_size: Any = 2, strides: Any = None, padding: Any = "valid") -> Tensor:
    """The maximum of every window. The gradient goes to the first maximum in row-major order.

    A NaN in a window is its maximum. Padding is never the maximum.

    Args:
        x: (N, *spatial, C), 1 to 3 spatial axes.
        pool_size: of the window, an int or one for each spatial axis.
        strides: likewise; None for `pool_size`.
        padding: "valid", "same" (the smaller half in front), an int, or a (before, after) for each
            axis, each below the pool size.

    Returns:
        (N, *output_size, C).

    Raises:
        ShapeError: a rank that does not fit, or a window larger than the padded input.
        ValueError: a setting that fits no shape.
    """
    x = as_tensor(x)
    return gather_positions(x, max_pool_index(x, pool_size, strides, padding))


# Mean


@op(
    gradients=(lambda g, y, x, **s: average_pool_gradient(g, input_size=x.shape[1:-1], **s),),
    samples=samples_of(pool_cases),
    resolve=_resolve("average_pool"),
    linear=True,
)
def average_pool(
    x: Array, /, pool_size: Any = 2, strides: Any = None, padding: Any = "valid"
) -> Array:
    """The mean of every window, over those of its pixels that are not padding (as Keras).

    Args:
        x: (N, *spatial, C), 1 to 3 spatial axes.
        pool_size, strides, padding: see `max_pool`.

    Returns:
        (N, *output_size, C).

    Raises:
        ShapeError: a rank that does not fit, or a window larger than the padded input.
        ValueError: a setting that fits no shape.
    """
    return average_under(x, _sliding(x.shape[1:-1], pool_size, strides, padding))


def _resolve_average_gradient(gradient: Tensor, input_size: Any, **settings: Any) -> dict[str, Any]:
    where = "average_pool_gradient"
    check_rank(where, gradient.shape, gradient.ndim - 2)
    input_size = per_axis(input_size, gradient.ndim - 2, "input_size", where, least=0)
    x = (len(gradient), *input_size, gradient.shape[-1])
    settings, y = _settings(where, x, **settings)
    if gradient.shape != y:
        raise ShapeError(f"{where} expected a gradient of shape {y}, received {gradient.shape}.")
    return {"input_size": input_size, **settings}


@op(
    gradients=(lambda v, x, g, input_size, **s: average_pool(v, **s),),
    samples=_gradient_samples,
    resolve=_resolve_average_gradient,
    linear=True,
)
def average_pool_gradient(
    gradient: Array,
    /,
    input_size: Any,
    pool_size: Any = 2,
    strides: Any = None,
    padding: Any = "valid",
) -> Array:
    """The gradient of `average_pool` for x: every window's gradient, shared among its pixels.

    Args:
        gradient: (N, *output_size, C), of the output of that pooling.
        input_size: the spatial size of x.
        pool_size, strides, padding: of that pooling.

    Returns:
        (N, *input_size, C).
    """
    return spread_under(gradient, _sliding(input_size, pool_size, strides, padding), input_size)
