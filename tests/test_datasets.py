"""Data sets: what the loaders return, where they look, and what they refuse."""

from __future__ import annotations

import gzip
import hashlib
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gradtape import datasets
from gradtape.datasets import _download, _files, _idx, cifar10, fashion_mnist, mnist, mnist_sample

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
needs_debian = pytest.mark.skipif(
    not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed"
)
RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees this machine's data sets or the network, unless it asks for them."""

    def offline(url: str) -> None:
        raise OSError("no network in tests")

    monkeypatch.setenv("GRADTAPE_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(_files, "system_folders", lambda: (tmp_path / "system",))
    monkeypatch.setattr(_download, "_open", offline)


# The sample


def test_sample_has_keras_shapes_and_dtypes() -> None:
    (x_train, y_train), (x_test, y_test) = mnist_sample.load_data()
    assert (x_train.shape, y_train.shape) == ((4000, 28, 28), (4000,))
    assert (x_test.shape, y_test.shape) == ((1000, 28, 28), (1000,))
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert (x_train.min(), x_train.max()) == (0, 255)


def test_sample_is_balanced_and_mixes_classes() -> None:
    (_, y_train), (_, y_test) = mnist_sample.load_data()
    assert np.bincount(y_train).tolist() == [400] * 10
    assert np.bincount(y_test).tolist() == [100] * 10
    assert y_train[:10].tolist() == [9, 6, 9, 6, 6, 2, 8, 2, 2, 9]
    for labels in (y_train, y_test):
        assert set(labels[:25]) == set(range(10))
        windows = np.lib.stride_tricks.sliding_window_view(labels, 80)
        assert all(len(set(window)) == 10 for window in windows)


def test_a_damaged_sample_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = bytearray(mnist_sample._FILE.read_bytes())
    copy = tmp_path / "mnist_sample.npz"
    monkeypatch.setattr(mnist_sample, "_FILE", copy)
    copy.write_bytes(content)
    assert len(mnist_sample.load_data()[0][0]) == 4000
    content[len(content) // 2] ^= 1
    for damaged in (content, content[:-1], b""):
        copy.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"npz: expected SHA-256.*install gradtape again"):
            mnist_sample.load_data()


def test_sample_shares_no_image_between_train_and_test() -> None:
    (x_train, _), (x_test, _) = mnist_sample.load_data()
    assert len({image.tobytes() for image in (*x_train, *x_test)}) == 5000


def test_sample_labels_fit_their_images() -> None:
    (x_train, y_train), (x_test, y_test) = mnist_sample.load_data()
    means = np.stack([x_train[y_train == k].mean(0) for k in range(10)]).reshape(10, -1)
    flat = x_test.reshape(1000, -1).astype(float)
    nearest = ((flat[:, None] - means) ** 2).sum(-1).argmin(-1)
    assert (nearest == y_test).mean() > 0.75


def test_sample_arrays_are_the_callers_own() -> None:
    (x_train, _), _ = mnist_sample.load_data()
    x_train[:] = 1
    assert mnist_sample.load_data()[0][0].max() == 255


# The IDX format


def idx_bytes(array: np.ndarray, dtype_code: int = 0x08) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, dtype_code, array.ndim, *array.shape)
    return header + array.tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("shape", [(7,), (3, 4, 5), (1, 28, 28)])
def test_idx_round_trip(tmp_path: Path, shape: tuple[int, ...], pack: Callable) -> None:
    array = RNG.integers(0, 256, shape, np.uint8)
    file = tmp_path / "file"
    file.write_bytes(pack(idx_bytes(array)))
    result = _idx.read_idx(file, shape)
    np.testing.assert_array_equal(result, array)
    assert result.dtype == np.uint8
    assert result.flags.writeable


GOOD = idx_bytes(np.arange(12, dtype=np.uint8).reshape(3, 4))


@pytest.mark.parametrize(
    ("content", "expected", "received"),
    [
        (b"", "begins with 00 00", "no bytes"),
        (b"PK\x03\x04" + GOOD[4:], "begins with 00 00", "50 4b 03 04"),
        (idx_bytes(np.zeros((3, 4), np.uint8), dtype_code=0x0D), "0x08 (uint8)", "0x0d"),
        (idx_bytes(np.zeros(12, np.uint8)), "2 axes", "received 1"),
        (idx_bytes(np.zeros((4, 3), np.uint8)), "(3, 4)", "(4, 3)"),
        (GOOD[:9], "header of 12 bytes", "9 bytes"),
        (GOOD[:-1], "24 bytes", "23 bytes"),
        (GOOD + b"\0", "24 bytes", "more"),
    ],
)
def test_idx_refuses_what_it_did_not_expect(
    tmp_path: Path, content: bytes, expected: str, received: str
) -> None:
    file = tmp_path / "images"
    file.write_bytes(content)
    with pytest.raises(ValueError) as error:
        _idx.read_idx(file, (3, 4))
    assert all(part in str(error.value) for part in (str(file), expected, received))


def test_idx_damage_to_a_gzip_file_is_never_silent(tmp_path: Path) -> None:
    packed, file = gzip.compress(GOOD, mtime=0), tmp_path / "images.gz"
    refused = 0
    for position in range(len(packed)):
        flipped = bytes([packed[position] ^ 0xFF])
        for damaged in (packed[:position], packed[:position] + flipped + packed[position + 1 :]):
            file.write_bytes(damaged)
            try:
                # gzip's own header holds a time and a system that do not matter.
                assert _idx.read_idx(file, (3, 4)).tobytes() == GOOD[12:]
            except ValueError as error:
                assert str(file) in str(error)
                refused += 1
    assert refused > 1.5 * len(packed)


def test_idx_decompression_bomb_stays_small(tmp_path: Path) -> None:
    file = tmp_path / "bomb.gz"
    file.write_bytes(gzip.compress(GOOD + bytes(50_000_000), 1))
    tracemalloc.start()
    with pytest.raises(ValueError, match="received more"):
        _idx.read_idx(file, (3, 4))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


# Data sets of four IDX files


@pytest.fixture
def small_idx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_idx, "TRAIN", 6)
    monkeypatch.setattr(_idx, "TEST", 4)


def write_mnist(folder: Path, pixel: int = 1, packed: bool = True) -> None:
    folder.mkdir(parents=True)
    for name, count in zip(_idx.NAMES, (6, 6, 4, 4), strict=True):
        shape = (count, 28, 28) if "images" in name else (count,)
        content = idx_bytes(np.full(shape, pixel, np.uint8))
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


@pytest.mark.parametrize("module", [mnist, fashion_mnist])
@pytest.mark.parametrize("packed", [True, False])
def test_idx_sets_load_from_a_users_folder(
    tmp_path: Path, small_idx: None, module: ModuleType, packed: bool
) -> None:
    write_mnist(tmp_path / "mine", pixel=7, packed=packed)
    (x_train, y_train), (x_test, y_test) = module.load_data(path=str(tmp_path / "mine"))
    assert [a.shape for a in (x_train, y_train, x_test, y_test)] == [
        (6, 28, 28),
        (6,),
        (4, 28, 28),
        (4,),
    ]
    assert all((a == 7).all() and a.dtype == np.uint8 for a in (x_train, y_train, x_test, y_test))


def test_idx_sets_refuse_labels_beyond_their_classes(tmp_path: Path, small_idx: None) -> None:
    write_mnist(tmp_path / "mine", pixel=10)
    with pytest.raises(ValueError, match=r"train-labels.* labels below 10, received a label 10"):
        mnist.load_data(tmp_path / "mine")


def test_idx_sets_refuse_another_content_of_the_published_size(
    tmp_path: Path, small_idx: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No format can tell a changed pixel, and a label may be wrong in its range."""
    write_mnist(tmp_path / "mine", packed=False)
    files = [tmp_path / "mine" / name for name in _idx.NAMES]
    monkeypatch.setattr(_idx, "_PUBLISHED", (6, 6, 4, 4))
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    published = [_files.Published(f.name, 0, "", d) for f, d in zip(files, digests, strict=True)]
    source = _files.Source("mnist", "MNIST", tuple(published), ())
    assert len(_idx.read_all(files, source)[0][0]) == 6
    for file in files:
        content = file.read_bytes()
        file.write_bytes(content[:-1] + b"\2")
        with pytest.raises(ValueError, match=f"{file.name}: expected content of SHA-256"):
            _idx.read_all(files, source)
        file.write_bytes(content)


def test_digests_are_given_for_every_file_and_are_all_different() -> None:
    known = [f.content for m in (mnist, fashion_mnist) for f in m.SOURCE.files]
    assert [len(d) for d in known] == [64] * 8 and len(set(known)) == 8
    assert [len(d) for d in cifar10._DIGESTS] == [32] * 6 and len(set(cifar10._DIGESTS)) == 6


@needs_debian
def test_real_fashion_mnist_loads_from_the_debian_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files, "system_folders", lambda: (DEBIAN.parent,))
    (x_train, y_train), (x_test, y_test) = datasets.load("fashion_mnist")
    assert (x_train.shape, x_test.shape) == ((60000, 28, 28), (10000, 28, 28))
    assert y_train[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    assert y_test[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    assert np.bincount(y_train).tolist() == [6000] * 10
    assert fashion_mnist.CLASSES[y_train[0]] == "Ankle boot"


@needs_debian
def test_pinned_digests_are_those_of_the_debian_files_with_their_first_headers() -> None:
    # Debian strips name and time from the gzip headers, and changes nothing else.
    times = {"train": 1504176606, "t10k": 1504176627}
    for file in fashion_mnist.SOURCE.files:
        packed = (DEBIAN / file.name).read_bytes()
        time = struct.pack("<I", times[file.name.split("-")[0]])
        name = file.name.removesuffix(".gz").encode() + b"\0"
        assert hashlib.sha256(gzip.decompress(packed)).hexdigest() == file.content
        original = b"\x1f\x8b\x08\x08" + time + b"\0\3" + name + packed[10:]
        assert len(original) == file.size
        assert hashlib.sha256(original).hexdigest() == file.sha256


# Where the files are looked for


def test_search_order_is_path_then_cache_then_system(tmp_path: Path, small_idx: None) -> None:
    write_mnist(tmp_path / "system" / "fashion-mnist", pixel=3)
    assert fashion_mnist.load_data()[0][0].max() == 3
    write_mnist(tmp_path / "cache" / "fashion_mnist", pixel=2)
    assert fashion_mnist.load_data()[0][0].max() == 2
    write_mnist(tmp_path / "mine", pixel=1)
    assert fashion_mnist.load_data(tmp_path / "mine")[0][0].max() == 1


def test_an_incomplete_folder_is_passed_over(tmp_path: Path, small_idx: None) -> None:
    write_mnist(tmp_path / "cache" / "mnist", pixel=2)
    (tmp_path / "cache" / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    write_mnist(tmp_path / "system" / "mnist", pixel=3)
    assert mnist.load_data()[0][0].max() == 3


def test_a_path_without_the_files_is_said_aloud(tmp_path: Path, small_idx: None) -> None:
    write_mnist(tmp_path / "cache" / "mnist", pixel=2)
    with pytest.warns(UserWarning, match="typo lacks the files of MNIST: took those in") as said:
        mnist.load_data(tmp_path / "typo")
    assert said[0].filename == __file__


@pytest.mark.parametrize("module", [mnist, fashion_mnist, cifar10])
def test_not_found_lists_every_place_and_how_to_supply_the_files(
    tmp_path: Path, module: ModuleType
) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileNotFoundError) as error:
        module.load_data(tmp_path / "mine")
    text, source = str(error.value), module.SOURCE
    assert f"{tmp_path / 'mine'}: lacks the files" in text
    assert f"{tmp_path / 'cache' / source.name}: not there" in text
    assert f"{tmp_path / 'system' / source.name.replace('_', '-')}: not there" in text
    for mirror in source.mirrors:
        assert f"{mirror}{source.files[0].name}: no network in tests" in text
    assert all(file.name in text for file in source.files)
    assert "load_data(path=folder)" in text
    assert "GRADTAPE_DATA" in text


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", "", ".cache/gradtape"),
        ("linux", "XDG_CACHE_HOME", "set/gradtape"),
        ("darwin", "", "Library/Caches/gradtape"),
        ("win32", "", "AppData/Local/gradtape"),
        ("win32", "LOCALAPPDATA", "set/gradtape"),
        ("linux", "GRADTAPE_DATA", "set"),
    ],
)
def test_cache_folder_of_each_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, variable: str, expected: str
) -> None:
    for name in ("GRADTAPE_DATA", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "set"))
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert _files.cache_folder() == tmp_path / expected


# The package


@pytest.mark.parametrize("module", [mnist, fashion_mnist, cifar10])
def test_sources_are_pinned_and_https(module: ModuleType) -> None:
    assert all(mirror.startswith("https://") for mirror in module.SOURCE.mirrors)
    assert all(len(bytes.fromhex(file.sha256)) == 32 for file in module.SOURCE.files)
    assert len({file.sha256 for file in module.SOURCE.files}) == len(module.SOURCE.files)


def test_load_finds_a_set_by_name() -> None:
    np.testing.assert_array_equal(
        datasets.load("mnist_sample")[1][1], mnist_sample.load_data()[1][1]
    )


@pytest.mark.parametrize("name", ["minst", "MNIST", ["mnist"]])
def test_load_refuses_an_unknown_name_with_its_near_match(name: Any) -> None:
    with pytest.raises(ValueError, match=r"Unknown data set .* Did you mean .*'mnist'"):
        datasets.load(name)


def test_class_names_index_the_labels() -> None:
    assert all(len(m.CLASSES) == 10 for m in (mnist, mnist_sample, fashion_mnist, cifar10))
    assert (mnist.CLASSES[7], fashion_mnist.CLASSES[9], cifar10.CLASSES[9]) == (
        "7",
        "Ankle boot",
        "truck",
    )


def test_import_loads_nothing_for_downloads_or_archives() -> None:
    heavy = {"http.client", "ssl", "tarfile", "tqdm", "urllib.request"}
    code = f"import sys, gradtape.datasets; print(sorted({heavy!r} & set(sys.modules)))"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == "[]"
