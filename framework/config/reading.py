"""Files and texts read without trusting what they claim."""

from __future__ import annotations

import json
import os
import stat
from typing import IO, Any

from ..errors import FileError
from .allowance import spend

#: Bytes of a text in JSON, and lists and dicts in it, and other values, and how deep it is nested.
TEXT, CONTAINERS, VALUES, DEPTH = 6 << 20, 50_000, 400_000, 100
#: Bytes that Python needs for a list or dict, another value, and a character of a text.
_CONTAINER, _VALUE, _CHARACTER = 200, 60, 4


def opened_regular(path: str | os.PathLike[str]) -> IO[bytes]:
    """A file to read from, which is no folder, and no pipe or device that would be waited for.

    Raises:
        FileError: it is no regular file.
        OSError: it cannot be opened.
    """
    name = os.fspath(path)
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    if os.path.isdir(name):
        raise IsADirectoryError(f"{name!r} is a folder, expected a file.")
    file = open(os.open(name, flags), "rb")  # noqa: SIM115 (the caller closes it)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise FileError(f"{name!r} is no regular file.")
    return file


def read_json(path: str | os.PathLike[str]) -> Any:
    """What a file in JSON says; see `plain_json`.

    Raises:
        FileError: it is no readable JSON; the message names the file.
        OSError: it cannot be opened.
    """
    with opened_regular(path) as file:
        content = file.read(TEXT + 1)
    try:
        return plain_json(content)
    except FileError as error:
        raise FileError(f"{os.fspath(path)!r} cannot be read: {error}.") from error


def plain_json(content: bytes) -> Any:
    """What a text in JSON says, if that takes no more memory and time than such a text should.

    Raises:
        FileError: it is no JSON in UTF-8, or more of it than `refuse_too_much` allows, or nested
            deeper than `DEPTH`.
    """
    refuse_too_much(content)
    try:
        value = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise FileError(f"it is no readable JSON: {error}") from error
    level = [value]
    for _ in range(DEPTH):
        level = [
            child
            for parent in level
            if isinstance(parent, (list, dict))
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return value
    raise FileError(f"its lists and dicts are nested deeper than {DEPTH}")


def refuse_too_much(content: bytes) -> None:
    """Refuse a text in JSON that would cost much more than its length.

    Raises:
        FileError: it is longer, or holds more, than a description of a model does.
    """
    containers = content.count(b"{") + content.count(b"[")
    values = content.count(b",") + content.count(b":")
    if len(content) > TEXT or containers > CONTAINERS or values > VALUES:
        raise FileError(
            f"it describes too much: {len(content):,} bytes with {containers:,} lists and dicts "
            f"and {values:,} values, where at most {TEXT:,}, {CONTAINERS:,} and {VALUES:,} are read"
        )
    cost = _CONTAINER * containers + _VALUE * values + _CHARACTER * len(content)
    spend(cost, "its description")
