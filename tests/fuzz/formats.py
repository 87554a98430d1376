"""The formats that gradtape reads: an honest file of each, its mutants, and how it is read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

import gradtape as gt

from .mutation import (
    Member,
    Random,
    changed_bytes,
    members_of,
    mutated_npy,
    mutated_tree,
    mutated_zip,
    text_of,
)

X = np.linspace(-1, 1, 4 * 6 * 6).reshape(4, 6, 6, 1).astype(np.float32)
Y = np.array([0, 1, 2, 0])


#: How files of other formats begin.
STARTS = (
    b"", b"\x89HDF\r\n\x1a\n", b"PK\5\6" + bytes(18), b"\x80\x04cos\nsystem\n", b"GGUF",
    b"\x1f\x8b" + bytes(20), b"\x93NUMPY\x01\0", b"\x08\x08\x12\x07pytorch",
)  # fmt: skip


class Format:
    """A format: an honest file in a folder, mutants of it, and what reading one returns.

    Attributes:
        file: that is changed, in `folder`.
        errors: what may be raised.
        allowed: audit events that reading it may cause.
    """

    errors: tuple[type[BaseException], ...] = (ValueError, TypeError, OSError)
    allowed: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.file = self.make()
        self.good = self.file.read_bytes()
        self.content = self.read()

    def make(self) -> Path:
        """Write the honest file."""
        raise TypeError(f"{type(self).__name__} must define make()")

    def read(self) -> Any:
        """Read the file; returns its content, as something that can be compared."""
        raise TypeError(f"{type(self).__name__} must define read()")

    def crafted(self, rng: Random) -> bytes:
        """A mutant by the grammar, with right checksums where an attacker would have them right."""
        return changed_bytes(rng, self.good)

    def untouched(self) -> bool:
        """Whether a refused file has changed nothing."""
        return True

    def mutant(self, rng: Random) -> tuple[bool, int]:
        """Put a mutant in the place of the file.

        Returns:
            Whether a reader must notice any change of the content, and the bytes of the file.
        """
        self.clear()
        kind = rng.randrange(24)
        if kind == 0:
            return True, self._odd_file(rng)
        damage = kind < 8
        data = changed_bytes(rng, self.good) if damage else self.crafted(rng)
        self.file.write_bytes(data)
        return damage, len(data)

    def clear(self) -> None:
        """Remove the last mutant, whatever it is."""
        if self.file.is_dir() and not self.file.is_symlink():
            shutil.rmtree(self.file)
        else:
            self.file.unlink(missing_ok=True)

    def _odd_file(self, rng: Random) -> int:
        """Something in the place of the file that is no regular file, or no file of this format."""
        kind = rng.randrange(8)
        if kind == 0:
            self.file.mkdir()
        elif kind == 1:
            os.mkfifo(self.file)
        elif kind == 2:
            self.file.symlink_to(
                rng.choice(("/dev/zero", "/etc/passwd", "/nowhere", self.file.name))
            )
        elif kind == 3:
            with open(self.file, "wb") as file:
                file.write(self.good[: rng.randrange(len(self.good))])
                file.truncate(rng.choice((10**9, 10**12)))  # sparse: it takes no disk
        else:
            self.file.write_bytes(rng.choice(STARTS) + rng.randbytes(rng.choice((0, 10, 5000))))
        return 0


def digest_of(arrays: dict[str, np.ndarray]) -> str:
    """A digest of named arrays."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode(errors="replace"))
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


class Archive(Format):
    """What `gradtape.saving.archive` writes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.members = members_of(self.good)

    def crafted(self, rng: Random) -> bytes:
        return mutated_zip(rng, self._chosen(rng), inner_mutant)

    def _chosen(self, rng: Random) -> list[Member]:
        if rng.randrange(3):  # the configuration is where most of the grammar is
            config = next(m for m in self.members if m.name == b"config.json")
            others = [m for m in self.members if m is not config]
            tree = mutated_tree(rng, json.loads(config.data))
            return [Member(config.name, text_of(rng, tree)), *others]
        return self.members


def inner_mutant(rng: Random, member: Member) -> bytes:
    if member.name.endswith(b".npy"):
        return mutated_npy(rng, member.data)
    try:
        return text_of(rng, mutated_tree(rng, json.loads(member.data)))
    except (ValueError, RecursionError):
        return changed_bytes(rng, member.data)


def convolutional(name: str = "net") -> gt.Model:
    """A small net of the common layers, compiled with metrics that hold arrays."""
    model = gt.Sequential(
        [
            gt.Input((6, 6, 1)),
            gt.layers.Conv2D(2, 3, activation="relu", kernel_regularizer="l2"),
            gt.layers.BatchNormalization(),
            gt.layers.MaxPooling2D(2),
            gt.layers.Flatten(),
            gt.layers.Dropout(0.3),
            gt.layers.Dense(3, activation="softmax"),
        ],
        name=name,
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def branching() -> gt.Model:
    """A functional net with ops, shared layers, arrays among the arguments, and a nested model."""
    a = gt.Input((6, 6, 1), name="a")
    h = gt.layers.Conv2D(2, 3, padding="same", name="shared")(a)
    inner = gt.Sequential([gt.Input((6, 6, 2)), gt.layers.Conv2D(2, 1), gt.layers.ReLU()])
    h = gt.layers.Add()([inner(h), gt.ops.tanh(h) * np.float32(0.5)])
    h = gt.ops.reshape(gt.layers.AveragePooling2D(2)(h), (-1, 18))
    model = gt.Model(a, {"y": gt.layers.Dense(3, name="y")(h), "z": gt.layers.Dense(2)(h[:, 2:])})
    rate = gt.optimizers.schedules.CosineDecay(0.1, 100)
    model.compile(
        gt.optimizers.SGD(rate, momentum=0.9), loss={"y": gt.losses.MeanSquaredError(), "z": "mae"},
        metrics={"y": [gt.metrics.AUC(num_thresholds=20)], "z": [gt.metrics.MeanIoU(2)]},
    )  # fmt: skip
    return model


class ModelFile(Archive):
    """Files of `Model.save`."""

    def make(self) -> Path:
        gt.utils.set_random_seed(1)
        self.models = [convolutional(), branching()]
        self.models[0].fit(X, Y, verbose=0)
        self.models[1].save(self.folder / "other.npz")
        self.models[0].save(self.folder / "net.npz")
        return self.folder / "net.npz"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._sets = [self.members, members_of((folder / "other.npz").read_bytes())]

    def crafted(self, rng: Random) -> bytes:
        self.members = rng.choice(self._sets)
        return super().crafted(rng)

    def read(self) -> Any:
        model = gt.load_model(self.file)
        arrays = {k: v.numpy() for k, v in model.named_variables().items()}
        if model.optimizer is not None:
            arrays |= model.optimizer.get_state()
        return digest_of(arrays), repr(gt.saving.serialize(model))


class Weights(Archive):
    """Files of `Model.save_weights`, into a model that must stay as it is if they are refused."""

    def make(self) -> Path:
        gt.utils.set_random_seed(2)
        self.model = convolutional()
        self.model.save_weights(self.folder / "net.npz")
        self.before = self._weights()
        return self.folder / "net.npz"

    def _weights(self) -> str:
        return digest_of({k: v.numpy() for k, v in self.model.named_variables().items()})

    def read(self) -> Any:
        self.model.load_weights(self.file)
        found, self.before = self._weights(), self._weights()
        return found

    def untouched(self) -> bool:
        return self._weights() == self.before


class _Reached(Exception):
    """The training would begin now."""


class _Stop(gt.callbacks.Callback):
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        raise _Reached


class Backup(Archive):
    """Backups of `BackupAndRestore`, into a training that stays as it is if they are refused."""

    def make(self) -> Path:
        gt.utils.set_random_seed(3)
        self.model = convolutional()
        self.fresh = convolutional()
        self.model.set_weights(self.fresh.get_weights())
        keep = gt.callbacks.BackupAndRestore(
            self.folder / "backup", save_freq=3, delete_checkpoint=False
        )
        stop = gt.callbacks.EarlyStopping("loss", patience=5)
        self.model.fit(X, Y, batch_size=1, epochs=2, verbose=0, callbacks=[keep, stop])
        self.before = self._state(self.fresh)
        return self.folder / "backup" / "latest.npz"

    def _state(self, model: Any) -> str:
        arrays = {k: v.numpy() for k, v in model.named_variables().items()}
        return digest_of({**arrays, **model.optimizer.get_state()})

    def read(self) -> Any:
        callbacks = [
            gt.callbacks.BackupAndRestore(
                self.file.parent, save_freq=10**9, delete_checkpoint=False
            ),
            gt.callbacks.EarlyStopping("loss", patience=5),
            _Stop(),
        ]
        with contextlib.suppress(_Reached):
            self.fresh.fit(X, Y, batch_size=1, epochs=2, verbose=0, callbacks=callbacks)
        found = self.before = self._state(self.fresh)
        return found

    def untouched(self) -> bool:
        return self._state(self.fresh) == self.before
