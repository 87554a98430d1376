"""Who may have written a file: code is run only from what nobody but this user, or root, can write.

Whoever can write a file of compiled code decides what this process does, and no checksum or key
beside it changes that, as it can be written anew. So what counts is the owner and the permissions
of the file that is really read, and of every folder on the way to it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def _ours(status: os.stat_result) -> bool:
    """Whether it belongs to this user or to root. Windows has no such numbers: there, folders of a
    user are closed to others from the start."""
    return not hasattr(os, "geteuid") or status.st_uid in (0, os.geteuid())


def distrusted(folder: Path) -> str | None:
    """Why others could write to a folder or exchange it, or None if they cannot.

    Args:
        folder: without links. Of what does not exist, the folders above it count.
    """
    if os.name == "nt":
        return None
    for place in (folder, *folder.parents):
        try:
            status = os.lstat(place)
        except FileNotFoundError:
            continue
        except OSError as error:
            return f"{place} cannot be looked at: {error.strerror}"
        if not stat.S_ISDIR(status.st_mode):
            return f"{place} is no folder"
        if not _ours(status):
            return f"{place} belongs to another user"
        # In a folder like /tmp everybody may make files, but not take those of others away.
        shared = place != folder and status.st_mode & stat.S_ISVTX
        if status.st_mode & _OTHERS and not shared:
            return f"{place} can be written to by other users"
    return None


def read_trusted(path: Path, limit: int) -> bytes | None:
    """The content of a file that nobody else can have written, or None.

    Nothing is waited for and no link is followed: pipes, devices, links, files of others, files
    that others may write and files of more than `limit` bytes count as absent.

    Args:
        path: in a folder that `distrusted` has nothing to say against.
    """
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        with open(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or not _ours(status):
                return None
            if os.name != "nt" and status.st_mode & _OTHERS:
                return None
            content = file.read(limit + 1)
    except OSError:
        return None
    return content if len(content) <= limit else None


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for this user alone.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
