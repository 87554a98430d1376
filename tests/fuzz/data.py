"""Formats of runs, data sets and compiled kernels; and all formats by name."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib
import io
import json
import os
import shutil
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gradtape as gt
from gradtape.cli import evaluate, record
from gradtape.cli.usage import UsageError

from .formats import (
    Backup,
    Format,
    ModelFile,
    Weights,
    X,
    Y,
    convolutional,
    digest_of,
    inner_mutant,
)
from .mutation import (
    Random,
    changed_bytes,
    members_of,
    mutated_tree,
    mutated_zip,
    text_of,
)


class Recipe(Format):
    """The folder of a run, as `gradtape evaluate` reads it."""

    errors = (UsageError,)

    def make(self) -> Path:
        model = convolutional()
        model.save(self.folder / record.MODEL)
        options = {
            "net": "lenet5", "data": "mnist_sample", "epochs": 2, "batch_size": 32,
            "optimizer": "adam", "learning_rate": 0.002, "momentum": 0.0, "weight_decay": 0.0,
            "schedule": "cosine", "augment": ["shift"], "validation_split": 0.0, "seed": 0,
            "limit": None,
        }  # fmt: skip
        record.write_recipe(self.folder, ["gradtape", "train", "lenet5"], options)
        images = ((X[..., 0] + 1) * 127).astype(np.uint8)
        small = (images, Y.astype(np.uint8))
        gt.datasets.load = _only("mnist_sample", (small, small))  # type: ignore[assignment]
        self.arguments = importlib.import_module("argparse").Namespace(
            folder=self.folder, data=None, limit=None
        )
        return self.folder / record.RECIPE

    def read(self) -> Any:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            evaluate.run(self.arguments)
        return said.getvalue().partition(":")[2]

    def crafted(self, rng: Random) -> bytes:
        return text_of(rng, mutated_tree(rng, json.loads(self.good)))

    def mutant(self, rng: Random) -> tuple[bool, int]:
        return False, super().mutant(rng)[1]  # plain text has no checksum


def _only(known: str, data: Any) -> Callable[[str], Any]:
    def load(name: str) -> Any:
        if not isinstance(name, str) or name != known:
            raise ValueError(f"Unknown data set {name!r}")
        return data

    return load


def isolate(folder: Path) -> None:
    """Let no data set be found elsewhere."""
    download = importlib.import_module("gradtape.datasets._download")
    download.download_missing = lambda source, cache: ["no network in a fuzzer"]
    importlib.import_module("gradtape.datasets._files").system_folders = lambda: ()
    os.environ["GRADTAPE_DATA"] = str(folder / "nothing")


class Idx(Format):
    """The four plain files of MNIST, of six and four images."""

    suffix = ""

    def make(self) -> Path:
        idx = importlib.import_module("gradtape.datasets._idx")
        files = importlib.import_module("gradtape.datasets._files")
        isolate(self.folder)
        idx.TRAIN, idx.TEST, idx._PUBLISHED = 6, 4, (6, 6, 4, 4)
        rng = np.random.default_rng(0)
        published = []
        for name, count in zip(idx.NAMES, idx._PUBLISHED, strict=True):
            shape = (count, 28, 28) if "images" in name else (count,)
            values = rng.integers(0, 256 if "images" in name else 10, shape, np.uint8)
            head = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
            content = head + values.tobytes()
            published.append(files.Published(name, 0, "", hashlib.sha256(content).hexdigest()))
            (self.folder / (name + self.suffix)).write_bytes(self.packed(content))
        gt.datasets.mnist.SOURCE = files.Source("mnist", "MNIST", tuple(published), ())
        self.files = [self.folder / (name + self.suffix) for name in idx.NAMES]
        self.goods = [file.read_bytes() for file in self.files]
        return self.files[0]

    def packed(self, content: bytes) -> bytes:
        return content

    def read(self) -> Any:
        (a, b), (c, d) = gt.datasets.mnist.load_data(self.folder)
        return digest_of(dict(zip("abcd", (a, b, c, d), strict=True)))

    def crafted(self, rng: Random) -> bytes:
        data = bytearray(self.good)
        kind = rng.randrange(5)
        if kind == 0:
            data[2] = rng.choice((0, 9, 11, 12, 13, 14, 255))
        elif kind == 1:
            data[3] = rng.choice((0, 1, 2, 4, 255))
        elif kind == 2:
            at = 4 * rng.randrange(1, 1 + data[3])
            data[at : at + 4] = rng.choice((0, 1, 5, 7, 2**31, 2**32 - 1)).to_bytes(4, "big")
        elif kind == 3:
            data[rng.randrange(16, len(data)) if len(data) > 16 else -1] = rng.randrange(256)
        else:
            return bytes(data) + bytes(rng.choice((1, 100, 10**6)))
        return self.packed(bytes(data))

    def mutant(self, rng: Random) -> tuple[bool, int]:
        self.clear()
        self.file.write_bytes(self.good)
        at = rng.randrange(4)
        self.file, self.good = self.files[at], self.goods[at]
        return True, super().mutant(rng)[1] + 8192


KINDS = (
    tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE,
    tarfile.GNUTYPE_SPARSE, b"Z",
)  # fmt: skip


class Cifar(Format):
    """The archive of CIFAR-10, of two images a file, and the files in it."""

    def make(self) -> Path:
        isolate(self.folder)
        cifar = importlib.import_module("gradtape.datasets.cifar10")
        rng = np.random.default_rng(1)
        cifar._PER_FILE = cifar._PUBLISHED = 2
        contents = []
        for _ in range(6):
            records = rng.integers(0, 256, (2, 3073), np.uint8)
            records[:, 0] %= 10
            contents.append(records.tobytes())
        cifar._DIGESTS = tuple(hashlib.md5(c, usedforsecurity=False).hexdigest() for c in contents)
        self.entries = [
            (f"cifar-10-batches-bin/{name}", content)
            for name, content in zip(cifar._FILES, contents, strict=True)
        ]
        path = self.folder / "cifar-10-binary.tar.gz"
        path.write_bytes(_tar([(tarfile.TarInfo(n), c) for n, c in self.entries]))
        return path

    def read(self) -> Any:
        (a, b), (c, d) = gt.datasets.cifar10.load_data(self.file)
        return digest_of(dict(zip("abcd", (a, b, c, d), strict=True)))

    def crafted(self, rng: Random) -> bytes:
        entries = [(tarfile.TarInfo(name), content) for name, content in self.entries]
        at = rng.randrange(len(entries))
        info, content = entries[at]
        kind = rng.randrange(8)
        if kind == 0:
            info.name = rng.choice(
                ("../../x", "/etc/passwd", "", "a" * 5000, "x\0y", info.name + "/")
            )
        elif kind == 1:
            info.type = rng.choice(KINDS)
            info.linkname = "/etc/passwd"
        elif kind == 2:
            content = changed_bytes(rng, content)
        elif kind == 3:
            entries += entries[at : at + 1] * rng.choice((1, 100))
        elif kind == 4:
            del entries[at]
            return _tar(entries)
        elif kind == 5:
            content = bytes(rng.choice((0, 1, 10**7)))
        elif kind == 6:
            info.pax_headers = {
                "GNU.sparse.realsize": "10" * 9,
                "size": str(10**15),
                "path": "../x",
            }
        else:
            return gzip.compress(changed_bytes(rng, gzip.decompress(self.good)), 1)
        entries[at] = (info, content)
        return _tar(entries)


def _tar(entries: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
        for info, content in entries:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


class Digits(Format):
    """The digits that come with the package."""

    allowed = ("exec",)  # NumPy reads the headers of a file whose digest is right

    def make(self) -> Path:
        sample = importlib.import_module("gradtape.datasets.mnist_sample")
        path = self.folder / "mnist_sample.npz"
        shutil.copyfile(sample._FILE, path)
        sample._FILE = path
        return path

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.members = members_of(self.good)

    def read(self) -> Any:
        (a, b), (c, d) = gt.datasets.mnist_sample.load_data()
        return digest_of(dict(zip("abcd", (a, b, c, d), strict=True)))

    def crafted(self, rng: Random) -> bytes:
        return mutated_zip(rng, self.members[2:], inner_mutant)

    def mutant(self, rng: Random) -> tuple[bool, int]:
        return True, super().mutant(rng)[1]


class Kernels(Format):
    """Entries of the cache of compiled kernels; nothing of a mutant is ever linked."""

    def make(self) -> Path:
        os.environ["NUMBA_CACHE_DIR"] = str(self.folder)
        native = importlib.import_module("gradtape.kernels.native")
        self.objects = importlib.import_module("gradtape.kernels.objects")
        pointwise = importlib.import_module("gradtape.kernels.pointwise")
        kernel = next(v for v in vars(pointwise).values() if isinstance(v, native.Kernel))
        native.Kernel(kernel.function, kernel.name).address  # noqa: B018
        self.objects._link = lambda symbol, code: hash((symbol, code)) or 1
        file = next(p for p in sorted(self.folder.rglob(f"{kernel.name}-*")) if p.is_file())
        self.key = file.name
        self.compiler = native._COMPILER
        return file

    def read(self) -> Any:
        found = self.objects.load(self.key, self.compiler)
        if found is None:
            raise ValueError("not trusted")
        return found

    def crafted(self, rng: Random) -> bytes:
        start = len(self.objects._MAGIC) + self.objects._DIGEST
        body = changed_bytes(rng, self.good[start:])
        return self.objects._MAGIC + hashlib.sha256(body).digest() + body

    def mutant(self, rng: Random) -> tuple[bool, int]:
        damage, size = super().mutant(rng)
        if self.file.is_file() and not self.file.is_symlink():
            self.file.chmod(0o600)
        return damage, size


FORMATS: dict[str, type[Format]] = {
    "model": ModelFile, "weights": Weights, "backup": Backup, "recipe": Recipe, "idx": Idx,
    "cifar": Cifar, "digits": Digits, "kernels": Kernels,
}  # fmt: skip
