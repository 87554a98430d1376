"""Kernels load lazily, and compile whether or not there is somewhere to cache them."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from gradtape import kernels
from gradtape.kernels import jit


def _double(x: np.ndarray) -> np.ndarray:
    return x * 2


def test_kernels_that_cannot_be_cached_are_compiled_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, asked = numba.njit, []

    def read_only_install(cache: bool = False, **options: object) -> object:
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function '_double': no locator available for file")
        return real(**options)

    def njit(*function: object, cache: bool = False, **options: object) -> object:
        decorator = read_only_install(cache, **options)
        return decorator(*function) if function else decorator

    monkeypatch.setattr(jit.numba, "njit", njit)
    assert jit.njit(_double)(np.ones(2)).tolist() == [2, 2]
    assert asked[:2] == [True, False]  # Numba decorates functions of its own after that


def test_a_broken_cache_costs_a_compilation_and_no_exception() -> None:
    class FullDisk:
        def load_overload(self, *key: object) -> None:
            raise EOFError("Ran out of input")

        def save_overload(self, *result: object) -> None:
            raise OSError("No space left on device")

    cache = FullDisk()
    jit._forgive(cache)
    assert cache.load_overload("float64[:]") is None
    assert cache.save_overload("float64[:]", "code") is None


def test_reordering_keeps_nan_and_infinity() -> None:
    @jit.njit(reorder=True)
    def total(x: np.ndarray) -> float:
        s = 0.0
        for i in range(len(x)):
            s += x[i]
        return s if s == s else -1.0

    assert total(np.array([1.0, np.nan])) == -1
    assert total(np.array([1.0, np.inf])) == np.inf
    assert total(np.ones(1000)) == 1000


def test_rooms_are_imported_by_name_and_no_other_name_exists() -> None:
    assert kernels.patches.__name__ == "gradtape.kernels.patches"
    with pytest.raises(AttributeError, match="has no attribute 'patchez'"):
        _ = kernels.patchez
