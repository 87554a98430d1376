"""The measured speed limit of one core: how many fused multiply-adds it does in a second."""

from __future__ import annotations

import time

import numpy as np

from .native import kernel, run
from .simd import SHARD, TILE_ROWS
from .tiles import tile_fma, tile_store, tile_zero

DEPTH = 64


@kernel
def multiply_adds(out, w, x, repetitions):
    """Matrix products small enough for the first-level cache, again and again.

    out is (TILE_ROWS, SHARD), w (DEPTH, TILE_ROWS), x (DEPTH, SHARD).
    """
    tile = tile_zero(TILE_ROWS)
    for _ in range(repetitions):
        for k in range(DEPTH):
            tile = tile_fma(tile, w, k * TILE_ROWS, 1, x, k * SHARD)
    tile_store(tile, out, 0, SHARD)


def peak(repetitions: int = 4000, rounds: int = 10) -> float:
    """GFLOP/s of one core in float32: the best of `rounds`, each of some milliseconds."""
    out = np.zeros(TILE_ROWS * SHARD, np.float32)
    w = np.full(DEPTH * TILE_ROWS, 0.5, np.float32)
    x = np.full(DEPTH * SHARD, 0.5, np.float32)
    row = [a.ctypes.data for a in (out, w, x)]
    program = np.array([multiply_adds.address, 4, *row, repetitions], np.int64)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run(program)
        times.append(time.perf_counter() - start)
    return 2 * out.size * DEPTH * repetitions / min(times) / 1e9
