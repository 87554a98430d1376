"""The IDX format of MNIST, and the four files of a data set laid out like it.

An IDX file is two zero bytes, one byte for the data type, one for the number of axes, the length of
each axis as a big-endian 32-bit integer, and the values in C order.

Source: Y. LeCun, C. Cortes and C. J. C. Burges, http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ._files import DataSet, Source
from ._read import corrupt, read_at_most

TRAIN, TEST, SIDE, CLASS_COUNT = 60_000, 10_000, 28, 10
NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_UINT8 = 0x08
#: How many images and labels were published, which is what the digests are of.
_PUBLISHED = (TRAIN, TRAIN, TEST, TEST)


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


def read_all(files: list[Path], source: Source) -> DataSet:
    """Read the four files that ``held`` found, and compare them with what was published.

    Returns:
        ``((x_train, y_train), (x_test, y_test))``, uint8: images ``(N, 28, 28)``, labels ``(N,)``.

    Raises:
        ValueError: a file is damaged, has other axes than MNIST's, or another content.
    """
    digests = [file.content for file in source.files]
    shapes = [(TRAIN, SIDE, SIDE), (TRAIN,), (TEST, SIDE, SIDE), (TEST,)]
    x_train, y_train, x_test, y_test = (
        read_idx(path, shape, digest if shape[0] == count else None)
        for path, shape, digest, count in zip(files, shapes, digests, _PUBLISHED, strict=True)
    )
    for labels, path in ((y_train, files[1]), (y_test, files[3])):
        if labels.max() >= CLASS_COUNT:
            raise corrupt(path, f"labels below {CLASS_COUNT}", f"a label {labels.max()}")
    return (x_train, y_train), (x_test, y_test)


def read_idx(path: Path, shape: tuple[int, ...], sha256: str | None = None) -> NDArray[np.uint8]:
    """Read a uint8 IDX file of a known shape, gzip-compressed or plain.

    Args:
        path: of the file.
        shape: which it must have.
        sha256: of its content, decompressed; None: any.

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
    array = np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()
    if sha256 is not None:  # the format itself cannot tell a changed pixel
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise corrupt(path, f"content of SHA-256 {sha256}", found)
    return array
