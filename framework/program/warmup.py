"""Compile what programs usually need, so that the first training step does not wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..kernels import loss, normalize, pointwise, products, shards, updates, windows, winograd
from ..kernels.native import Kernel
from ..kernels.simd import TILE_ROWS

_ROOMS = (loss, normalize, pointwise, products, shards, updates, windows, winograd)
_BY_ROWS = (
    products.correlate,
    products.correlate_back,
    products.kernel_gradient,
    products.dense_gradient,
    winograd.multiply,
    winograd.multiply_gradient,
)
_BY_SIZE = (windows.average, windows.average_back, windows.maximum, windows.maximum_back)


def usual_kernels() -> Iterator[Kernel]:
    """Every kernel, tiles of every size among them."""
    for room in _ROOMS:
        yield from (v for v in vars(room).values() if isinstance(v, Kernel))
    for made in _BY_ROWS:
        for rows in range(TILE_ROWS, 0, -1):
            yield made(rows)
    for made in _BY_SIZE:
        yield made(2)
        yield made(0)


def warmup(each: Callable[[Kernel], None] | None = None) -> int:
    """Fill the cache of compiled kernels; returns how many there are.

    Args:
        each: called with every kernel before it is compiled or found in the cache.
    """
    count = 0
    for made in usual_kernels():
        if each is not None:
            each(made)
        assert made.address
        count += 1
    return count
