"""A file may not ask for much more than it holds, in whatever words it asks."""

from __future__ import annotations

import math
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.config.allowance import allowance, spend
from gradtape.errors import FileError
from gradtape.saving import archive


def test_without_an_allowance_nobody_minds() -> None:
    spend(10**30, "anything")
    with allowance(0), pytest.raises(FileError, match="anything would take more memory"):
        spend(10**30, "anything")
    spend(10**30, "anything")


def layer(name: str, /, **config: Any) -> dict[str, Any]:
    return {"class_name": f"layers>{name}", "config": config}


INPUT = layer("InputLayer", batch_shape=[None, 4, 4, 1], dtype="float32", name="i")


def chain(*layers: Any) -> dict[str, Any]:
    config = {"name": "m", "trainable": True, "layers": [INPUT, *layers], "build_input_shape": None}
    return {"class_name": "models>Sequential", "config": config}


def graph(one: dict[str, Any], inputs: Any, settings: Any = None, **more: Any) -> dict[str, Any]:
    call = {"layer": 1, "inputs": inputs, "settings": {"dict": settings or {}}, **more}
    tensors = {"inputs": {"tensor": [0, 0]}, "outputs": {"tensor": [1, 0]}}
    config = {"layers": [INPUT, one], "calls": [call], **tensors}
    config |= {"name": "m", "trainable": True, "dtype": "float32"}
    return {"class_name": "models>Model", "config": config}


def nested(depth: int) -> dict[str, Any]:
    inner = layer("Flatten")
    for _ in range(depth):
        inner = chain(inner)
    return inner


def metric(name: str, /, **config: Any) -> dict[str, Any]:
    return {"optimizer": "sgd", "loss": "mse", "metrics": [{"class_name": name, "config": config}]}


T = {"tensor": [0, 0]}
ONE = {"array": [1.0], "shape": [1, 1, 1, 1], "dtype": "float32"}
ADD, TILE = layer("Operation", op="add"), layer("Operation", op="tile")
CROP = layer("RandomCrop", height=10**5, width=10**5)
HOSTILE: dict[str, tuple[Any, Any]] = {
    "100,000 layers": (chain(*[layer("ReLU")] * 100_000), None),
    "20,000 layers": (chain(*[layer("ReLU")] * 20_000), None),
    "deep nesting": (nested(60), None),
    "a dtype of texts": (
        graph(ADD, [T, {"array": [1.0], "shape": [], "dtype": "U200000000"}]),
        None,
    ),
    "a dtype alone": (graph(ADD, [T, {"dtype": "U200000000"}]), None),
    "an op on nothing": (
        graph(TILE, [ONE, 10**9]),
        None,
    ),
    "an op to try": (graph(TILE, [T, [1, 10**4, 10**4, 10**4]]), None),
    "a layer on nothing": (
        graph(layer("UpSampling2D", size=10**5), [ONE]),
        None,
    ),
    "a layer to try": (graph(CROP, [T], {"training": T}), None),
    "an impossible shape": (
        graph(
            ADD, [T, 1],
            returns={"shapes": [None, -4, 10**30], "dtype": "float32"},
        ),
        None,
    ),
    "thresholds": (chain(layer("Flatten")), metric("metrics>AUC", num_thresholds=10**8)),
    "classes": (chain(layer("Flatten")), metric("metrics>MeanIoU", num_classes=10**9)),
    "many metrics": (
        chain(layer("Flatten")),
        {
            "optimizer": "sgd", "loss": "mse",
            "metrics": [{"class_name": "metrics>AUC", "config": {"num_thresholds": 50_000}}] * 50,
        },
    ),
    "weights": (chain(layer("Flatten"), layer("Dense", units=10**9)), None),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_asks_for_too_much_is_refused_at_little_cost(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, compiled = HOSTILE[name]
    path = tmp_path / "net.npz"
    config = {"kind": "model", "model": model, "input_shape": None, "compile": compiled}
    monkeypatch.setattr(archive, "refuse_too_much", lambda content: None)
    archive.write(path, config, {})
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(FileError, match=r"net\.npz"):
        gt.load_model(path)
    seconds = time.process_time() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * path.stat().st_size + (50 << 20)
    assert seconds < 8  # 2, but for the tracing of memory


def test_large_models_are_no_attack(tmp_path: Path) -> None:
    """Big weights, many layers, ops on large images, and metrics as people use them."""
    inputs = gt.Input((128, 128, 16))
    h = inputs
    for _ in range(15):
        h = gt.ops.tanh(h * 2.0)
    h = gt.layers.GlobalAveragePooling2D()(gt.ops.concatenate([h, inputs], axis=-1))
    model = gt.Model(inputs, gt.layers.Dense(4, activation="softmax")(h))
    model.compile(
        "adam", "categorical_crossentropy",
        metrics=[gt.metrics.AUC(num_thresholds=1000), gt.metrics.MeanIoU(50)],
    )  # fmt: skip
    model.save(tmp_path / "net.npz")
    tracemalloc.start()
    again = gt.load_model(tmp_path / "net.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 << 20
    assert gt.saving.serialize(again) == gt.saving.serialize(model)
    assert again.output_shape == (None, 4) and len(again.layers) == len(model.layers)
    assert math.prod(again.layers[-1].kernel.shape) == 32 * 4


def test_ops_return_after_loading_what_they_returned_before(tmp_path: Path) -> None:
    inputs = gt.Input((6, 6, 2))
    low, high = gt.ops.split(inputs, 2, axis=-1)
    h = gt.ops.reshape(low + gt.ops.max(high, axis=(1, 2), keepdims=True), (-1, 36))
    model = gt.Model(inputs, gt.layers.Dense(3)(h))
    model.save(tmp_path / "net.npz")
    again = gt.load_model(tmp_path / "net.npz")
    x = np.random.default_rng(0).normal(size=(5, 6, 6, 2)).astype(np.float32)
    assert np.array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
