"""CIFAR-10: archives and loose files, and what is refused of them."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from gradtape.datasets import _files, cifar10


@pytest.fixture
def small_cifar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "_PER_FILE", 2)


def cifar_files() -> dict[str, bytes]:
    """Six files of two records: file i has label i, red i, green 10 + i, blue 20 + i."""
    planes = [np.full((2, 1024), start, np.uint8) for start in (0, 10, 20)]
    records = np.hstack([np.zeros((2, 1), np.uint8), *planes])
    records[:, 1 + 3] = 200  # red, at row 0, column 3
    return {name: (records + np.uint8(i)).tobytes() for i, name in enumerate(cifar10._FILES)}


def tar_gz(members: Sequence[tuple[tarfile.TarInfo | str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
        for info, content in members:
            info = tarfile.TarInfo(info) if isinstance(info, str) else info
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def cifar_members() -> list[tuple[tarfile.TarInfo | str, bytes]]:
    files = [(f"cifar-10-batches-bin/{name}", data) for name, data in cifar_files().items()]
    return [*reversed(files), ("cifar-10-batches-bin/readme.html", b"hello")]


def assert_cifar(data: _files.DataSet) -> None:
    (x_train, y_train), (x_test, y_test) = data
    assert (x_train.shape, x_test.shape) == ((10, 32, 32, 3), (2, 32, 32, 3))
    assert y_train.tolist() == [[0], [0], [1], [1], [2], [2], [3], [3], [4], [4]]
    assert y_test.tolist() == [[5], [5]]
    assert x_train[2, 1, 2].tolist() == [1, 11, 21]
    assert x_test[1, 0, 3].tolist() == [205, 15, 25]
    assert x_train.dtype == y_train.dtype == np.uint8


@pytest.mark.parametrize("layout", ["archive", "folder of archive", "loose", "unpacked"])
def test_cifar_loads_from_an_archive_or_loose_files(
    tmp_path: Path, small_cifar: None, layout: str
) -> None:
    place, bins = tmp_path / "mine", tmp_path / "mine"
    place.mkdir()
    if "archive" in layout:
        (place / "cifar-10-binary.tar.gz").write_bytes(tar_gz(cifar_members()))
        if layout == "archive":
            place /= "cifar-10-binary.tar.gz"
    else:
        if layout == "unpacked":
            bins = place / "cifar-10-batches-bin"
            bins.mkdir()
        for name, content in cifar_files().items():
            (bins / name).write_bytes(content)
    before = sorted(tmp_path.rglob("*"))
    assert_cifar(cifar10.load_data(path=place))
    assert sorted(tmp_path.rglob("*")) == before


def test_cifar_has_keras_shapes_and_the_published_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in cifar10._FILES:
        with open(tmp_path / name, "wb") as file:
            file.truncate(30_730_000)
    with pytest.raises(ValueError, match=r"expected data_batch_1.bin of MD5 5dd7"):
        cifar10.load_data(tmp_path)
    zeros = hashlib.md5(bytes(30_730_000), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(cifar10, "_DIGESTS", (zeros,) * 6)
    (x_train, y_train), (x_test, y_test) = cifar10.load_data(tmp_path)
    assert (x_train.shape, y_train.shape) == ((50000, 32, 32, 3), (50000, 1))
    assert (x_test.shape, y_test.shape) == ((10000, 32, 32, 3), (10000, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:-1], "expected 6146 bytes of data_batch_3.bin, received 6145"),
        (lambda content: content + b"\0", "expected 6146 bytes of data_batch_3.bin, received more"),
        (lambda content: b"\x0a" + content[1:], "labels below 10 in data_batch_3.bin"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_cifar_refuses_damaged_files(
    tmp_path: Path, small_cifar: None, change: Callable, message: str, packed: bool
) -> None:
    files = cifar_files()
    files["data_batch_3.bin"] = change(files["data_batch_3.bin"])
    if packed:
        members = [(f"cifar-10-batches-bin/{name}", data) for name, data in files.items()]
        (tmp_path / "cifar-10-binary.tar.gz").write_bytes(tar_gz(members))
    else:
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        cifar10.load_data(tmp_path)


def hostile(name: str, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


INSIDE = "cifar-10-batches-bin/data_batch_1.bin"


@pytest.mark.parametrize(
    "entry",
    [
        hostile(f"../{INSIDE}"),
        hostile(f"/{INSIDE}"),
        hostile(f"cifar-10-batches-bin/../{INSIDE}"),
        hostile(INSIDE, type=tarfile.SYMTYPE, linkname="/etc/hostname"),
        hostile(INSIDE, type=tarfile.LNKTYPE, linkname="cifar-10-batches-bin/data_batch_2.bin"),
        hostile(INSIDE, type=tarfile.DIRTYPE),
        hostile(INSIDE, type=tarfile.FIFOTYPE),
        hostile(INSIDE, type=tarfile.GNUTYPE_SPARSE),
    ],
    ids=["parent", "absolute", "dots", "symlink", "hardlink", "folder", "fifo", "sparse"],
)
def test_cifar_takes_nothing_from_hostile_entries(
    tmp_path: Path, small_cifar: None, entry: tarfile.TarInfo
) -> None:
    archive = tmp_path / "cifar.tar.gz"
    content = cifar_files()["data_batch_1.bin"] if entry.isreg() else b""
    others = [member for member in cifar_members() if member[0] != INSIDE]
    archive.write_bytes(tar_gz([(entry, content), *others]))
    with pytest.raises(ValueError, match=f"expected 6 files, received no {INSIDE}"):
        cifar10.load_data(archive)
    assert list(tmp_path.iterdir()) == [archive]


def test_cifar_decompression_bomb_is_refused(tmp_path: Path, small_cifar: None) -> None:
    archive = tmp_path / "bomb.tar.gz"
    archive.write_bytes(tar_gz([("cifar-10-batches-bin/huge", bytes(20_000_000))]))
    with pytest.raises(ValueError, match=r"bomb\.tar\.gz: expected at most \d+ bytes"):
        cifar10.load_data(archive)


def test_cifar_damage_to_an_archive_is_never_silent(tmp_path: Path, small_cifar: None) -> None:
    packed, archive = tar_gz(cifar_members()), tmp_path / "cifar.tar.gz"
    for position in range(10, len(packed), 29):
        flipped = bytes([packed[position] ^ 0xFF])
        for damaged in (packed[:position], packed[:position] + flipped + packed[position + 1 :]):
            archive.write_bytes(damaged)
            with pytest.raises(ValueError, match=r"cifar\.tar\.gz"):
                cifar10.load_data(archive)


def test_cifar_skips_no_size_that_nothing_has(tmp_path: Path, small_cifar: None) -> None:
    """Skipping over 10^15 bytes that are not there takes days."""
    info = tarfile.TarInfo("cifar-10-batches-bin/readme.html")
    info.pax_headers = {"size": str(10**15)}
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(tar_gz([(info, b"x"), *cifar_members()]))
    with pytest.raises(ValueError, match="bytes of content, received more"):
        cifar10.load_data(tmp_path)
