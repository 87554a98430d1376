"""One file for a configuration and named arrays: an ``.npz`` that needs neither pickle nor trust.

It is a zip of ``config.json`` and one ``.npy`` per array, none of them compressed, so ``np.load``
and any unzip can read it, and no file can claim more bytes than it has. Nothing is ever extracted,
so a name in it is only a name.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ..config.allowance import allowance
from ..config.reading import opened_regular, plain_json, refuse_too_much
from ..config.writing import replacing
from ..errors import FileError
from . import foreign

if TYPE_CHECKING:
    import zipfile

FORMAT = "gradtape"
VERSION = 1
_CONFIG = "config.json"
_TIME = (1980, 1, 1, 0, 0, 0)  # the same content is the same file, bit for bit
#: Bytes of the table of contents, apart from a share of the file: an entry of 46 takes 600.
_TABLE, _SHARE = 1 << 20, 32
#: A header as NumPy writes it.
_HEADER = re.compile(
    rb"\{'descr': '([<>|=][a-zA-Z]\d*)', 'fortran_order': (True|False), "
    rb"'shape': \(([\d, ]*)\), \} *\n"
)
_MAGIC = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4}  # bytes of the header's length
_LONGEST = 10_000  # bytes of a header


def write(path: str | os.PathLike[str], config: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Write an archive, or leave what was there: a crash in the middle never costs the old file.

    Args:
        path: of the file.
        config: plain data for JSON.
        arrays: NumPy arrays of numbers or bools, by name.

    Raises:
        OSError: the folder does not exist, or cannot be written.
        ValueError: the suffix is that of another format, or so much is described that no one would
            read it.
    """
    foreign.refuse_suffix(path)
    text = json.dumps({"format": FORMAT, "version": VERSION, **config}, indent=1)
    try:
        refuse_too_much(text.encode())
    except FileError as error:
        raise FileError(f"Cannot save {os.fspath(path)!r}: {error}.") from error
    import zipfile  # slow to import

    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_CONFIG, _TIME), text)
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", _TIME)
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


@dataclass(frozen=True)
class Header:
    """What a stored array says of itself before it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool
    offset: int


class Archive:
    """An open archive: its configuration, and the headers of its arrays; `array` reads one.

    Raises:
        FileError: the file is no archive of this format, or a damaged one.
    """

    def __init__(self, file: zipfile.ZipFile, name: str, size: int) -> None:
        import zipfile

        self._file = file
        self.name = name
        members = file.infolist()
        names = [m.filename for m in members]
        if len(set(names)) != len(names):
            raise FileError("two of its members have the same name")
        if any(m.compress_type != zipfile.ZIP_STORED or m.flag_bits & 1 for m in members):
            raise FileError("it has compressed or encrypted members, which this format has not")
        if file.comment or any(m.comment or m.extra[:2] not in (b"", b"\1\0") for m in members):
            # A damaged length would swallow the entries after it.
            raise FileError("it has comments, which this format has not")
        if any(m.compress_size != m.file_size for m in members):
            raise FileError("the sizes of its members contradict each other")
        if sum(m.file_size for m in members) > size:
            raise FileError("its members claim to be larger than the file")
        if _CONFIG not in names:
            raise FileError(f"it has no {_CONFIG}")
        self.config = self._read_config()
        self.headers: dict[str, Header] = {}
        for member in members:
            if member.filename.endswith(".npy"):
                self.headers[member.filename.removesuffix(".npy")] = self._header(member)
            elif member.filename != _CONFIG:
                raise FileError(f"it has an unknown member {member.filename!r}")

    def _read_config(self) -> dict[str, Any]:
        config = plain_json(self._file.read(_CONFIG))
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise FileError(f"its {_CONFIG} is not of this format")
        if config.get("version") != VERSION:
            raise FileError(
                f"it has version {config.get('version')!r} of the format, this gradtape reads "
                f"version {VERSION}"
            )
        return config

    def _header(self, member: zipfile.ZipInfo) -> Header:
        with self._file.open(member) as stream:
            magic = stream.read(8)
            if magic not in _MAGIC:
                raise FileError(f"{member.filename!r} is no array, or of an unknown version")
            length = int.from_bytes(stream.read(_MAGIC[magic]), "little")
            header = _HEADER.fullmatch(stream.read(length) if length <= _LONGEST else b"")
            if header is None:
                raise FileError(f"{member.filename!r} has a header that NumPy does not write")
            offset = stream.tell()
        dtype = np.dtype(header[1].decode())
        fortran_order = header[2] == b"True"
        shape = tuple(int(n) for n in header[3].decode().split(",") if n.strip())
        if dtype.kind not in "biuf":
            raise FileError(f"{member.filename!r} holds {dtype}, expected numbers or bools")
        size = offset + math.prod(shape) * dtype.itemsize
        if size != member.file_size:
            raise FileError(
                f"{member.filename!r} claims shape {shape} of {dtype}, which is not its size"
            )
        return Header(shape, dtype, fortran_order, offset)

    def array(self, key: str) -> np.ndarray:
        """The array of that name, writable and in native byte order.

        Raises:
            FileError: its bytes are damaged.
        """
        header = self.headers[key]
        with _explained(self.name):
            data = self._file.read(f"{key}.npy")
        flat = np.frombuffer(data, header.dtype, offset=header.offset)
        shaped = flat.reshape(header.shape, order="F" if header.fortran_order else "C")
        return shaped.astype(header.dtype.newbyteorder("="), order="C")


class _Bounded(io.RawIOBase):
    """A stream that refuses to read more than `limit` bytes at once, if there is a limit."""

    def __init__(self, stream: IO[bytes], size: int, limit: int) -> None:
        self._stream, self._size = stream, size
        self.limit: int | None = limit

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            size = max(0, self._size - self._stream.tell())
        if self.limit is not None and size > self.limit:
            raise FileError("its table of contents is larger than such a file has")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # zipfile and NumPy raise all kinds on bytes that are not theirs
        raise FileError(
            f"{name!r} is not a file that gradtape saved, or it is damaged: {error}."
        ) from error


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Archive]:
    """The archive in a file; whatever is wrong with it becomes one clear error.

    Raises:
        FileError: no archive of this format, or a damaged one; the message names the file, and the
            format if it is another program's.
        OSError: it cannot be opened.
    """
    import zipfile

    name = os.fspath(path)
    with opened_regular(name) as stream:
        _refuse_foreign(name, stream.read(300), [])
        size = stream.seek(0, io.SEEK_END)
        table = _Bounded(stream, size, _TABLE + size // _SHARE)
        with _explained(name):
            file = zipfile.ZipFile(table)
        table.limit = None
        _refuse_foreign(name, b"", file.namelist())
        with allowance(size):
            with _explained(name):
                archive = Archive(file, name, size)
            yield archive


def _refuse_foreign(name: str, start: bytes, members: list[str]) -> None:
    other = foreign.format_of(start, members)
    if other is not None:
        raise FileError(
            f"{name!r} is not a file that gradtape saved: it is a file of the format {other}. Read "
            "it with the program that wrote it, and pass the arrays on with model.set_weights()."
        )
