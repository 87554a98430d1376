"""Compile what is usually needed, so that no training step waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .. import ops
from ..autograd.tensor import tensor
from ..kernels import (
    channelwise,
    joining,
    loss,
    moving,
    normalize,
    penalties,
    pointwise,
    products,
    rows,
    scaling,
    shards,
    standardize,
    strided,
    updates,
    windows,
    winograd,
)
from ..kernels.native import Kernel
from ..kernels.simd import FIXED_ROWS, TILE_ROWS
from .formulas import Chain
from .updating import rule_of

_ROOMS = (
    channelwise, joining, loss, moving, normalize, penalties, pointwise, products, rows, scaling,
    shards, standardize, strided, updates, windows, winograd,
)  # fmt: skip
_ACTIVATIONS = (
    "celu", "elu", "exp", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh",
    "leaky_relu", "log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink",
    "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "tanh", "tanh_shrink",
)  # fmt: skip
_BY_ROWS = (
    products.correlate,
    products.correlate_back,
    products.kernel_gradient,
    products.dense_gradient,
    winograd.multiply,
    winograd.multiply_gradient,
)
_BY_SIZE = (
    (windows.average, (2, 0)),
    (windows.average_back, (2, 0)),
    (windows.maximum, (2, 0)),
    (windows.maximum_back, (2, 0)),
    (channelwise.forward, (3, 0)),
    (channelwise.back, (3, 0)),
    (channelwise.kernel_gradient, (3,)),
)


def usual_kernels(optimizers: Iterable[Any] = ()) -> Iterator[Kernel]:
    """Every kernel of programs, tiles of every size and the updates of optimizers among them."""
    for room in _ROOMS:
        yield from (v for v in vars(room).values() if isinstance(v, Kernel))
    yield from (rule.kernel for rule in map(rule_of, optimizers) if rule is not None)
    yield from _usual_formulas()
    for made in _BY_ROWS:
        for count in range(max(TILE_ROWS, FIXED_ROWS), 0, -1):
            yield made(count)
    for made, sizes in _BY_SIZE:
        for size in sizes:
            yield made(size)


def _usual_formulas() -> Iterator[Kernel]:
    """The activations and their gradients, sums and scaled images."""
    x, y = ("in", 0), ("in", 1)
    yield Chain((("add", (x, y), {}),)).forward.kernel
    yield Chain((("multiply", (x, 1 / 255), {}),)).forward.kernel
    for name in _ACTIVATIONS:
        chain = Chain(((name, (("in", 0),), {}),))
        yield chain.forward.kernel
        yield (chain.backward_from_output() or chain.backward(0)).kernel


def warmup(each: Callable[[Kernel], None] | None = None, optimizers: Iterable[Any] = ()) -> int:
    """Fill the cache of compiled kernels of programs; returns how many there are.

    Args:
        optimizers: those whose updates to compile.
        each: called with every kernel before it is compiled or found in the cache.
    """
    count = 0
    for made in usual_kernels(optimizers):
        if each is not None:
            each(made)
        assert made.address
        count += 1
    return count


def warmup_eager() -> None:
    """As `warmup`, for the kernels that single ops on float32 images need."""
    rng = np.random.default_rng(0)

    def random(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    x = tensor(random(2, 8, 8, 3), requires_grad=True)
    y = ops.conv(x, tensor(random(3, 3, 3, 4), requires_grad=True))
    z = ops.conv(x, tensor(random(3, 3, 1, 3), requires_grad=True), groups=3)
    pooled = ops.max_pool(y, 2).sum() + ops.average_pool(z, 2).sum()
    (pooled + ops.erf(y).sum() + ops.erfc(y).sum()).backward()
    ops.affine_transform(x.data, np.array([[1, 0, 0, 0, 1, 0]] * 2, np.float32))
