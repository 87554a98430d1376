"""Into and out of the batch-innermost layout: samples to shards, predictions back.

The last shard of a batch may have fewer samples than lanes. Its other lanes weigh nothing in the
loss, so their gradients are zero.
"""

from __future__ import annotations

from .native import Kernel, kernel
from .simd import SHARD, load_byte, load_scalar, store_scalar


def _gather(name: str, single_bytes: bool) -> Kernel:
    # A closure over a flag, not over the operation: Numba's cache knows a flag again.
    @kernel
    def gather(out, x, count, height, width, channels, top, left, pitch):
        row = width * channels
        for h in range(height):
            to = ((h + top) * pitch + left) * channels * SHARD
            for n in range(count):
                at = (n * height + h) * row
                for i in range(row):
                    value = load_byte(x, at + i) if single_bytes else load_scalar(x, at + i)
                    store_scalar(out, to + i * SHARD + n, value)

    gather.name = name
    return gather


#: Samples (count, H, W, C) float32 into the pixels from (top, left) on of (.., pitch, C, SHARD).
#: count is SHARD at most. Borders, and lanes from count on, are not touched.
gather = _gather("gather", single_bytes=False)
#: As `gather`, from uint8.
gather_bytes = _gather("gather_bytes", single_bytes=True)


@kernel
def fill_lanes(out, count, size):
    """Lanes of no sample, from count on, hold what the first one does: so they are numbers that may
    be divided by, or whose logarithm may be taken, wherever samples are."""
    for i in range(0, size * SHARD, SHARD):
        for n in range(count, SHARD):
            store_scalar(out, i + n, load_scalar(out, i))


@kernel
def scatter(out, x, count, size):
    """A shard (size, SHARD) to samples (count, size)."""
    for n in range(count):
        for i in range(size):
            store_scalar(out, n * size + i, load_scalar(x, i * SHARD + n))
