"""`BackupAndRestore`: a `fit` that was ended at any moment goes on to the same end."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradtape as gt

RNG = np.random.default_rng(3)
X = RNG.normal(size=(30, 3)).astype(np.float32)
Y = RNG.integers(0, 2, 30)


def model(seed: int = 0, **compiled: Any) -> gt.Sequential:
    gt.utils.clear_session()
    gt.utils.set_random_seed(seed)
    dense = gt.layers.Dense
    made = gt.Sequential(
        [gt.Input((3,)), dense(4, activation="tanh"), gt.layers.Dropout(0.3), dense(2)]
    )
    loss = gt.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile(**{"optimizer": "adam", "loss": loss, "metrics": ["accuracy"], **compiled})
    return made


class Crash(gt.callbacks.Callback):
    def __init__(self, epoch: int, batch: int) -> None:
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == self.at:
            raise RuntimeError("power cut")


def crashed(
    make: Callable[[], gt.Model], folder: Path, at: tuple[int, int], save_freq: Any = "epoch",
    callbacks: Callable[[], list[gt.callbacks.Callback]] = list, **given: Any,
) -> tuple[gt.Model, list[gt.callbacks.Callback]]:  # fmt: skip
    """A model whose `fit` was ended by a crash and called again, and the second's callbacks."""
    given = {"batch_size": 4, "epochs": 4, "verbose": 0, "validation_split": 0.2, **given}
    backup = gt.callbacks.BackupAndRestore(folder, save_freq)
    with pytest.raises(RuntimeError, match="power cut"):
        make().fit(X, Y, **given, callbacks=[backup, *callbacks(), Crash(*at)])
    resumed, again = make(), callbacks()
    resumed.fit(
        X, Y, **given, callbacks=[gt.callbacks.BackupAndRestore(folder, save_freq), *again]
    )  # fmt: skip
    assert not folder.exists()
    return resumed, again


def whole(
    make: Callable[[], gt.Model],
    callbacks: Callable[[], list[gt.callbacks.Callback]] = list,
    **given: Any,
) -> tuple[gt.Model, list[gt.callbacks.Callback]]:
    """The same without a crash."""
    given = {"batch_size": 4, "epochs": 4, "verbose": 0, "validation_split": 0.2, **given}
    net, own = make(), callbacks()
    net.fit(X, Y, **given, callbacks=own)
    return net, own


def assert_same(one: gt.Model, other: gt.Model) -> None:
    """Weights, optimizer, random states and the whole history."""
    assert one.history is not None and other.history is not None
    assert one.history.epoch == other.history.epoch
    assert one.history.history == other.history.history
    for a, b in zip(one.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)
    states = [m.optimizer.get_state() for m in (one, other) if m.optimizer is not None]
    assert states[0].keys() == states[1].keys()
    for key, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][key], err_msg=key)


@pytest.mark.parametrize("steps", [None, 3])
@pytest.mark.parametrize("save_freq", ["epoch", 1, 5])
def test_run_that_crashed_goes_on_with_the_same_numbers(
    tmp_path: Path, save_freq: Any, steps: int | None
) -> None:
    """Order of samples, dropout, optimizer and running means are those of a run without a crash."""
    expected, _ = whole(model, steps_per_epoch=steps)
    seeds = iter((0, 99))  # another seed, other weights: all of it is restored
    resumed, _ = crashed(
        lambda: model(next(seeds)), tmp_path / "backup", (2, 2), save_freq, steps_per_epoch=steps
    )
    assert_same(resumed, expected)


def with_schedule() -> gt.Sequential:
    """A moving average, gradients that accumulate, and a rate that falls."""
    rate = gt.optimizers.schedules.CosineDecay(0.1, 20)
    return model(
        optimizer=gt.optimizers.SGD(
            rate, momentum=0.9, use_ema=True, ema_momentum=0.8, gradient_accumulation_steps=4
        )
    )


@pytest.mark.parametrize(("save_freq", "at"), [("epoch", (3, 0)), (1, (1, 3)), (1, (2, 0))])
def test_averages_accumulation_and_schedules_go_on(
    tmp_path: Path, save_freq: Any, at: tuple[int, int]
) -> None:
    resumed, _ = crashed(with_schedule, tmp_path / "backup", at, save_freq)
    assert_same(resumed, whole(with_schedule)[0])


class CrashAtTheEnd(gt.callbacks.Callback):
    def on_train_end(self, logs: Any = None) -> None:
        raise RuntimeError("power cut")


@pytest.mark.parametrize("save_freq", ["epoch", 3])
def test_crash_after_the_last_epoch_costs_neither_averages_nor_history(
    tmp_path: Path, save_freq: Any
) -> None:
    given: dict[str, Any] = {"batch_size": 4, "epochs": 3, "verbose": 0, "validation_split": 0.2}
    expected, _ = whole(with_schedule, epochs=3)
    for _ in range(2):  # of which the second trains nothing
        backup = gt.callbacks.BackupAndRestore(tmp_path, save_freq)
        resumed = with_schedule()
        with pytest.raises(RuntimeError, match="power cut"):
            resumed.fit(X, Y, **given, callbacks=[backup, CrashAtTheEnd()])
        assert_same(resumed, expected)


class Counter(gt.callbacks.Callback):
    """One of the user's own."""

    remembered = ("batches", "seen")

    def __init__(self) -> None:
        super().__init__()
        self.batches = 0
        self.seen: dict[str, Any] = {"losses": [], "at": None}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches += 1
        self.seen["losses"].append(np.float32(logs["loss"]))
        self.seen["at"] = np.arange(batch)


def _halved(epoch: int, rate: float) -> float:
    return rate / 2


CALLBACKS: dict[str, Callable[[Path], gt.callbacks.Callback]] = {
    "early stopping": lambda _: gt.callbacks.EarlyStopping(
        "loss", patience=2, restore_best_weights=True, mode="max"
    ),
    "stopped early": lambda _: gt.callbacks.EarlyStopping("loss", patience=1, mode="max"),
    "plateau": lambda _: gt.callbacks.ReduceLROnPlateau("loss", patience=2, mode="max", cooldown=1),
    "scheduler": lambda _: gt.callbacks.LearningRateScheduler(_halved),
    "averages": lambda _: gt.callbacks.SwapEMAWeights(),
    "averages between epochs": lambda _: gt.callbacks.SwapEMAWeights(swap_on_epoch=True),
    "finder": lambda _: gt.callbacks.LearningRateFinder(steps=16),
    "best": lambda folder: gt.callbacks.ModelCheckpoint(
        folder / "best.npz", "val_loss", save_best_only=True
    ),
    "every fourth": lambda folder: gt.callbacks.ModelCheckpoint(
        folder / "{epoch}-{batch}.npz", save_freq=4
    ),
    "table": lambda folder: gt.callbacks.CSVLogger(folder / "log.csv"),
    "longer table": lambda folder: gt.callbacks.CSVLogger(folder / "log.csv", append=True),
    "board": lambda folder: gt.callbacks.TensorBoard(folder / "logs", update_freq=1),
    "plot": lambda folder: gt.plot.LivePlot(folder / "curves.png", every=10),
    "own": lambda _: Counter(),
}


@pytest.mark.parametrize("kind", CALLBACKS)
def test_callbacks_go_on_where_they_were(tmp_path: Path, kind: str) -> None:
    """Everything that training changes in them is as without a crash, and so are their files."""

    def net() -> gt.Sequential:
        return model(optimizer=gt.optimizers.Adam(0.01, use_ema="averages" in kind))

    folders = tmp_path / "one", tmp_path / "other"
    for folder in folders:
        folder.mkdir()
    expected, (one,) = whole(net, lambda: [CALLBACKS[kind](folders[0])])
    resumed, (other,) = crashed(
        net, tmp_path / "backup", (2, 2) if kind != "stopped early" else (1, 0), 1,
        lambda: [CALLBACKS[kind](folders[1])],
    )  # fmt: skip
    assert_same(resumed, expected)
    for name, value in vars(one).items():
        if name.endswith("began") or str(tmp_path) in str(value):  # times and places
            continue
        if isinstance(value, (int, float, str, list, dict)):
            np.testing.assert_equal(vars(other)[name], value, err_msg=name)
    files = [{p.name: p for p in folder.iterdir() if p.is_file()} for folder in folders]
    assert files[0].keys() == files[1].keys()
    for name, path in files[0].items():
        assert path.read_bytes() == files[1][name].read_bytes()


def test_a_stop_in_the_middle_of_an_epoch_stays_a_stop(tmp_path: Path) -> None:
    class Enough(gt.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = batch == 2

    class CrashInValidation(gt.callbacks.Callback):
        def on_test_begin(self, logs: Any = None) -> None:
            raise RuntimeError("power cut")

    expected, _ = whole(model, lambda: [Enough()])
    given: dict[str, Any] = {"batch_size": 4, "epochs": 4, "verbose": 0, "validation_split": 0.2}
    backup = gt.callbacks.BackupAndRestore(tmp_path / "backup", 1)
    with pytest.raises(RuntimeError, match="power cut"):
        model().fit(X, Y, **given, callbacks=[backup, Enough(), CrashInValidation()])
    resumed = model()
    backup = gt.callbacks.BackupAndRestore(tmp_path / "backup", 1)
    resumed.fit(X, Y, **given, callbacks=[gt.callbacks.CallbackList([backup]), Enough()])
    assert_same(resumed, expected)


def test_damaged_backup_falls_back_to_the_one_before(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"double_checkpoint": True, "delete_checkpoint": False}
    net = model()
    net.fit(
        X, Y, epochs=3, verbose=0, callbacks=[gt.callbacks.BackupAndRestore(tmp_path, **settings)]
    )
    latest = tmp_path / "latest.npz"
    latest.write_bytes(latest.read_bytes()[:-40])
    again, seen = model(1), []
    watch = gt.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    again.fit(
        X, Y, epochs=3, verbose=0, callbacks=[gt.callbacks.BackupAndRestore(tmp_path), watch]
    )  # fmt: skip
    assert seen == [2]
    assert_same(again, net)


@pytest.mark.parametrize("to", ["nowhere.npz", "latest.npz"])
def test_a_backup_that_is_a_broken_link_is_no_missing_one(tmp_path: Path, to: str) -> None:
    (tmp_path / "latest.npz").symlink_to(to)
    net = model()
    before = [w.copy() for w in net.get_weights()]
    with pytest.raises(OSError, match=r"latest\.npz"):
        net.fit(X, Y, verbose=0, callbacks=[gt.callbacks.BackupAndRestore(tmp_path)])
    assert (tmp_path / "latest.npz").is_symlink()
    assert all(map(np.array_equal, net.get_weights(), before))


def test_data_that_draws_from_numpy_goes_on_where_it_was(tmp_path: Path) -> None:
    class Noisy(gt.utils.PyDataset):
        def __len__(self) -> int:
            return 5

        def __getitem__(self, index: int) -> Any:
            noise = np.random.normal(size=(4, 3)) + random.random()  # noqa: NPY002
            return X[4 * index : 4 * index + 4] + noise, Y[4 * index : 4 * index + 4]

    def generated() -> Iterator[Any]:
        data = Noisy()
        while True:
            for i in range(5):
                yield data[i]

    for make, steps in ((Noisy, None), (generated, 5)):
        found = []
        for at in (None, (1, 3)):
            if at is not None:
                backup = gt.callbacks.BackupAndRestore(tmp_path, 1)
                with pytest.raises(RuntimeError, match="power cut"):
                    model().fit(
                        make(), epochs=3, steps_per_epoch=steps, verbose=0,
                        callbacks=[backup, Crash(*at)],
                    )  # fmt: skip
            net = model()
            backup = gt.callbacks.BackupAndRestore(tmp_path, 1)
            net.fit(make(), epochs=3, steps_per_epoch=steps, verbose=0, callbacks=[backup])
            found.append(net)
        assert_same(*found)


def test_backup_of_another_model_is_refused(tmp_path: Path) -> None:
    keep = gt.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    model().fit(X, Y, verbose=0, callbacks=[keep])
    other = gt.Sequential([gt.Input((3,)), gt.layers.Dense(2)])
    other.compile("adam", gt.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match="no backup of this model"):
        other.fit(X, Y, verbose=0, callbacks=[gt.callbacks.BackupAndRestore(tmp_path)])
    with pytest.raises(ValueError, match="empty backup_dir"):
        gt.callbacks.BackupAndRestore("")


def test_metrics_with_variables_go_on_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    def fresh() -> gt.Sequential:
        gt.utils.set_random_seed(0)
        net = gt.Sequential([gt.Input((3,)), gt.layers.Dense(1, activation="sigmoid")])
        net.compile("sgd", "binary_crossentropy", metrics=[gt.metrics.AUC(name="auc")])
        return net

    expected = fresh().fit(X, Y, 5, verbose=0).history
    with pytest.raises(RuntimeError, match="power cut"):
        backup = gt.callbacks.BackupAndRestore(tmp_path, 2)
        fresh().fit(X, Y, 5, verbose=0, callbacks=[backup, Crash(0, 5)])
    backup = gt.callbacks.BackupAndRestore(tmp_path, 2)
    assert fresh().fit(X, Y, 5, verbose=0, callbacks=[backup]).history == expected
