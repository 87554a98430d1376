"""Matrix products by NumPy's BLAS, in pieces that are too small to wake its threads.

OpenBLAS shares a product of more than 2^18 multiply-adds among all cores and waits for each of them
by spinning. For a few microseconds of work that gains little on an idle machine and loses a factor
of ten on a busy one, where a core that was promised is not there; and sums come out differently for
every number of threads. So products up to 2^25 multiply-adds are computed in pieces on the calling
thread; larger ones are worth the threads.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray

#: Multiply-adds up to which OpenBLAS stays on the calling thread, and from which threads pay.
ALONE, TOGETHER = 2**18, 2**25


def matmul(x: Array, y: Array, out: Array | None = None) -> Array:
    """``np.matmul(x, y, out)`` for any ranks; products of two matrices are cut into pieces.

    The longest of the three lengths is cut; a sum that is cut is added up in a fixed order.
    """
    if x.ndim == y.ndim == 3 and len(x) == len(y) == 1:
        return matmul(x[0], y[0], None if out is None else out[0])[None]
    if x.ndim != 2 or y.ndim != 2:
        return np.matmul(x, y, out=out)
    (rows, terms), columns = x.shape, y.shape[-1]
    work = rows * terms * columns
    if not ALONE < work < TOGETHER:
        return np.matmul(x, y, out=out)
    longest = max(rows, terms, columns)
    step = max(1, ALONE * longest // work)
    cuts = [slice(i, i + step) for i in range(0, longest, step)]
    if out is None:
        out = np.empty((rows, columns), np.result_type(x, y))
    if terms == longest:
        np.matmul(x[:, cuts[0]], y[cuts[0]], out=out)
        for cut in cuts[1:]:
            out += x[:, cut] @ y[cut]
    elif rows == longest:
        for cut in cuts:
            np.matmul(x[cut], y, out=out[cut])
    else:
        for cut in cuts:
            np.matmul(x, y[:, cut], out=out[:, cut])
    return out
