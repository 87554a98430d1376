"""Normalisation and noise in programs: each layer replays as it runs, along any axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from replay import assert_replays, assert_same_bits, sequential

import gradtape as gt

Array = np.ndarray
L = gt.layers
#: Layers for samples (4, 3, 6).
CASES: list[tuple[str, dict[str, Any]]] = [
    ("LayerNormalization", {}),
    ("LayerNormalization", {"axis": [1, 2, 3], "center": False}),
    ("LayerNormalization", {"axis": 1}),
    ("LayerNormalization", {"axis": [1, 3], "scale": False}),
    ("GroupNormalization", {"groups": 3}),
    ("GroupNormalization", {"groups": -1}),
    ("GroupNormalization", {"groups": 1, "scale": False, "center": False}),
    ("GroupNormalization", {"groups": 2, "axis": 1}),
    ("RMSNormalization", {}),
    ("RMSNormalization", {"axis": [-2, -1]}),
    ("UnitNormalization", {}),
    ("UnitNormalization", {"axis": [1, 2]}),
    ("LocalResponseNormalization", {"k": 1.0, "alpha": 0.3}),
    ("LocalResponseNormalization", {"n": 3, "beta": 0.5, "alpha": 0.1}),
    ("BatchNormalization", {}),
    ("BatchNormalization", {"axis": 1}),
    ("BatchNormalization", {"axis": 2}),
    ("Dropout", {"rate": 0.4, "noise_shape": (None, 1, None, 1), "seed": 1}),
    ("Dropout", {"rate": 0.3, "noise_shape": (1, None, None, None), "seed": 1}),
    ("Dropout", {"rate": 1.0}),
    ("SpatialDropout2D", {"rate": 0.4, "seed": 3}),
    ("SpatialDropout2D", {"rate": 0.4, "data_format": "channels_first", "seed": 3}),
    ("GaussianNoise", {"stddev": 0.3, "seed": 2}),
    ("GaussianDropout", {"rate": 0.3, "seed": 2}),
    ("AlphaDropout", {"rate": 0.3, "seed": 2}),
    ("AlphaDropout", {"rate": 0.3, "noise_shape": (None, 1, 1, None), "seed": 2}),
]
IDS = [f"{name}-{i}" for i, (name, _) in enumerate(CASES)]


def _images(number: int, batch: int) -> tuple[Array, ...]:
    rng = np.random.default_rng(number)
    return rng.normal(size=(batch, 4, 3, 2)).astype("f"), rng.normal(size=(batch, 3)).astype("f")


@pytest.mark.parametrize(("name", "settings"), CASES, ids=IDS)
def test_layers_replay_as_they_run(name: str, settings: dict[str, Any]) -> None:
    def make() -> Any:
        model = sequential(
            lambda: L.Conv2D(6, 2, padding="same"), lambda: getattr(L, name)(**settings),
            L.Flatten, lambda: L.Dense(3), shape=(4, 3, 2),
        )  # fmt: skip
        rng = np.random.default_rng(0)
        for v in model.layers[1].trainable_variables:
            v.assign(rng.uniform(0.5, 1.5, v.shape).astype("f"))
        return model

    loss = gt.losses.MeanSquaredError()
    assert_replays(make, lambda i: _images(i, 17), loss, rate=0.02)


@pytest.mark.parametrize("name", ["LayerNormalization", "GroupNormalization", "BatchNormalization"])
@pytest.mark.parametrize("shape", [(6,), (5, 6), (2, 3, 2, 6)])
def test_normalisations_of_any_rank_replay_as_they_run(name: str, shape: tuple[int, ...]) -> None:
    given = {"groups": 3} if name.startswith("Group") else {}

    def make() -> Any:
        layer = getattr(L, name)
        return sequential(lambda: layer(**given), L.Flatten, lambda: L.Dense(3), shape=shape)

    def batch(number: int) -> tuple[Array, ...]:
        rng = np.random.default_rng(number)
        return rng.normal(size=(18, *shape)).astype("f"), rng.normal(size=(18, 3)).astype("f")

    assert_replays(make, batch, gt.losses.MeanSquaredError(), rate=0.02)


@pytest.mark.parametrize("batch", [1, 2, 15, 17, 33])
def test_results_are_the_same_bits_and_stay_in_their_buffers(batch: int) -> None:
    def make() -> Any:
        return sequential(
            lambda: L.Conv2D(6, 2), lambda: L.GroupNormalization(2),
            lambda: L.SpatialDropout2D(0.3, seed=1), lambda: L.LayerNormalization([1, 2]),
            L.LocalResponseNormalization, lambda: L.GaussianNoise(0.1, seed=2),
            lambda: L.BatchNormalization(axis=1), L.Flatten, lambda: L.Dense(3), shape=(4, 3, 2),
        )  # fmt: skip

    assert_same_bits(make, lambda i: _images(i, batch), gt.losses.MeanSquaredError())
