"""Callbacks that write files: checkpoints, logs and event files."""

from __future__ import annotations

import csv
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.callbacks.events import EventFile, crc32c

RNG = np.random.default_rng(3)
X = RNG.normal(size=(30, 3)).astype(np.float32)
Y = RNG.integers(0, 2, 30)


def model(seed: int = 0, **compiled: Any) -> gt.Sequential:
    gt.utils.set_random_seed(seed)
    dense = gt.layers.Dense
    made = gt.Sequential(
        [gt.Input((3,)), dense(4, activation="tanh"), gt.layers.Dropout(0.3), dense(2)]
    )
    loss = gt.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile(**{"optimizer": "adam", "loss": loss, "metrics": ["accuracy"], **compiled})
    return made


class Scripted(gt.callbacks.Callback):
    """Puts values into the logs, as if training had produced them."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["val_loss"] = self.values[epoch]


# ModelCheckpoint


@pytest.mark.parametrize(
    ("settings", "saved"),
    [
        ({}, [1, 2, 3, 4]),
        ({"save_best_only": True}, [1, 3]),
        ({"save_best_only": True, "mode": "max"}, [1, 2]),
        ({"save_best_only": True, "initial_value_threshold": 1.5}, [3]),
    ],
)
def test_checkpoints_are_written_when_they_should(
    tmp_path: Path, settings: dict[str, Any], saved: list[int]
) -> None:
    path = tmp_path / "new" / "{epoch:02d}-{val_loss:.1f}.npz"
    values = [2.0, 3.0, 1.0, 1.5]
    checkpoint = gt.callbacks.ModelCheckpoint(path, **settings)
    model().fit(X, Y, epochs=4, verbose=0, callbacks=[Scripted(values), checkpoint])
    names = sorted(p.name for p in (tmp_path / "new").iterdir())
    assert names == [f"{e:02d}-{values[e - 1]:.1f}.npz" for e in saved]


def test_checkpoint_is_the_model_of_that_epoch(tmp_path: Path) -> None:
    whole, weights = tmp_path / "best.npz", tmp_path / "best.weights.npz"
    net = model()
    net.fit(
        X, Y, epochs=2, verbose=0,
        callbacks=[
            gt.callbacks.ModelCheckpoint(whole, verbose=0),
            gt.callbacks.ModelCheckpoint(weights, save_weights_only=True),
        ],
    )  # fmt: skip
    again, other = gt.load_model(whole), model(1)
    other.load_weights(weights)
    for a, b, c in zip(net.get_weights(), again.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    assert again.optimizer.iterations == net.optimizer.iterations  # type: ignore[union-attr]


def test_checkpoints_by_batch_count_over_epochs(tmp_path: Path) -> None:
    checkpoint = gt.callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}.gt", save_freq=4)
    model().fit(X, Y, 5, epochs=2, verbose=0, callbacks=[checkpoint])  # 6 batches an epoch
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1-4.gt", "2-2.gt", "2-6.gt"]


def test_checkpoint_says_what_is_missing(tmp_path: Path) -> None:
    net = model()
    named = gt.callbacks.ModelCheckpoint(tmp_path / "{val_beauty}.gt")
    with pytest.raises(KeyError, match=r"no 'val_beauty'. Known: epoch, loss, accuracy"):
        net.fit(X, Y, verbose=0, callbacks=[named])
    best = gt.callbacks.ModelCheckpoint(tmp_path / "a.gt", save_best_only=True)
    with pytest.warns(UserWarning, match="'val_loss', but the logs hold only loss, accuracy"):
        net.fit(X, Y, verbose=0, callbacks=[best])
    assert (tmp_path / "a.gt").exists()
    with pytest.raises(ValueError, match="received 'day'"):
        gt.callbacks.ModelCheckpoint("a", save_freq="day")


# CSVLogger


def test_csv_holds_an_epoch_a_row_and_may_go_on(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    net = model()
    history = net.fit(X, Y, epochs=2, verbose=0, callbacks=[gt.callbacks.CSVLogger(path, ";")])
    net.fit(X, Y, epochs=3, initial_epoch=2, verbose=0,
            callbacks=[gt.callbacks.CSVLogger(path, ";", append=True)])  # fmt: skip
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert [r["epoch"] for r in rows] == ["0", "1", "2"]
    assert [float(r["loss"]) for r in rows[:2]] == history.history["loss"]
    assert list(rows[0]) == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert rows[0]["val_loss"] == "NA"


# TensorBoard


def fields(message: bytes) -> dict[int, list[Any]]:
    """A protocol buffer by field: numbers, and bytes."""
    found: dict[int, list[Any]] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        size = {1: 8, 5: 4}.get(key & 7, -1)
        if size < 0:
            value: Any = varint()
            if key & 7 == 2:
                at, value = at + value, message[at : at + value]
        else:
            (value,) = struct.unpack("<d" if size == 8 else "<f", message[at : at + size])
            at += size
        found.setdefault(key >> 3, []).append(value)
    return found


def events(path: Path) -> list[dict[int, list[Any]]]:
    """The events of a file, whose checksums are verified."""

    def unmasked(stored: bytes) -> int:
        value = (struct.unpack("<I", stored)[0] - 0xA282EAD8) & 0xFFFFFFFF
        return (value >> 17 | value << 15) & 0xFFFFFFFF

    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert unmasked(data[8:12]) == crc32c(data[:8])
        body = data[12 : 12 + length]
        assert unmasked(data[12 + length : 16 + length]) == crc32c(body)
        found.append(fields(body))
        data = data[16 + length :]
    return found


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of every scalar of a run, by tag."""
    (path,) = folder.iterdir()
    assert path.name.startswith("events.out.tfevents.")
    found: dict[str, list[tuple[int, float]]] = {}
    first, *rest = events(path)
    assert first[3] == [b"brain.Event:2"]
    for event in rest:
        value = fields(fields(event[5][0])[1][0])
        if 2 in value:
            found.setdefault(value[1][0].decode(), []).append((event[2][0], value[2][0]))
    return found


def test_checksum_is_crc32c() -> None:
    """The test vectors of RFC 3720, appendix B.4."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_tensorboard_gets_every_scalar(tmp_path: Path) -> None:
    board = gt.callbacks.TensorBoard(tmp_path, update_freq=2, write_steps_per_second=True)
    history = model().fit(
        X, Y, 4, epochs=2, validation_split=0.2, verbose=0, callbacks=[board]
    ).history  # fmt: skip
    train, held_out = scalars(tmp_path / "train"), scalars(tmp_path / "validation")
    for run, names in ((train, ("loss", "accuracy")), (held_out, ("val_loss", "val_accuracy"))):
        for name in names:
            values = [(e, pytest.approx(v, rel=1e-6)) for e, v in enumerate(history[name])]
            assert run[f"epoch_{name.removeprefix('val_')}"] == values
    assert train["epoch_learning_rate"] == [(e, pytest.approx(1e-3)) for e in (0, 1)]
    assert [step for step, _ in train["batch_loss"]] == [0, 2, 4, 6, 8, 10]
    assert [step for step, _ in held_out["evaluation_loss_vs_iterations"]] == [6, 12]
    assert len(train["batch_steps_per_second"]) == 12 and "epoch_steps_per_second" in train


def test_tensorboard_gets_histograms_and_pictures_of_weights(tmp_path: Path) -> None:
    board = gt.callbacks.TensorBoard(tmp_path, histogram_freq=1, write_images=True)
    net = model()
    net.fit(X, Y, verbose=0, callbacks=[board])
    (path,) = (tmp_path / "train").iterdir()
    values = [fields(fields(e[5][0])[1][0]) for e in events(path)[1:]]
    found = {v[1][0].decode(): v for v in values}
    for variable in net.weights:
        histogram = fields(found[f"{variable.path}/histogram"][5][0])
        assert histogram[1] == [variable.data.min()] and histogram[2] == [variable.data.max()]
        assert histogram[3] == [variable.size]
        assert histogram[4][0] == pytest.approx(float(variable.data.sum()), abs=1e-6)
        heights, limits = (np.frombuffer(histogram[i][0], "<f8") for i in (7, 6))
        assert heights.sum() == variable.size and limits[-1] == variable.data.max()
        picture = fields(found[f"{variable.path}/image"][4][0])
        assert picture[4][0].startswith(b"\x89PNG") and picture[2] == [variable.shape[-1]]


def test_histogram_leaves_out_what_is_not_finite(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    file.histogram("a", np.array([1.0, np.nan, 2.0, np.inf]), 3)
    file.histogram("b", np.array([np.nan]), 4)
    file.close()
    first, second = (fields(fields(fields(e[5][0])[1][0])[5][0]) for e in events(file.path)[1:])
    assert first[3] == [2] and second[3] == [0]


def test_tensorboard_refuses_what_it_does_not_write() -> None:
    with pytest.raises(ValueError, match="profile_batch at its default, received 2"):
        gt.callbacks.TensorBoard(profile_batch=2)
    with pytest.raises(ValueError, match="update_freq"):
        gt.callbacks.TensorBoard(update_freq=0)
