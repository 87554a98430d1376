"""Pooling to an output of a given size, down to one pixel a channel: adaptive and global pooling.

The same kernels and the same two constructions as sliding windows (`pooling.py`), over bins that
cover the image whatever its size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from ..autograd.registry import composite, op
from ..autograd.tensor import Tensor, as_tensor
from ..errors import ShapeError
from ..samples import Generator, Sample, distinct
from .geometry import AXES, Sizes, arranged, draw, per_axis
from .pooling import (
    Case,
    Ranges,
    argmax_under,
    as_three,
    average_under,
    gather_positions,
    pool_cases,
    samples_of,
    spread_under,
)

Array = np.ndarray


@lru_cache(maxsize=1024)
def _bins(input_size: Sizes, outputs: Sizes) -> Ranges:
    ranges = []
    for n, o in zip(input_size, outputs, strict=True):
        i = np.arange(o)
        ranges.append(np.stack([i * n // o, -(-(i + 1) * n // o)], axis=1))
    return as_three(ranges)


def _resolve_adaptive(where: str) -> Callable[..., dict[str, Any]]:
    def resolve(x: Tensor, output_size: Any) -> dict[str, Any]:
        _check_pixels(where, x)
        return {"output_size": per_axis(output_size, x.ndim - 2, "output_size", where)}

    return resolve


def _check_pixels(where: str, x: Tensor) -> None:
    if x.ndim - 2 not in AXES or not math.prod(x.shape[1:-1]):
        raise ShapeError(
            f"{where} expected x of shape {' or '.join(AXES.values())}, with at least one pixel, "
            f"received {x.shape}."
        )


def _bin_cases(rng: Generator) -> Iterator[Case]:
    """Shapes of x and output sizes that divide it, do not, equal it, and exceed it."""
    yield (0, 3, 2), {"output_size": 2}
    yield (0, 3, 3, 1), {"output_size": (2, 4)}
    yield (1, 3, 17), {"output_size": 2}
    yield (1, 6, 5), {"output_size": 4}
    yield (1, 2, 8), {"output_size": 1}
    for _ in range(50):
        rank = int(rng.choice([1, 2, 2, 3]))
        x = rng.integers(1, (9, 6, 4)[rank - 1], rank)
        outputs = tuple(rng.integers(1, (6, 5, 3)[rank - 1], rank).tolist())
        yield (1, *x.tolist(), int(rng.integers(1, 4))), {"output_size": outputs}


def _bin_gradient_samples(rng: Generator) -> Iterator[Sample]:
    for x, settings in _bin_cases(rng):
        outputs = per_axis(settings["output_size"], len(x) - 2, "output_size", "")
        yield Sample(draw(rng, (x[0], *outputs, x[-1])), input_size=x[1:-1])


# Maximum


@op(
    gradients=(None,),
    samples=samples_of(_bin_cases, apart=True),
    resolve=_resolve_adaptive("adaptive_max_pool"),
)
def adaptive_max_pool_index(x: Array, /, output_size: Any) -> Array:
    """Where the maximum of every bin of `adaptive_max_pool` is; see `max_pool_index`."""
    return argmax_under(x, _bins(x.shape[1:-1], output_size))


@composite(samples=samples_of(_bin_cases, apart=True))
def adaptive_max_pool(x: Any, output_size: Any) -> Tensor:
    """The maximum of every bin; for the bins and arguments see `adaptive_average_pool`."""
    x = as_tensor(x)
    return gather_positions(x, adaptive_max_pool_index(x, output_size))


# Mean


@op(
    gradients=(lambda g, y, x, **s: adaptive_average_pool_gradient(g, input_size=x.shape[1:-1]),),
    samples=samples_of(_bin_cases),
    resolve=_resolve_adaptive("adaptive_average_pool"),
    linear=True,
)
def adaptive_average_pool(x: Array, /, output_size: Any) -> Array:
    """The mean of every bin, for an output of the same size whatever the input's.

    Output i of o sees the pixels ``floor(i n / o)`` up to ``ceil((i + 1) n / o)`` of n, as in
    PyTorch: bins overlap where o does not divide n.

    Args:
        x: (N, *spatial, C), 1 to 3 spatial axes.
        output_size: an int, or one for each spatial axis.

    Returns:
        (N, *output_size, C).

    Raises:
        ShapeError: a rank that does not fit, or an image without pixels.
    """
    return average_under(x, _bins(x.shape[1:-1], output_size))


def _resolve_bin_gradient(gradient: Tensor, input_size: Any) -> dict[str, Any]:
    where = "adaptive_average_pool_gradient"
    _check_pixels(where, gradient)
    return {"input_size": per_axis(input_size, gradient.ndim - 2, "input_size", where)}


@op(
    gradients=(lambda v, x, g, input_size: adaptive_average_pool(v, output_size=g.shape[1:-1]),),
    samples=_bin_gradient_samples,
    resolve=_resolve_bin_gradient,
    linear=True,
)
def adaptive_average_pool_gradient(gradient: Array, /, input_size: Any) -> Array:
    """The gradient of `adaptive_average_pool` for x of that spatial size."""
    return spread_under(gradient, _bins(input_size, gradient.shape[1:-1]), input_size)


# The whole image


def _whole_samples(apart: bool) -> Any:
    def samples(rng: Generator) -> Iterator[Sample]:
        for x, _ in pool_cases(rng):
            array = arranged(rng, distinct(rng, x)) if apart else draw(rng, x)
            yield Sample(array, keepdims=bool(rng.integers(2)))

    return samples


@composite(samples=_whole_samples(apart=True))
def global_max_pool(x: Any, keepdims: bool = False) -> Tensor:
    """The maximum of each channel of each image: (N, *spatial, C) to (N, C).

    Args:
        x: (N, *spatial, C), 1 to 3 spatial axes.
        keepdims: keep the spatial axes, with one pixel.

    Raises:
        ShapeError: a rank that does not fit, or an image without pixels.
    """
    x = as_tensor(x)
    _check_pixels("global_max_pool", x)
    y = adaptive_max_pool(x, 1)
    return y if keepdims else y.reshape(x.shape[0], x.shape[-1])


@composite(samples=_whole_samples(apart=False))
def global_average_pool(x: Any, keepdims: bool = False) -> Tensor:
    """The mean of each channel of each image: (N, *spatial, C) to (N, C).

    Args:
        x: (N, *spatial, C), 1 to 3 spatial axes.
        keepdims: keep the spatial axes, with one pixel.

    Raises:
        ShapeError: a rank that does not fit, or an image without pixels.
    """
    x = as_tensor(x)
    _check_pixels("global_average_pool", x)
    return x.mean(axis=tuple(range(1, x.ndim - 1)), keepdims=keepdims)
