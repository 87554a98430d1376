"""The IDX format of MNIST, and the four files of a data set laid out like it.

An IDX file is two zero bytes, one byte for the data type, one for the number of axes, the length of
each axis as a big-endian 32-bit integer, and the values in C order.

Source: Y. LeCun, C. Cortes and C. J. C. Burges, http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ._files import DataSet
from ._read import corrupt, read_at_most

TRAIN, TEST, SIDE, CLASS_COUNT = 60_000, 10_000, 28, 10
NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_UINT8 = 0x08


def held(folder: Path) -> list[Path] | None:
    """The four files in ``folder``, each compressed or plain, or ``None`` if one is missing."""
    files = []
    for name in NAMES:
        versions = (folder / f"{name}.gz", folder / name)
        found = next((file for file in versions if os.path.isfile(file)), None)
        if found is None:
            return None
        files.append(found)
    return files


def read_all(files: list[Path]) -> DataSet:
    """Read the four files that ``held`` found.

    Returns:
        ``((x_train, y_train), (x_test, y_test))``, uint8: images ``(N, 28, 28)``, labels ``(N,)``.

    Raises:
        ValueError: a file is damaged, or has other axes than MNIST's.
    """
    x_train, y_train, x_test, y_test = files
    return (
        (read_idx(x_train, (TRAIN, SIDE, SIDE)), _read_labels(y_train, TRAIN)),
        (read_idx(x_test, (TEST, SIDE, SIDE)), _read_labels(y_test, TEST)),
    )


def read_idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read a uint8 IDX file of a known shape, gzip-compressed or plain.

    Returns:
        A writable uint8 array of that shape.

    Raises:
        ValueError: the file is damaged, or is not a uint8 IDX file of that shape and length.
    """
    start, size = 4 + 4 * len(shape), math.prod(shape)
    content = read_at_most(path, start + size)
    magic = content[:4]
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise corrupt(path, "an IDX file, which begins with 00 00", magic.hex(" ") or "no bytes")
    if magic[2] != _UINT8:
        raise corrupt(path, "the data type 0x08 (uint8)", f"0x{magic[2]:02x}")
    if magic[3] != len(shape):
        raise corrupt(path, f"{len(shape)} axes", str(magic[3]))
    if len(content) < start:
        raise corrupt(path, f"a header of {start} bytes", f"{len(content)} bytes")
    received = struct.unpack_from(f">{len(shape)}I", content, 4)
    if received != shape:
        raise corrupt(path, f"the shape {shape}", str(received))
    if len(content) != start + size:
        length = "more" if len(content) > start + size else f"{len(content)} bytes"
        raise corrupt(path, f"{start + size} bytes of content", length)
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()


def _read_labels(path: Path, count: int) -> NDArray[np.uint8]:
    labels = read_idx(path, (count,))
    if labels.max() >= CLASS_COUNT:
        raise corrupt(path, f"labels below {CLASS_COUNT}", f"a label {labels.max()}")
    return labels
