"""CIFAR-10: 60,000 small colour pictures of ten kinds of things (Krizhevsky, 2009).

Read from its binary version, six files of 10,000 records: one byte of label, then 1,024 bytes each
of red, green and blue. The archive is read as a stream: nothing is unpacked to disk or unpickled.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from ._files import DataSet, Published, Source, find
from ._read import corrupt, opened, read_at_most

CLASSES: tuple[str, ...] = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

SOURCE = Source(
    name="cifar10",
    title="CIFAR-10",
    files=(
        Published(
            "cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    ),
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
)

_TRAIN_FILES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
_FILES = (*_TRAIN_FILES, "test_batch.bin")
_FOLDER = "cifar-10-batches-bin"
_PER_FILE = _PUBLISHED = 10_000
#: MD5, in the order of `_FILES`: no protection from whoever made the files, but from damage.
_DIGESTS = (
    "5dd7e06a14cb22eb9f671a540d1b7c25",
    "5ea93a67294ea407fff1d09f752e9692",
    "942cd6a4bcdd0dd3c604fbe906cb4421",
    "ae636b3ba5c66a11e91e8cb52e771fcb",
    "53f37980c15c3d472c316c40844f3f0d",
    "803d5f7f4d78ea53de84dbe85f74fb6d",
)
_SIDE, _CHANNELS = 32, 3
_RECORD = 1 + _CHANNELS * _SIDE * _SIDE
_OTHER_CONTENT = 1 << 20  # bytes left for tar headers, the class names and the read-me file


def load_data(path: str | os.PathLike[str] | None = None) -> DataSet:
    """Load CIFAR-10.

    The archive ``cifar-10-binary.tar.gz``, or the six ``.bin`` files in it, are looked for in
    ``path``, in ``$GRADTAPE_DATA/cifar10`` (or ``gradtape/cifar10`` in your cache folder) and in
    ``/usr/share/datasets/cifar10``. If none holds them the archive is downloaded once to the cache
    folder, 170 MB, and checked against its SHA-256.

    Args:
        path: the archive, or a folder that holds it or the ``.bin`` files.

    Returns:
        ``((x_train, y_train), (x_test, y_test))``, uint8: images ``(50000, 32, 32, 3)`` and
        ``(10000, 32, 32, 3)`` in RGB, labels ``(50000, 1)`` and ``(10000, 1)`` that index
        ``CLASSES``.

    Raises:
        FileNotFoundError: the files are nowhere to be had; lists every place tried.
        ValueError: a file is truncated, damaged or not CIFAR-10's binary version.

    Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html.
    """
    files = find(SOURCE, _held, path)
    train = _allocate(len(_TRAIN_FILES) * _PER_FILE)
    test = _allocate(_PER_FILE)
    for name, origin, content in _contents(files):
        number = _FILES.index(name)
        x, y = test if number == len(_TRAIN_FILES) else train
        # The test set is alone in its arrays; file i of the training set is their i-th part.
        start = number % len(_TRAIN_FILES) * _PER_FILE
        part = slice(start, start + _PER_FILE)
        digest = _DIGESTS[number] if _PER_FILE == _PUBLISHED else None
        _decode(content, origin, name, x[part], y[part], digest)
    return train, test


def _held(place: Path) -> list[Path] | None:
    """The archive alone, or the six files in the order of ``_FILES``."""
    for archive in (place, place / SOURCE.files[0].name):
        if os.path.isfile(archive):
            return [archive]
    for folder in (place, place / _FOLDER):
        files = [folder / name for name in _FILES]
        if all(map(os.path.isfile, files)):
            return files
    return None


def _allocate(count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return np.empty((count, _SIDE, _SIDE, _CHANNELS), np.uint8), np.empty((count, 1), np.uint8)


def _contents(files: list[Path]) -> Iterator[tuple[str, Path, bytes]]:
    if len(files) == 1:
        yield from _archive_contents(files[0])
    else:
        for file in files:
            yield file.name, file, read_at_most(file, _PER_FILE * _RECORD)


def _archive_contents(archive: Path) -> Iterator[tuple[str, Path, bytes]]:
    import tarfile

    size = _PER_FILE * _RECORD
    missing = {f"{_FOLDER}/{name}" for name in _FILES}
    with opened(archive) as stream:
        bounded = _Bounded(stream, len(_FILES) * size + _OTHER_CONTENT, archive)
        try:
            with tarfile.open(fileobj=cast("IO[bytes]", bounded), mode="r|") as tar:
                for member in tar:
                    bounded.refuse(member.size)  # tarfile would skip over all of it, in vain
                    name = member.name.removeprefix("./")
                    # Sparse members expand to sizes the stream never had; links point elsewhere.
                    if name not in missing or not member.isreg() or member.issparse():
                        continue
                    missing.remove(name)
                    content = tar.extractfile(member)
                    assert content is not None  # a regular file
                    yield name.removeprefix(f"{_FOLDER}/"), archive, content.read(size + 1)
            while bounded.read(1 << 16):  # gzip's checksum comes last
                pass
        except tarfile.TarError as error:
            raise corrupt(archive, "an intact tar archive", str(error)) from error
    if missing:
        raise corrupt(archive, f"{len(_FILES)} files", f"no {', '.join(sorted(missing))}")


class _Bounded:
    """A stream that ends in an error after ``limit`` bytes, however far it would decompress."""

    def __init__(self, stream: IO[bytes], limit: int, path: Path) -> None:
        self._stream, self._left, self._limit, self._path = stream, limit, limit, path

    def read(self, size: int) -> bytes:
        content = self._stream.read(min(size, self._left + 1))
        self.refuse(len(content))
        self._left -= len(content)
        return content

    def refuse(self, size: int) -> None:
        """Refuse more bytes than are left."""
        if size > self._left:
            raise corrupt(self._path, f"at most {self._limit} bytes of content", "more")


def _decode(
    content: bytes,
    path: Path,
    name: str,
    x: NDArray[np.uint8],
    y: NDArray[np.uint8],
    digest: str | None,
) -> None:
    """Write a file's records into images ``x`` ``(N, 32, 32, 3)`` and labels ``y`` ``(N, 1)``."""
    size = len(x) * _RECORD
    if len(content) != size:
        length = "more" if len(content) > size else f"{len(content)} bytes"
        raise corrupt(path, f"{size} bytes of {name}", length)
    records = np.frombuffer(content, np.uint8).reshape(len(x), _RECORD)
    y[:] = records[:, :1]
    if y.max() >= len(CLASSES):
        raise corrupt(path, f"labels below {len(CLASSES)} in {name}", f"a label {y.max()}")
    if digest is not None:
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != digest:
            raise corrupt(path, f"{name} of MD5 {digest}", found)
    x[:] = records[:, 1:].reshape(-1, _CHANNELS, _SIDE, _SIDE).transpose(0, 2, 3, 1)
