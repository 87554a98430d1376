"""Read a data file, gzip-compressed or plain, without trusting it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from gradtape.errors import FileError


def corrupt(
    path: Path, expected: str, received: str, fix: str = "delete or replace it and load again"
) -> FileError:
    """The error for a file whose content is not what its data set publishes."""
    return FileError(
        f"{path}: expected {expected}, received {received}. The file is damaged or belongs to "
        f"another data set; {fix}."
    )


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of ``path``, decompressed on the fly if it is a gzip file.

    Raises:
        ValueError: the gzip stream is truncated, or its checksum is wrong.
    """
    import gzip
    import zlib

    with open(path, "rb") as raw:
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        try:
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise corrupt(path, "an intact gzip stream", str(error)) from error


def read_at_most(path: Path, size: int) -> bytes:
    """The content of ``path``, cut after ``size + 1`` bytes: a decompression bomb stays small."""
    with opened(path) as stream:
        return stream.read(size + 1)
