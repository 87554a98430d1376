"""Files are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradtape.config.writing import replacing, write_text


def test_a_file_is_replaced_at_once_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "before")
    with pytest.raises(RuntimeError, match="no more paper"), replacing(path) as file:
        file.write(b"half of it")
        assert path.read_text() == "before"
        raise RuntimeError("no more paper")
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["file"]
    write_text(path, "äfter")
    assert path.read_bytes() == "äfter".encode() and os.listdir(tmp_path) == ["file"]


def test_what_a_killed_process_left_behind_is_removed_by_the_next_writer(tmp_path: Path) -> None:
    path = tmp_path / "file"
    code = (
        "import os, signal; from gradtape.config.writing import replacing\n"
        f"with replacing({str(path)!r}) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -9
    (left,) = os.listdir(tmp_path)
    assert left.startswith(".file.")
    write_text(path, "whole")
    assert os.listdir(tmp_path) == ["file"]


def test_two_writers_do_not_take_each_others_file(tmp_path: Path) -> None:
    path = tmp_path / "[a]*"
    with replacing(path) as first:
        first.write(b"first")
        write_text(path, "second")
        write_text(tmp_path / "[a]**", "another file")
    assert path.read_text() == "first"
    assert sorted(os.listdir(tmp_path)) == ["[a]*", "[a]**"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="its folder does not exist"):
        write_text(tmp_path / "no" / "file", "")
