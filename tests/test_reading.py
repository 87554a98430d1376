"""Reading does not trust: no pipe is waited for, and no text costs more than it should."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gradtape.config import reading
from gradtape.errors import FileError


def test_text_in_json_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text('{"a": [1, 2.5, null, "é"]}', encoding="utf-8")
    assert reading.read_json(path) == {"a": [1, 2.5, None, "é"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no readable JSON"),
        (b"{", "no readable JSON"),
        (b"\xff\xfe", "no readable JSON"),
        (b'"\\ud800', "no readable JSON"),
        (b"1" * 5_000, "no readable JSON"),
        (b"[" * 101 + b"]" * 101, "deeper than 100"),
        (b'{"a":' * 40_000 + b"1" + b"}" * 40_000, "no readable JSON|deeper"),
        (b"[" + b"[]," * reading.CONTAINERS + b"1]", "too much"),
        (b"[" + b"1," * reading.VALUES + b"1,1]", "too much"),
        (b'"' + b"a" * reading.TEXT + b'"', "too much"),
    ],
    ids=range(10),
)
def test_what_is_no_text_or_too_much_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(FileError, match=message) as error:
        reading.read_json(path)
    assert repr(str(path)) in str(error.value) and len(str(error.value)) < 500


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(FileError, match="no regular file"):
            reading.read_json(path)


def test_folders_and_missing_files_are_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        reading.read_json(tmp_path)
    with pytest.raises(FileNotFoundError):
        reading.read_json(tmp_path / "nothing")
