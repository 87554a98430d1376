"""Special functions that NumPy does not have."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .jit import njit


@njit
def _erf(x: np.ndarray, out: np.ndarray) -> None:
    for i in range(x.size):
        out[i] = math.erf(x[i])


@njit
def _erfc(x: np.ndarray, out: np.ndarray) -> None:
    for i in range(x.size):
        out[i] = math.erfc(x[i])


def _each(kernel: Any, x: np.ndarray) -> np.ndarray:
    """A kernel from flat array to flat array, applied to an array of any shape and layout."""
    x = np.asarray(x, np.result_type(x.dtype, np.float32), order="C")
    out = np.empty_like(x)
    kernel(x.reshape(-1), out.reshape(-1))
    return out


def erf(x: np.ndarray) -> np.ndarray:
    """The error function of each element, in the dtype of x (integers become floats)."""
    return _each(_erf, x)


def erfc(x: np.ndarray) -> np.ndarray:
    """1 - erf(x) of each element without cancellation, in the dtype of x."""
    return _each(_erfc, x)
