"""Into and out of the batch-innermost layout: samples to shards, predictions back.

The last shard of a batch may have fewer samples than lanes. Its other lanes hold zeros and weigh
nothing in the loss, so their gradients are zero.
"""

from __future__ import annotations

from .native import Kernel, kernel
from .simd import SHARD, load_byte, load_scalar, store_scalar


def _gather(name: str, single_bytes: bool) -> Kernel:
    # A closure over a flag, not over the operation: Numba's cache knows a flag again.
    @kernel
    def gather(a):  # type: ignore[no-untyped-def]
        out, x, count, height, width, channels, top, left, pitch = (
            a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8]
        )  # fmt: skip
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
#: Row: out, x, count (of samples, at most SHARD), H, W, C, top, left, pitch. Borders, and lanes
#: from count on, are not touched.
gather = _gather("gather", single_bytes=False)
#: As `gather`, from uint8.
gather_bytes = _gather("gather_bytes", single_bytes=True)


@kernel
def scatter(a):  # type: ignore[no-untyped-def]
    """A shard (size, SHARD) to samples (count, size). Row: out, x, count, size."""
    out, x, count, size = a[0], a[1], a[2], a[3]
    for n in range(count):
        for i in range(size):
            store_scalar(out, n * size + i, load_scalar(x, i * SHARD + n))
