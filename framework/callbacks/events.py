"""Event files of TensorBoard, written without TensorFlow: records of protocol buffers.

A record is a length, the masked CRC-32C of its eight bytes, the event, and its masked CRC-32C
(TensorFlow's ``record_writer``). The messages are ``Event``, ``Summary``, ``HistogramProto`` and
``Summary.Image`` of ``tensorflow/core``; only fields that TensorBoard reads are there.
"""

from __future__ import annotations

import itertools
import os
import struct
import time
import zlib
from functools import cache
from pathlib import Path

import numpy as np

_numbers = itertools.count()


class EventFile:
    """A new event file in a folder, which is made if it is missing.

    Args:
        folder: of the run, as in ``logs/train``.
        suffix: ends the name of the file.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, folder: str | os.PathLike[str], suffix: str = ".v2") -> None:
        import socket  # slow to import

        Path(folder).mkdir(parents=True, exist_ok=True)
        name = (
            f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}."
            f"{next(_numbers)}{suffix}"
        )
        self.path = Path(folder) / name
        self._file = open(self.path, "wb")  # noqa: SIM115 (it stays open until `close`)
        self._write(_text(3, "brain.Event:2"), 0)

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Write one number."""
        self._summary(tag, _key(2, 5) + struct.pack("<f", value), step)

    def histogram(self, tag: str, values: np.ndarray, step: int, bins: int = 30) -> None:
        """Write how numbers are distributed; NaN and infinite ones are left out."""
        values = values[np.isfinite(values)].astype(np.float64).reshape(-1)
        counts, edges = np.histogram(values, bins) if values.size else (np.zeros(1), np.zeros(2))
        low, high = (values.min(), values.max()) if values.size else (0.0, 0.0)
        total, squares = values.sum(), np.square(values).sum()
        numbers = b"".join(
            _key(i, 1) + struct.pack("<d", v)
            for i, v in enumerate((low, high, values.size, total, squares), start=1)
        )
        limits = _bytes(6, edges[1:].astype("<f8").tobytes())
        heights = _bytes(7, counts.astype("<f8").tobytes())
        self._summary(tag, _bytes(5, numbers + limits + heights), step)

    def image(self, tag: str, pixels: np.ndarray, step: int) -> None:
        """Write a picture: (H, W) of uint8."""
        height, width = pixels.shape
        sizes = b"".join(_key(i, 0) + _varint(n) for i, n in enumerate((height, width, 1), start=1))
        self._summary(tag, _bytes(4, sizes + _bytes(4, _png(pixels))), step)

    def flush(self) -> None:
        """Let readers see what was written."""
        self._file.flush()

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def _summary(self, tag: str, value: bytes, step: int) -> None:
        self._write(_bytes(5, _bytes(1, _text(1, tag) + value)), step)

    def _write(self, message: bytes, step: int) -> None:
        event = _key(1, 1) + struct.pack("<d", time.time()) + _key(2, 0) + _varint(step) + message
        length = struct.pack("<Q", len(event))
        self._file.write(length + _masked(length) + event + _masked(event))


# Protocol buffers: a field is its number and wire type, then its content.


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _bytes(field: int, content: bytes) -> bytes:
    return _key(field, 2) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _bytes(field, content.encode())


# CRC-32C (Castagnoli), which zlib has not, a byte at a time.


@cache
def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ 0x82F63B78 if value & 1 else value >> 1
        table.append(value)
    return table


def crc32c(data: bytes) -> int:
    """The CRC-32C of some bytes."""
    table, crc = _table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _png(pixels: np.ndarray) -> bytes:
    """A grey picture as PNG."""
    height, width = pixels.shape
    rows = np.hstack([np.zeros((height, 1), np.uint8), pixels]).tobytes()

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts
