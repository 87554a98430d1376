"""Special functions that NumPy does not have."""

from __future__ import annotations

import math

import numpy as np

from .jit import njit


@njit
def _erf(x: np.ndarray, out: np.ndarray) -> None:
    for i in range(x.size):
        out[i] = math.erf(x[i])


def erf(x: np.ndarray) -> np.ndarray:
    """The error function of each element, in the dtype of x."""
    out = np.empty(x.shape, x.dtype)
    _erf(np.ascontiguousarray(x).reshape(-1), out.reshape(-1))
    return out
