"""Object code of kernels on disk: found again, never trusted blindly, never fatal."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradtape.kernels import native, objects
from gradtape.kernels.simd import load_scalar, store_scalar
from gradtape.program import enabled

pytestmark = pytest.mark.skipif(not enabled(), reason="nothing is compiled")


def _scaled_by(factor: int) -> native.Kernel:
    @native.kernel
    def scaled(x: int) -> None:
        store_scalar(x, 0, load_scalar(x, 0) * factor)

    return scaled


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    return tmp_path / "gradtape"


def _files(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file()]


def test_a_compiled_kernel_is_linked_from_its_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _scaled_by(3).address  # noqa: B018
    assert len(_files(folder)) == 1
    monkeypatch.setattr(native.Kernel, "_compile", lambda kernel: pytest.fail("compiled again"))
    x = np.array([5], np.float32)
    again = _scaled_by(3)
    again((x.ctypes.data,))
    assert x[0] == 15
    with pytest.raises(pytest.fail.Exception):
        _scaled_by(4).address  # noqa: B018


@pytest.fixture
def entry(folder: Path) -> tuple[Path, list[str]]:
    """The file of a compiled kernel, and the key and compiler that find it."""
    kernel = _scaled_by(5)
    kernel.address  # noqa: B018
    (path,) = _files(folder)
    return path, [kernel._key, native._COMPILER]


def test_a_damaged_file_counts_as_absent(entry: tuple[Path, list[str]]) -> None:
    path, key = entry
    whole = path.read_bytes()
    assert objects.load(*key)
    for damaged in (b"", whole[:20], whole[:-1], whole[:-1] + b"x", b"x" + whole[1:]):
        path.write_bytes(damaged)
        assert objects.load(*key) is None


def _with_checksum(body: bytes) -> bytes:
    return objects._MAGIC + hashlib.sha256(body).digest() + body


def test_what_is_no_object_file_is_not_linked_even_with_the_right_checksum(
    entry: tuple[Path, list[str]],
) -> None:
    path, key = entry
    whole = path.read_bytes()
    body = whole[len(objects._MAGIC) + objects._DIGEST :]
    symbol, called, code = body.split(b"\n", 2)
    assert _with_checksum(body) == whole
    for lie in (
        b"",
        body[:-100],
        b"\n".join([symbol, called, b"code" * 100]),
        b"\n".join([b"another", called, code]),
        b"\n".join([b"\xff", called, code]),
        b"\n".join([symbol, called, code[:18] + b"\x03\x00" + code[20:]]),  # of a 386
        b"\n".join([symbol, called, code.replace(b"gradtape.", b"grudtape.")]),
        b"\n".join([symbol, called, code[:40] + b"\xff" * 8 + code[48:]]),  # sections far away
    ):
        path.write_bytes(_with_checksum(lie))
        assert objects.load(*key) is None
    path.write_bytes(whole)
    assert objects.load(*key)


def test_code_that_calls_what_is_not_there_is_not_linked(
    entry: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, key = entry
    symbol, _, code = objects._checked(path.read_bytes()) or ("", [], b"")
    objects.save(*key, symbol, ["malloc", "surely_nowhere"], code)
    assert objects._checked(path.read_bytes()) == (symbol, ["malloc", "surely_nowhere"], code)
    assert objects.load(*key) is None


others = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")


untrusted = pytest.mark.filterwarnings("ignore:gradtape keeps no compiled kernels")


@others
@untrusted
def test_what_others_could_have_written_is_not_run(
    entry: tuple[Path, list[str]], folder: Path
) -> None:
    path, key = entry
    for place in (path, path.parent, folder, folder.parent):
        kept = place.stat().st_mode
        assert objects.load(*key)
        for more in (0o020, 0o002):
            place.chmod(kept | more)
            assert objects.load(*key) is None
        place.chmod(kept)
    assert objects.load(*key)


@others
@untrusted
@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root gives files away")
def test_files_and_folders_of_others_are_not_run(
    entry: tuple[Path, list[str]], folder: Path
) -> None:
    path, key = entry
    for place in (path, path.parent, folder):
        os.chown(place, 12345, -1)
        assert objects.load(*key) is None
        os.chown(place, 0, -1)
    assert objects.load(*key)


@others
def test_links_and_pipes_are_neither_followed_nor_waited_for(
    entry: tuple[Path, list[str]],
) -> None:
    path, key = entry
    moved = path.with_name("moved")
    path.rename(moved)
    path.symlink_to(moved)
    assert objects.load(*key) is None
    path.unlink()
    os.mkfifo(path, 0o600)
    start = time.monotonic()
    assert objects.load(*key) is None
    assert time.monotonic() - start < 1
    path.unlink()
    path.mkdir()
    assert objects.load(*key) is None


@others
def test_what_is_written_is_for_its_owner_alone_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        assert objects.save("key", "compiler", "symbol", [], b"code")
    finally:
        os.umask(before)
    for path in [folder, *folder.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)


@others
def test_nothing_is_written_where_others_can_and_that_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.parent.chmod(0o777)
    folder.mkdir()
    with pytest.warns(UserWarning, match="written to by other users"):
        assert not objects.save("key", "compiler", "symbol", [], b"code")
    assert not _files(folder)


@others
def test_numbas_pickles_are_not_read_from_a_folder_that_others_can_write_to(
    tmp_path: Path,
) -> None:
    code = "from gradtape.kernels import jit; print(jit._cached())"
    for mode, expected in ((0o700, "True"), (0o777, "False")):
        tmp_path.chmod(mode)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "new")}, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == expected


def test_a_kernel_of_the_same_name_and_other_parameters_is_another() -> None:
    def of(function: Any) -> str:
        return native.Kernel(function, "same", made=True)._key

    def one(x: int) -> None:
        pass

    def two(x: int, y: int) -> None:
        pass

    def real(x: float) -> None:
        pass

    assert len({of(f) for f in (one, two, real)}) == 3


def test_another_compiler_does_not_find_it(folder: Path) -> None:
    objects.save("key", "one", "symbol", [], b"code")
    assert objects.load("key", "two") is None


def test_nowhere_to_write_is_said_and_survived(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="compiles them in every process"):
        assert not objects.save("key", "compiler", "symbol", [], b"code")
    assert objects.load("key", "compiler") is None


def test_only_the_latest_generations_stay(folder: Path) -> None:
    for i in range(objects.KEPT + 3):
        objects.save("key", f"compiler {i}", "symbol", [], b"code")
    assert len(list(folder.iterdir())) == objects.KEPT
    last = objects.generation(f"compiler {objects.KEPT + 2}")
    assert (folder / last / "key").exists()


def test_identity_tells_closures_apart() -> None:
    def made(n: Any) -> Any:
        return lambda: n

    same = objects.identity(made(1))
    assert same == objects.identity(made(1)) != objects.identity(made(2))
    assert objects.identity(made(made(1))) != objects.identity(made(made(2)))
    assert objects.identity(made(1)) != objects.identity(lambda: ctypes)
