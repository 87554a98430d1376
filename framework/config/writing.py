"""Files that are whole or not there, even if the process is killed while it writes them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows, which lets nobody delete a file that is open
    fcntl = None  # type: ignore[assignment]


@contextmanager
def replacing(path: str | os.PathLike[str], mode: int = 0o666) -> Iterator[BinaryIO]:
    """A new file to write to, which takes the place of `path` at once when all of it is on disk.

    Until then, and after an error, `path` is what it was. What a killed process left behind is
    removed by the next one that writes the same file.

    Args:
        path: of the file, in a folder that exists; a link leads to the file it names.
        mode: the permissions of a file that was not there, but for those that the process withholds
            from all files (its umask).

    Raises:
        OSError: the folder does not exist, or cannot be written.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"Cannot write {os.fspath(path)!r}: its folder does not exist.")
    sweep(target)
    file, temporary = _locked(target, mode)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()  # Windows renames no open file; elsewhere the lock is held to the end
            if target.exists():
                os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
            os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text as UTF-8, by way of `replacing`."""
    with replacing(path) as file:
        file.write(text.encode())


def sweep(target: Path) -> None:
    """Remove what killed processes left behind when they wrote this file."""
    for path in target.parent.glob(f".{escape(target.name)}.*.tmp"):
        # An error means that somebody is writing it, or has removed it meanwhile.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)  # a pipe of that name would wait
        with suppress(OSError), open(os.open(path, flags), "rb") as file:
            _lock(file)
            path.unlink()


def _locked(target: Path, mode: int) -> tuple[BinaryIO, Path]:
    """A file of its own beside the target, locked as long as it is open."""
    while True:
        path = target.with_name(f".{target.name}.{os.urandom(4).hex()}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        file = open(os.open(path, flags, mode), "wb")  # noqa: SIM115 (the caller closes it)
        with suppress(OSError):  # some file systems know no locks: nothing is removed there
            _lock(file)
        if os.fstat(file.fileno()).st_nlink:  # nobody took it for left behind before it was locked
            return file, path
        file.close()


def _lock(file: BinaryIO) -> None:
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
