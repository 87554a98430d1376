"""Callbacks under Keras's names do what Keras's do, epoch by epoch."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradtape as gt

os.environ["KERAS_BACKEND"] = "torch"
import keras

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*(which is not available|waits for):UserWarning"),
]

RNG = np.random.default_rng(2)
X = RNG.normal(size=(40, 4)).astype(np.float32)
Y = (X @ RNG.normal(size=(4, 1)) + RNG.normal(size=(40, 1)) / 2).astype(np.float32)
KERNEL = RNG.normal(size=(4, 1)).astype(np.float32)


def network(kit: Any, **settings: Any) -> Any:
    model = kit.Sequential([kit.Input((4,)), kit.layers.Dense(1)])
    model.set_weights([KERNEL, np.zeros(1, np.float32)])
    jit = {"jit_compile": False} if kit is keras else {}
    optimizer = kit.optimizers.SGD(0.9, **settings)
    model.compile(optimizer=optimizer, loss="mse", metrics=["mae"], **jit)
    return model


def scripted(kit: Any, values: list[float]) -> Any:
    """Puts values into the logs, as if training had produced them."""

    def put(epoch: int, logs: Any) -> None:
        logs["val_loss"] = values[epoch]

    return kit.callbacks.LambdaCallback(on_epoch_end=put)


FALLING = [3.0, 2.0, 2.5, 2.4, 1.0, 1.2, 1.1, 1.05, 0.99, 0.98]
FLAT = [2.0] * 10
CASES: dict[str, tuple[list[float], str, dict[str, Any]]] = {
    f"{name}_{i}": (values, name, given)
    for name, choices in {
        "EarlyStopping": [
            (FALLING, {"patience": 2}),
            (FALLING, {"patience": 1, "restore_best_weights": True}),
            (FALLING, {"patience": 2, "min_delta": 0.05, "restore_best_weights": True}),
            (FALLING, {"baseline": 0.5, "patience": 3, "restore_best_weights": True}),
            (FALLING, {"start_from_epoch": 4, "patience": 2}),
            (FALLING, {"mode": "max", "patience": 2}),
            (FALLING, {"monitor": "missing", "mode": "min"}),
        ],
        "ReduceLROnPlateau": [
            (FLAT, {"patience": 2}),
            (FLAT, {"patience": 1, "cooldown": 2, "factor": 0.5}),
            (FALLING, {"patience": 1, "factor": 0.3, "min_lr": 0.05}),
            (FALLING, {"patience": 1, "min_delta": 0.3}),
            (FALLING, {"patience": 2, "mode": "max"}),
            (FALLING, {"monitor": "missing", "mode": "min"}),
        ],
        "LearningRateScheduler": [
            (FLAT, {"schedule": lambda epoch, rate: rate * 0.8}),
            (FLAT, {"schedule": lambda epoch: 0.1 / (epoch + 1)}),
        ],
    }.items()
    for i, (values, given) in enumerate(choices)
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_history_and_weights_are_those_of_keras(name: str) -> None:
    values, callback, given = CASES[name]
    results = []
    for kit in (gt, keras):
        model = network(kit)
        history = model.fit(
            X, Y, 16, epochs=10, shuffle=False, verbose=0,
            callbacks=[scripted(kit, values), getattr(kit.callbacks, callback)(**given)],
        )  # fmt: skip
        results.append((history.history, model.get_weights()))
    (ours, mine), (theirs, others) = results
    assert ours.keys() == theirs.keys()
    for key, expected in theirs.items():
        np.testing.assert_allclose(ours[key], expected, rtol=2e-5, err_msg=key)
    for a, b in zip(mine, others, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"save_best_only": True},
        {"save_best_only": True, "mode": "max"},
        {"save_best_only": True, "initial_value_threshold": 2.2},
        {"save_freq": 4},
    ],
)
@pytest.mark.parametrize("weights", [False, True])
def test_checkpoints_have_the_names_that_keras_gives(
    tmp_path: Path, settings: dict[str, Any], weights: bool
) -> None:
    names = []
    for kit in (gt, keras):
        folder = tmp_path / kit.__name__
        value = "{loss:.3f}" if "save_freq" in settings else "{val_loss:.2f}"
        batch = "-{batch}" if "save_freq" in settings else ""
        ending = ".npz" if kit is gt else ".weights.h5" if weights else ".keras"
        path = folder / f"{{epoch:02d}}{batch}-{value}{ending}"
        checkpoint = kit.callbacks.ModelCheckpoint(path, save_weights_only=weights, **settings)
        network(kit).fit(
            X, Y, 16, epochs=5, shuffle=False, verbose=0,
            callbacks=[scripted(kit, FALLING), checkpoint],
        )  # fmt: skip
        names.append(sorted(p.name.removesuffix(ending) for p in folder.iterdir()))
    assert names[0] == names[1] and names[0]


def test_csv_files_have_the_same_columns_and_values(tmp_path: Path) -> None:
    tables = []
    for kit in (gt, keras):
        path = tmp_path / f"{kit.__name__}.csv"
        network(kit).fit(X, Y, 16, epochs=3, shuffle=False, verbose=0, validation_split=0.25,
                         callbacks=[kit.callbacks.CSVLogger(path)])  # fmt: skip
        rows = [line.split(",") for line in path.read_text().splitlines()]
        tables.append((rows[0], np.array(rows[1:], float)))
    assert tables[0][0] == tables[1][0]
    np.testing.assert_allclose(tables[0][1], tables[1][1], rtol=2e-5)


@pytest.mark.skipif(
    "use_ema" not in inspect.signature(gt.optimizers.SGD).parameters,
    reason="the optimizers keep no averages",
)
@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_averaged_weights_are_judged_as_in_keras(swap_on_epoch: bool) -> None:
    results = []
    for kit in (gt, keras):
        model = network(kit, use_ema=True, ema_momentum=0.8)
        history = model.fit(
            X, Y, 16, epochs=3, shuffle=False, verbose=0, validation_data=(X, Y),
            callbacks=[kit.callbacks.SwapEMAWeights(swap_on_epoch)],
        )  # fmt: skip
        results.append((history.history, model.get_weights()))
    (ours, mine), (theirs, others) = results
    for key, expected in theirs.items():
        np.testing.assert_allclose(ours[key], expected, rtol=1e-4, err_msg=key)
    for a, b in zip(mine, others, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


#: Arguments of Keras's that are of no use here.
LEFT_OUT = {"ReduceLROnPlateau": {"kwargs"}, "LambdaCallback": {"kwargs"}, "CallbackList": set()}


@pytest.mark.parametrize(
    "name",
    # RemoteMonitor opens connections, OrbaxCheckpoint is another package's: left out on purpose.
    [n for n in dir(keras.callbacks) if n[0].isupper() and n[:5] not in ("Remot", "Orbax")],
)
def test_signatures_are_those_of_keras(name: str) -> None:
    def arguments(kit: Any) -> dict[str, Any]:
        found = inspect.signature(getattr(kit.callbacks, name).__init__).parameters.values()
        return {p.name: p.default for p in found if p.name not in LEFT_OUT.get(name, ())}

    ours, theirs = arguments(gt), arguments(keras)
    if name == "LambdaCallback":  # ours takes any hook
        assert set(theirs) - {"self"} <= set(gt.callbacks.HOOKS)
    elif name == "CallbackList":
        assert set(ours) <= set(theirs)
    else:
        assert ours == theirs


def test_hooks_are_those_of_keras() -> None:
    theirs = {n for n in dir(keras.callbacks.Callback) if n.startswith("on_")}
    assert set(gt.callbacks.HOOKS) == theirs
