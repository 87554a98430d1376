"""One file for a configuration and named arrays: an ``.npz`` that needs neither pickle nor trust.

It is a zip of ``config.json`` and one ``.npy`` per array, none of them compressed, so ``np.load``
and any unzip can read it, and no file can claim more bytes than it has. Nothing is ever extracted,
so a name in it is only a name.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .writing import replacing

FORMAT = "gradtape"
VERSION = 1
_CONFIG = "config.json"
_TIME = (1980, 1, 1, 0, 0, 0)  # the same content is the same file, bit for bit


class ArchiveError(ValueError):
    """A file that is no archive of this format, or a damaged one."""


def write(path: str | os.PathLike[str], config: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Write an archive, or leave what was there: a crash in the middle never costs the old file.

    Args:
        path: of the file, with any extension.
        config: plain data for JSON.
        arrays: NumPy arrays of numbers or bools, by name.

    Raises:
        OSError: the folder does not exist, or cannot be written.
    """
    text = json.dumps({"format": FORMAT, "version": VERSION, **config}, indent=1)
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
        ArchiveError: the file is no archive of this format, or a damaged one.
    """

    def __init__(self, file: zipfile.ZipFile, name: str) -> None:
        self._file = file
        self.name = name
        members = file.infolist()
        names = [m.filename for m in members]
        if len(set(names)) != len(names):
            raise ArchiveError("two of its members have the same name")
        if any(m.compress_type != zipfile.ZIP_STORED or m.flag_bits & 1 for m in members):
            raise ArchiveError("it has compressed or encrypted members, which this format has not")
        if sum(m.file_size for m in members) > os.path.getsize(name):
            raise ArchiveError("its members claim to be larger than the file")
        if _CONFIG not in names:
            raise ArchiveError(f"it has no {_CONFIG}")
        self.config = self._read_config()
        self.headers: dict[str, Header] = {}
        for member in members:
            if member.filename.endswith(".npy"):
                self.headers[member.filename.removesuffix(".npy")] = self._header(member)
            elif member.filename != _CONFIG:
                raise ArchiveError(f"it has an unknown member {member.filename!r}")

    def _read_config(self) -> dict[str, Any]:
        config = json.loads(self._file.read(_CONFIG))
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise ArchiveError(f"its {_CONFIG} is not of this format")
        if config.get("version") != VERSION:
            raise ArchiveError(
                f"it has version {config.get('version')!r} of the format, this gradtape reads "
                f"version {VERSION}"
            )
        return config

    def _header(self, member: zipfile.ZipInfo) -> Header:
        with self._file.open(member) as stream:
            version = np.lib.format.read_magic(stream)
            if version not in ((1, 0), (2, 0)):
                raise ArchiveError(f"{member.filename!r} has an unknown version {version}")
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran_order, dtype = read(stream)
            offset = stream.tell()
        if dtype.kind not in "biuf":
            raise ArchiveError(f"{member.filename!r} holds {dtype}, expected numbers or bools")
        size = offset + math.prod(shape) * dtype.itemsize
        if any(n < 0 for n in shape) or size != member.file_size:
            raise ArchiveError(
                f"{member.filename!r} claims shape {shape} of {dtype}, which is not its size"
            )
        return Header(shape, dtype, fortran_order, offset)

    def array(self, key: str) -> np.ndarray:
        """The array of that name, writable and in native byte order.

        Raises:
            ArchiveError: its bytes are damaged.
        """
        header = self.headers[key]
        with _explained(self.name):
            data = self._file.read(f"{key}.npy")
        flat = np.frombuffer(data, header.dtype, offset=header.offset)
        shaped = flat.reshape(header.shape, order="F" if header.fortran_order else "C")
        return shaped.astype(header.dtype.newbyteorder("="), order="C")


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except (
        Exception
    ) as error:  # zipfile, JSON and NumPy raise all kinds on bytes that are not theirs
        raise ArchiveError(
            f"{name!r} is not a file that gradtape saved, or it is damaged: {error}."
        ) from error


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Archive]:
    """The archive in a file; whatever is wrong with it becomes one clear error.

    Raises:
        ArchiveError: no archive of this format, or a damaged one; the message names the file.
        OSError: it cannot be opened.
    """
    name = os.fspath(path)
    if os.path.isdir(name):
        raise IsADirectoryError(f"{name!r} is a folder, expected a file that save() wrote.")
    with _explained(name):
        file = zipfile.ZipFile(name)
    with file:
        with _explained(name):
            archive = Archive(file, name)
        yield archive
