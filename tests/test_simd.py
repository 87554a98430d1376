"""Explicit vectors: what they compute lane by lane, how exact they are, and their NumPy twins."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from native_nets import THOROUGH

from gradtape.kernels import simd, tiles, vector_math
from gradtape.kernels.native import Kernel, kernel
from gradtape.kernels.simd import LANES, SHARD, TILE_ROWS, bits_of, float_of, load, store

Array = np.ndarray


def _applied(function: Callable[..., object], *arrays: Array) -> Array:
    """A function of vectors over whole arrays."""
    arrays = tuple(np.ascontiguousarray(a, np.float32) for a in arrays)
    out = np.empty_like(arrays[0])
    if len(arrays) == 1:

        @kernel
        def apply(out: int, x: int, count: int) -> None:
            for i in range(0, count, LANES):
                store(out, i, function(load(x, i)))

    else:

        @kernel
        def apply(out: int, x: int, count: int, y: int) -> None:
            for i in range(0, count, LANES):
                store(out, i, function(load(x, i), load(y, i)))

    row = [out.ctypes.data, arrays[0].ctypes.data, out.size]
    apply([*row, *(a.ctypes.data for a in arrays[1:])])
    return out


def _ulp(got: Array, exact: Array) -> Array:
    """Errors in units of the last place of the exact result."""
    spacing = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
    return np.abs(got.astype(np.float64) - exact) / spacing


#: How many numbers each function is judged at; `make kernels` takes many more.
SWEPT = 1 << (20 if THOROUGH else 17)


def _sweep(low: float, high: float, count: int = SWEPT) -> Array:
    """Many numbers of the range, half of them evenly, half ever denser towards zero."""
    even = np.linspace(low, high, count // 2)
    dense = np.sign(even) * np.abs(even / max(-low, high)) ** 6 * max(-low, high)
    return np.concatenate([even, dense]).astype(np.float32)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _erf(x: Array) -> Array:
    return np.fromiter(map(math.erf, x.tolist()), np.float64, x.size)


def _erfc(x: Array) -> Array:
    return np.fromiter(map(math.erfc, x.tolist()), np.float64, x.size)


def _softplus(x: Array) -> Array:
    return np.logaddexp(x, 0)


@pytest.mark.parametrize(
    ("function", "exact", "low", "high", "bound"),
    [
        (vector_math.exp, np.exp, -87.3, 88.7, 1.1),
        (vector_math.tanh, np.tanh, -12.0, 12.0, 3.2),
        (vector_math.tanh, np.tanh, -1.0, 1.0, 3.2),
        (vector_math.sigmoid, _sigmoid, -80.0, 80.0, 2.5),
        (vector_math.expm1, np.expm1, -30.0, 88.0, 1.5),
        (vector_math.expm1, np.expm1, -2.0, 2.0, 1.5),
        (vector_math.log1p, np.log1p, -0.999, 4.0, 1.5),
        (vector_math.log1p, np.log1p, 0.0, 3.0e38, 1.5),
        (vector_math.softplus, _softplus, -87.0, 90.0, 2.0),
        (vector_math.log1p, np.log1p, -1e-6, 1e-6, 1.5),
        (vector_math.erf, _erf, -5.0, 5.0, 1.2),
        (vector_math.erfc, _erfc, -5.0, 10.5, 4.0),
    ],
    ids=[
        "exp",
        "tanh",
        "tanh_small",
        "sigmoid",
        "expm1",
        "expm1_small",
        "log1p",
        "log1p_large",
        "softplus",
        "log1p_tiny",
        "erf",
        "erfc",
    ],
)
def test_functions_are_as_exact_as_stated(
    function: Callable[..., object],
    exact: Callable[[Array], Array],
    low: float,
    high: float,
    bound: float,
) -> None:
    x = _sweep(low, high)
    error = _ulp(_applied(function, x), exact(x.astype(np.float64)))
    assert error.max() <= bound, (error.max(), x[error.argmax()])


@pytest.mark.parametrize("exponent", [0.0, 0.5, 2.0, 3.0, -0.75])
def test_power_is_as_exact_as_stated(exponent: float) -> None:
    x = np.geomspace(1e-6, 1e6, 1 << 16).astype(np.float32)
    exact = x.astype(np.float64) ** exponent
    error = _ulp(_applied(vector_math.power, x, np.full_like(x, exponent)), exact)
    assert (error <= 1.2 + 1.2 * np.abs(np.log2(exact))).all(), error.max()


def test_log_is_as_exact_as_stated() -> None:
    tiny, huge = np.float32(1.17549435e-38), np.float32(3.4e38)
    x = np.concatenate([np.geomspace(tiny, huge, SWEPT // 2), np.linspace(0.5, 2, SWEPT // 2)])
    x = x.astype(np.float32)
    denormal = np.geomspace(1e-45, 1e-38, SWEPT // 8).astype(np.float32)
    x = np.concatenate([x[x >= tiny], denormal[denormal > 0]])
    x = x[: x.size - x.size % LANES]
    error = _ulp(_applied(vector_math.log, x), np.log(x.astype(np.float64)))
    assert error.max() <= 1.0, (error.max(), x[error.argmax()])


@pytest.mark.parametrize(
    "name", ["exp", "log", "tanh", "sigmoid", "expm1", "log1p", "softplus", "erf", "erfc"]
)
def test_functions_keep_nan_and_limits(name: str) -> None:
    x = np.zeros(2 * SHARD, np.float32)
    x[:4] = np.nan, np.inf, -np.inf, 0.0
    got = _applied(getattr(vector_math, name), x)[:4]
    expected = {
        "exp": [np.nan, np.inf, 0.0, 1.0],
        "log": [np.nan, np.inf, np.nan, -np.inf],
        "tanh": [np.nan, 1.0, -1.0, 0.0],
        "sigmoid": [np.nan, 1.0, 0.0, 0.5],
        "expm1": [np.nan, np.inf, -1.0, 0.0],
        "log1p": [np.nan, np.inf, np.nan, 0.0],
        "softplus": [np.nan, np.inf, 0.0, np.log(2)],
        "erf": [np.nan, 1.0, -1.0, 0.0],
        "erfc": [np.nan, 0.0, 2.0, 1.0],
    }[name]
    np.testing.assert_allclose(got, expected, rtol=3e-7, atol=0)


_RNG = np.random.default_rng(0)
_X = _RNG.normal(size=4 * SHARD).astype(np.float32)
_Y = _RNG.normal(size=4 * SHARD).astype(np.float32)


@pytest.mark.parametrize(
    ("operation", "exact"),
    [
        (simd.add, np.add), (simd.sub, np.subtract), (simd.mul, np.multiply),
        (simd.div, np.divide), (simd.maximum, np.maximum), (simd.minimum, np.minimum),
    ],
    ids=["add", "sub", "mul", "div", "maximum", "minimum"],
)  # fmt: skip
def test_arithmetic_is_that_of_numpy(
    operation: Callable[..., object], exact: Callable[..., Array]
) -> None:
    np.testing.assert_array_equal(_applied(operation, _X, _Y), exact(_X, _Y))


def test_float_settings_survive_the_trip_through_int64() -> None:
    for value in (0.0, -1.5, 1e-7, 3e38, float("inf")):
        out = np.zeros(2 * LANES, np.float32)

        @kernel
        def put(out: int, bits: int, value: float) -> None:
            store(out, 0, simd.broadcast(float_of(bits)))
            store(out, LANES, simd.broadcast(value))

        put([out.ctypes.data, bits_of(value), bits_of(value)])
        np.testing.assert_array_equal(out, np.float32(value))


@pytest.mark.parametrize("count", range(-1, LANES + 2))
def test_partial_loads_and_stores_touch_nothing_beyond(count: int) -> None:
    x = np.arange(1, LANES + 1, dtype=np.float32)
    out = np.full(LANES, -7, np.float32)

    @kernel
    def part(out: int, x: int, count: int) -> None:
        simd.store_first(out, 0, count, simd.load_first(x, 0, count))

    part([out.ctypes.data, x.ctypes.data, count])
    kept = min(max(count, 0), LANES)
    np.testing.assert_array_equal(out[:kept], x[:kept])
    np.testing.assert_array_equal(out[kept:], -7)


@pytest.mark.parametrize("rows", range(1, TILE_ROWS + 1))
def test_tile_is_a_matrix_product_in_registers(rows: int) -> None:
    depth = 5
    w = _RNG.normal(size=(depth, rows)).astype(np.float32)
    x = _RNG.normal(size=(depth, SHARD)).astype(np.float32)
    bias = _RNG.normal(size=rows).astype(np.float32)
    out = np.empty((rows, SHARD), np.float32)

    @kernel
    def product(out: int, w: int, x: int, bias: int, depth: int) -> None:
        tile = tiles.tile_splat(rows, bias, 0, 1)
        for k in range(depth):
            tile = tiles.tile_fma(tile, w, k * rows, 1, x, k * SHARD)
        tiles.tile_store(tiles.tile_relu(tile), out, 0, SHARD)

    product([*(v.ctypes.data for v in (out, w, x, bias)), depth])
    exact = np.maximum(w.T.astype(np.float64) @ x + bias[:, None], 0)
    np.testing.assert_allclose(out, exact, rtol=0, atol=4 * np.sqrt(depth) * 1.2e-7 * 4)


@pytest.mark.parametrize("columns", [1, 2])
def test_totals_add_lanes_to_memory(columns: int) -> None:
    rows = 3
    x = _RNG.normal(size=(rows, SHARD)).astype(np.float32)
    y = _RNG.normal(size=(2, SHARD)).astype(np.float32)
    out = np.ones((rows, 2), np.float32)

    @kernel
    def outer(out: int, x: int, y: int, columns: int) -> None:
        tile = tiles.tile_outer(tiles.tile_zero(rows), x, 0, y, 0, SHARD)
        tiles.tile_totals(tile, out, 0, 2, columns)

    outer([*(v.ctypes.data for v in (out, x, y)), columns])
    exact = np.ones((rows, 2))
    exact[:, :columns] += (x.astype(np.float64) @ y.T)[:, :columns]
    np.testing.assert_allclose(out, exact, rtol=0, atol=4 * np.sqrt(SHARD) * 1.2e-7 * 4)


@pytest.mark.parametrize("rows", [1, 3, TILE_ROWS])
def test_taps_share_what_they_are_multiplied_by(rows: int) -> None:
    x = _RNG.normal(size=(2, rows + 1, SHARD)).astype(np.float32)
    y = _RNG.normal(size=(2, SHARD)).astype(np.float32)
    out = np.ones((rows, 2), np.float32)

    @kernel
    def product(out: int, x: int, y: int) -> None:
        tile = tiles.tile_zero(rows)
        for k in range(2):
            tile = tiles.tile_taps(tile, x, k * (rows + 1) * SHARD, SHARD, y, k * SHARD)
        tiles.tile_sums(tile, out, 0, 2)

    product([v.ctypes.data for v in (out, x, y)])
    exact = np.ones((rows, 2))
    exact[:, 0] += np.einsum("krn,kn->r", x[:, :rows].astype(np.float64), y)
    np.testing.assert_allclose(out, exact, rtol=0, atol=4 * np.sqrt(2 * SHARD) * 1.2e-7 * 4)


def _in_another_process(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


_DENSE = """
import numpy as np
from gradtape import kernels
from gradtape.kernels.native import rows_of_tiles
from gradtape.kernels.simd import SHARD
from gradtape.program.formulas import Chain
products = kernels.products
x = np.sin(np.arange(7 * SHARD, dtype=np.float32)).reshape(7, SHARD)
w = np.cos(np.arange(35, dtype=np.float32)).reshape(7, 5)
out = np.empty((5, SHARD), np.float32)
n = dict.fromkeys(products.correlate(1).parameters, 1)
n.update(channels=7, x_pixel=7 * SHARD, top=0, left=0, w_pitch=5, merged=0, adds=0, relu=0)
n.update(bias=0, x=x.ctypes.data)
first = 0
for rows, blocks in rows_of_tiles(5):
    n.update(out=out.ctypes.data + 4 * first * SHARD, w=w.ctypes.data + 4 * first, blocks=blocks)
    products.correlate(rows)(products.correlate(rows).row(**n))
    first += rows * blocks
y = kernels.vector_math
z = np.empty_like(out)
Chain((('tanh', (("in", 0),), {}),)).forward.kernel([z.ctypes.data, out.ctypes.data, out.size])
assert abs(w.T @ x - out).max() < 1e-5, abs(w.T @ x - out).max()
assert abs(np.tanh(out) - z).max() < 1e-6
print(SHARD, out.tobytes().hex())
"""


def test_every_width_works_on_every_host_with_the_same_bits(tmp_path: Path) -> None:
    """With kernels of the cache, which keeps widths apart; `make kernels` compiles them anew."""
    fresh = {"NUMBA_CACHE_DIR": str(tmp_path)} if THOROUGH else {}
    found = {
        _in_another_process(_DENSE, GRADTAPE_VECTOR_BITS=bits, **fresh)
        for bits in ("128", "256", "512")
    }
    assert len(found) == 1 and found.pop().startswith("16 ")


def test_everything_works_slowly_without_compilation() -> None:
    assert _in_another_process(_DENSE, NUMBA_DISABLE_JIT="1").startswith(f"{SHARD} ")


def test_a_row_has_a_word_for_every_parameter() -> None:
    @kernel
    def put(out: int, value: float, at: int) -> None:
        simd.store_scalar(out, at, value)

    out = np.zeros(2, np.float32)
    put([out.ctypes.data, bits_of(0.1), 1])
    np.testing.assert_array_equal(out, np.float32([0, 0.1]))
    assert put.row(5, at=1, value=2) == (5, 2, 1)
    for row in ([out.ctypes.data, 0], [out.ctypes.data, 0, 0, 0]):
        with pytest.raises(TypeError, match=r"<kernel put> takes \(out, value, at\)"):
            put(row)


def test_a_kernel_is_named_and_compiled_once() -> None:
    @kernel
    def nothing() -> None:
        pass

    assert isinstance(nothing, Kernel) and repr(nothing) == "<kernel nothing>"
    assert nothing.address == nothing.address != 0
