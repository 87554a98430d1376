"""Layers in float64, whatever their dtype: numerical differences need its digits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Precision(threading.local):
    float64 = False


_precision = _Precision()


@contextmanager
def in_float64() -> Iterator[None]:
    """Layers called inside convert their inputs to float64. Per thread."""
    before = _precision.float64
    _precision.float64 = True
    try:
        yield
    finally:
        _precision.float64 = before


def computing_dtype(own: str) -> str:
    """The dtype that a layer computes in now: its own, or float64 in a check of gradients."""
    return "float64" if _precision.float64 else own
