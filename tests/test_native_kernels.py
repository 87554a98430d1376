"""The native kernels against float64, through the smallest program that uses them.

Every case is run at batch sizes around the length of a shard, with canaries around every buffer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native_nets import THOROUGH, agrees_with_float64

import gradtape as gt
from gradtape.kernels.peak import peak

Array = np.ndarray
L = gt.layers
BATCHES = (1, 2, 15, 16, 17, 31, 33, 127) if THOROUGH else (1, 15, 16, 33)


#: name: the layers, the shape of a sample, and the most products in a sum of one sample.
CASES: dict[str, tuple[Callable[[Any], list[Any]], tuple[int, ...], int]] = {
    "dense": (lambda d: [L.Dense(7, **d)], (5,), 5),
    "dense_wide": (lambda d: [L.Dense(37, activation="relu", **d)], (19,), 37),
    "dense_chain": (lambda d: [L.Dense(33, activation="tanh", **d), L.Dense(3, **d)], (9,), 40),
    "dense_in_runs": (lambda d: [L.Dense(90, activation="relu", **d)], (1600,), 1600),
    "conv": (lambda d: [L.Conv2D(4, 3, **d)], (6, 7, 2), 200),
    "conv_large_kernel": (lambda d: [L.Conv2D(96, 3, padding="same", **d)], (9, 9, 96), 1600),
    "conv_padded": (lambda d: [L.Conv2D(5, 3, padding="same", **d)] * 1, (5, 6, 5), 200),
    "conv_twice": (
        lambda d: [
            L.Conv2D(6, 5, padding=2, activation="tanh", **d),
            L.Conv2D(7, 3, activation="relu", **d),
        ],
        (9, 8, 1), 400,
    ),
    "conv_whole": (lambda d: [L.Conv2D(6, 3, **d), L.Conv2D(9, (3, 2), **d)], (5, 4, 2), 120),
    "conv_strided": (
        lambda d: [L.Conv2D(3, 1, **d), L.Conv2D(5, 3, strides=2, padding="same", **d)],
        (9, 8, 2), 300,
    ),
    "conv_strides_skip": (
        lambda d: [L.Conv2D(3, 1, **d), L.Conv2D(4, (2, 1), strides=(3, 2), **d)],
        (8, 7, 2), 200,
    ),
    "conv_dilated": (
        lambda d: [L.Conv2D(3, 1, **d), L.Conv2D(4, 3, dilation_rate=2, padding="same", **d)],
        (7, 8, 2), 300,
    ),
    "conv_uneven_padding": (
        lambda d: [L.Conv2D(3, 1, **d), L.Conv2D(4, 3, padding=((2, 0), (1, 2)), **d)],
        (5, 6, 2), 300,
    ),
    "conv_many_channels": (
        lambda d: [
            L.Conv2D(33, 3, padding=1, activation="relu", **d),
            L.Conv2D(35, 3, padding=1, **d),
        ],
        (5, 6, 3), 1300,
    ),
    "conv_winograd": (
        lambda d: [
            L.Conv2D(16, 1, **d),
            L.Conv2D(24, 3, padding=1, activation="tanh", **d),  # relu may flip near 0
            L.Conv2D(16, 3, padding=((0, 2), (2, 1)), **d),
        ],
        (6, 9, 2), 4000,
    ),
    "batch_norm": (
        lambda d: [
            L.Conv2D(5, 3, **d),
            L.BatchNormalization(**d),
            L.Activation("relu", **d),
            L.Conv2D(4, 1, **d),
            L.BatchNormalization(scale=False, center=False, **d),
        ],
        (6, 5, 2), 2000,
    ),
    "average": (lambda d: [L.Conv2D(3, 1, **d), L.AveragePooling2D(2, **d)], (6, 4, 2), 40),
    "average_overlapping": (
        lambda d: [L.Conv2D(3, 1, **d), L.AveragePooling2D(3, strides=2, padding="same", **d)],
        (6, 7, 2), 60,
    ),
    "average_rest": (lambda d: [L.Conv2D(3, 1, **d), L.AveragePooling2D(2, **d)], (5, 7, 2), 60),
    "max": (lambda d: [L.Conv2D(3, 1, **d), L.MaxPooling2D(2, **d)], (6, 4, 2), 40),
    "max_overlapping": (
        lambda d: [L.Conv2D(3, 1, **d), L.MaxPooling2D(3, strides=2, padding="same", **d)],
        (6, 7, 2), 60,
    ),
    "max_after_relu": (
        lambda d: [L.Conv2D(4, 3, activation="relu", **d), L.MaxPooling2D(2, **d)],
        (6, 6, 2), 100,
    ),
    "global_average": (
        lambda d: [L.Conv2D(3, 3, **d), L.GlobalAveragePooling2D(**d)], (5, 6, 2), 100,
    ),
    "sigmoid": (
        lambda d: [L.Conv2D(3, 1, **d), L.Activation("sigmoid", **d), L.Activation("relu", **d)],
        (3, 4, 2), 30,
    ),
    "softmax_inside": (
        lambda d: [L.Dense(6, activation="softmax", **d), L.Dense(4, **d)], (5,), 30,
    ),
}  # fmt: skip


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("case", CASES)
def test_kernels_agree_with_float64_and_stay_in_their_buffers(case: str, batch: int) -> None:
    if case == "batch_norm" and batch == 1:
        batch = 3  # two inputs with one pixel each have no variance to speak of
    agrees_with_float64(*CASES[case], batch)


def test_the_peak_is_a_speed() -> None:
    assert peak(repetitions=50, rounds=2) > 0


_ONE_STEP = """
import numpy as np
import gradtape as gt
from gradtape import program
L = gt.layers
layers = [L.Conv2D(3, 3, activation="tanh"), L.MaxPooling2D(2), L.Flatten()]
model = gt.Sequential([gt.Input((6, 6, 2)), *layers, L.Dense(4, activation="softmax")])
model.compile(gt.optimizers.SGD(0.1), gt.losses.SparseCategoricalCrossentropy())
variables = model.trainable_variables
model.optimizer.build(variables)
before = model.get_weights()
x = np.sin(np.arange(5 * 72, dtype=np.float32)).reshape(5, 6, 6, 2)
y = np.arange(5) % 4
graph, update = program.graph_of(model, (6, 6, 2)), program.Update(model.optimizer, variables)
step = program.Step(graph, 5, np.float32, model._scores.loss, update, 1, guard=64)
loss, _ = step.run(x, y)
step.program.check_canaries()
after = model.get_weights()
model.set_weights(before)
model._native = False
assert abs(model.train_on_batch(x, y) - loss) < 1e-5
assert max(abs(a - b).max() for a, b in zip(after, model.get_weights())) < 1e-6
print("right")
"""


def _in_another_process(**environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _ONE_STEP],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_program_runs_slowly_without_compilation() -> None:
    assert _in_another_process(NUMBA_DISABLE_JIT="1") == "right"
