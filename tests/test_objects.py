"""Object code of kernels on disk: found again, never trusted blindly, never fatal."""

from __future__ import annotations

import ctypes
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
    def scaled(a: Any) -> None:
        store_scalar(a[0], 0, load_scalar(a[0], 0) * factor)

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


def test_a_damaged_file_counts_as_absent(folder: Path) -> None:
    objects.save("key", "compiler", "symbol", [], b"code" * 100)
    (path,) = _files(folder)
    whole = path.read_bytes()
    assert objects._checked(whole) == ("symbol", [], b"code" * 100)
    for damaged in (b"", whole[:20], whole[:-1], whole[:-1] + b"x", b"x" + whole[1:]):
        path.write_bytes(damaged)
        assert objects.load("key", "compiler") is None


def test_code_that_calls_what_is_not_there_is_not_linked(folder: Path) -> None:
    objects.save("key", "compiler", "symbol", ["malloc", "surely_nowhere"], b"code")
    (path,) = _files(folder)
    assert objects._checked(path.read_bytes()) == ("symbol", ["malloc", "surely_nowhere"], b"code")
    assert objects.load("key", "compiler") is None


def test_another_compiler_does_not_find_it(folder: Path) -> None:
    objects.save("key", "one", "symbol", [], b"code")
    assert objects.load("key", "two") is None


def test_nowhere_to_write_is_said_and_survived(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
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
