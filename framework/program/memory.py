"""Where buffers lie: thread buffers share one arena by their lifetimes, others have their own."""

from __future__ import annotations

import numpy as np

from .build import ALIGN, Buffer

#: What holds the elements around each buffer in tests: no kernel may change them.
CANARY = np.float32(-1.25e33)


def keep_what_crosses(buffers: list[Buffer]) -> None:
    """Make batch buffers of the buffers of threads that are used in more than one phase."""
    for buffer in buffers:
        if buffer.kind in ("thread", "pinned") and buffer.last[0] > buffer.first[0]:
            buffer.kind = "batch"


def rounded(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


def plan(buffers: list[Buffer], guard: int = 0) -> tuple[dict[Buffer, int], int]:
    """Offsets of the thread buffers, in elements, and the size of the arena.

    Largest first, each at the lowest place that is free during its whole life.

    Args:
        buffers: those to place.
        guard: elements to leave around each.
    """
    used = [b for b in buffers if b.kind in ("thread", "pinned") and b.last[0] >= 0]
    placed: list[tuple[Buffer, int, int]] = []
    offsets: dict[Buffer, int] = {}
    for buffer in sorted(used, key=lambda b: (-b.size, b.first)):
        length = rounded(buffer.size) + 2 * guard
        start = 0
        for _, begin, end in sorted(
            (p for p in placed if _meet(p[0], buffer)),
            key=lambda p: p[1],
        ):
            if start + length <= begin:
                break
            start = max(start, end)
        placed.append((buffer, start, start + length))
        offsets[buffer] = start + guard
    return offsets, max((end for _, _, end in placed), default=0)


def _meet(a: Buffer, b: Buffer) -> bool:
    """Whether both are in use at some time."""
    return "pinned" in (a.kind, b.kind) or (a.first <= b.last and b.first <= a.last)


def aligned(size: int) -> np.ndarray:
    """Zeros: `size` float32 that begin on a cache line."""
    raw = np.zeros(size + 2 * ALIGN, np.float32)
    skip = -raw.ctypes.data % (4 * ALIGN) // 4
    return raw[skip : skip + size]
