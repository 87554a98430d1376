"""Dropout as arithmetic: the mask is data, so that the same call gives the same result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..autograd.registry import op
from ..autograd.tensor import Tensor
from ..samples import Generator, Sample, between

Array = np.ndarray


def _dropout_samples(rng: Generator) -> Iterator[Sample]:
    for shape, mask in [((3,), (3,)), ((2, 3), (2, 3)), ((), ()), ((0, 2), (0, 2)),
                        ((2, 3), (2, 1)), ((2, 3, 2), (2, 1, 2)), ((17,), (17,))]:  # fmt: skip
        for rate in (0.0, 0.3, 0.9, 1.0):
            for _ in range(2):
                yield Sample(between(-2, 2)(rng, shape), rng.random(mask) >= rate, rate=rate)


def _check_dropout(x: Tensor, mask: Tensor, *, rate: float) -> dict[str, Any]:
    if not 0 <= rate <= 1:
        raise ValueError(f"dropout: rate must lie in 0..1, received {rate}.")
    return {"rate": rate}


@op(
    gradients=(lambda g, out, x, mask, rate: dropout(g, mask, rate=rate), None),
    samples=_dropout_samples,
    resolve=_check_dropout,
    broadcasts=True,
    linear=True,
)
def dropout(x: Array, mask: Array, /, rate: float) -> Array:
    """x / (1 - rate) where the mask holds, 0 elsewhere (Srivastava et al., 2014).

    Args:
        x: any shape.
        mask: what is kept, bools that broadcast to the shape of x; drawn with probability 1 - rate.
        rate: the probability with which elements are dropped.
    """
    return np.where(mask, x * (1 / (1 - rate) if rate < 1 else 0.0), 0)
