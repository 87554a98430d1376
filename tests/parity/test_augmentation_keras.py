"""Augmentation draws numbers as Keras does, and by the same numbers gives the same images."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradtape as gt

os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Array = np.ndarray
Drawn = dict[str, Array]
SHAPE = (6, 7, 9, 3)


def _factors(name: str) -> Callable[[Drawn], Any]:
    return lambda drawn: {name: drawn["factor"].ravel()}


def _covering(drawn: Drawn) -> Any:
    masks = np.broadcast_to(drawn["covered"], (*drawn["covered"].shape[:3], 3))
    given = {"apply_erasing": np.ones(len(masks), bool), "batch_masks": masks, **drawn}
    return {**given, "fill_value": drawn.get("fill", 0.0)}


def _mixing(drawn: Drawn) -> Any:
    cut = _covering(drawn) if "covered" in drawn else {}
    return {**cut, "mix_weight": drawn["weights"], "permutation_order": drawn["order"]}


_RANGE = {"value_range": (0, 1)}
#: Settings of a layer, and its numbers as Keras calls them.
LAYERS: list[tuple[str, dict[str, Any], Callable[[Drawn], Any]]] = [
    *(
        ("RandomFlip", {"mode": mode}, lambda drawn: drawn)
        for mode in ("horizontal", "vertical", "horizontal_and_vertical")
    ),
    *(
        (name, {**settings, "fill_mode": fill, "interpolation": between, "fill_value": 0.3}, draw)
        for fill, between in [
            ("reflect", "bilinear"), ("constant", "bilinear"), ("nearest", "bilinear"),
            ("wrap", "bilinear"), ("constant", "nearest"),
        ]
        for name, settings, draw in [
            (
                "RandomTranslation",
                {"height_factor": 0.4, "width_factor": (-0.1, 0.3)},
                lambda drawn: {"translations": -drawn["maps"][:, [2, 5]]},
            ),
            (
                "RandomRotation",
                {"factor": 0.2},
                lambda drawn: {"rotation_matrix": np.pad(drawn["maps"], ((0, 0), (0, 2)))},
            ),
            (
                "RandomZoom",
                {"height_factor": 0.3, "width_factor": (-0.4, 0.1)},
                lambda drawn: {
                    "height_zoom": drawn["maps"][:, 4:5], "width_zoom": drawn["maps"][:, :1]
                },
            ),
            (
                "RandomShear",
                {"x_factor": 0.4, "y_factor": (0.1, 0.2)},
                lambda drawn: {"shear_factor": drawn["maps"][:, [1, 3]]},
            ),
        ]
    ),
    ("RandomBrightness", {"factor": 0.4, **_RANGE}, lambda d: {"rgb_delta": d["factor"]}),
    (
        "RandomContrast",
        {"factor": (0.3, 0.9), **_RANGE},
        lambda drawn: {"contrast_factor": drawn["factor"]},
    ),
    ("RandomColorDegeneration", {"factor": 0.8, **_RANGE}, lambda drawn: drawn),
    ("RandomSharpness", {"factor": 0.9, **_RANGE}, _factors("factor")),
    ("RandomSaturation", {"factor": (0.2, 0.7), **_RANGE}, _factors("factor")),
    ("RandomHue", {"factor": 0.8, **_RANGE}, _factors("factor")),
    ("RandomInvert", {"factor": 0.9, **_RANGE}, _factors("apply_inversion")),
    ("RandomGrayscale", {"factor": 0.4}, lambda drawn: drawn["chosen"]),
    ("RandomErasing", {"scale": (0.1, 0.5), **_RANGE}, _covering),
    ("RandomErasing", {"fill_value": 0.3, **_RANGE}, _covering),
    ("MixUp", {"alpha": 0.4}, _mixing),
    ("CutMix", {}, _mixing),
]  # fmt: skip


def label(case: Any) -> str:
    return "-".join(map(str, (case[0], *case[1].values())))


def both(case: Any) -> tuple[Any, Any]:
    name, settings, _ = case
    return getattr(gt.layers, name)(**settings), getattr(keras.layers, name)(**settings)


def as_tensors(drawn: Any) -> Any:
    if isinstance(drawn, dict):
        return {key: as_tensors(value) for key, value in drawn.items()}
    array = np.asarray(drawn)
    return torch.tensor(array.astype(np.float32) if array.dtype.kind == "f" else array)


@pytest.mark.parametrize("case", LAYERS, ids=label)
def test_the_same_numbers_give_the_same_images(case: Any) -> None:
    ours, theirs = both(case)
    rng = np.random.default_rng(0)
    x = rng.random(SHAPE).astype(np.float32)
    drawn = ours.numbers(SHAPE, rng)
    given = as_tensors(case[2](drawn))
    mine = ours.change(gt.tensor(x), drawn).numpy()
    expected = theirs.transform_images(torch.tensor(x), given, training=True)
    np.testing.assert_allclose(mine, keras.ops.convert_to_numpy(expected), 1e-4, 2e-5)
    assert (mine != x).any()
    labels = rng.random((len(x), 4)).astype(np.float32)
    expected = theirs.transform_labels(torch.tensor(labels), given, training=True)
    changed = ours.change_labels(gt.tensor(labels), drawn).numpy()
    np.testing.assert_allclose(changed, keras.ops.convert_to_numpy(expected), 1e-5, 1e-6)


def _spread(numbers: Any) -> dict[str, Array]:
    """Every number by its name and place."""
    if not isinstance(numbers, dict):
        numbers = {"chosen": numbers}
    found = {}
    for key, value in numbers.items():
        if key in ("fill", "fill_value", "permutation_order", "order", "input_shape", "angle"):
            continue
        rows = np.asarray(keras.ops.convert_to_numpy(value)).astype(float)
        if rows.ndim and len(rows) == COUNT:
            rows = rows.reshape(COUNT, -1)
            found[key] = rows if rows.shape[1] <= 8 else rows.mean(axis=1, keepdims=True)
    return found


COUNT = 3000


@pytest.mark.parametrize(
    "case", list({case[0]: case for case in LAYERS}.values()), ids=lambda case: case[0]
)
def test_numbers_come_from_the_same_distribution(case: Any) -> None:
    keras.utils.set_random_seed(0)
    ours, theirs = both(case)
    x = np.zeros((COUNT, *SHAPE[1:]), np.float32)
    mine = _spread(case[2](ours.numbers(x.shape, np.random.default_rng(0))))
    others = _spread(theirs.get_random_transformation(torch.tensor(x), training=True))
    if case[0] == "RandomErasing":  # ours covers nothing where Keras says not to apply it
        applied = others.pop("apply_erasing")
        mine.pop("apply_erasing")
        others["batch_masks"] = others["batch_masks"] * applied
    if case[0] == "CutMix":  # one Beta distribution for a batch, itself drawn: compare the shares
        assert abs(mine["mix_weight"].mean() - others["mix_weight"].mean()) < 0.03
        same = np.corrcoef(1 - mine["mix_weight"][:, 0], mine["batch_masks"][:, 0])[0, 1]
        assert same > 0.95
        return
    assert mine.keys() & others.keys() and others.keys() <= mine.keys() | {"image_height"}
    for key in mine.keys() & others.keys():
        for a, b in zip(mine[key].T, others[key].T, strict=True):
            # The largest distance of the distribution functions (Kolmogorov & Smirnov).
            grid = np.concatenate([a, b]).round(5)
            a, b = np.sort(a.round(5)), np.sort(b.round(5))
            gap = np.searchsorted(a, grid, "right") - np.searchsorted(b, grid, "right")
            assert np.abs(gap).max() / COUNT < 0.06, key


@pytest.mark.parametrize("size", [(4, 5), (3, 8)])
def test_random_crop_at_the_same_place(size: tuple[int, int]) -> None:
    ours, theirs = both(("RandomCrop", {"height": size[0], "width": size[1]}, None))
    x = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    drawn = {"tops": np.full(6, 2), "lefts": np.full(6, 1)}
    expected = theirs.transform_images(torch.tensor(x), (2, 1), training=True)
    np.testing.assert_array_equal(ours.change(gt.tensor(x), drawn).numpy(), expected.numpy())


NOISE: list[tuple[str, dict[str, Any], Any]] = [
    ("Dropout", {"rate": 0.3}, (50, 40, 30)),
    ("Dropout", {"rate": 0.3, "noise_shape": (None, 1, 30)}, (900, 3, 30)),
    ("AlphaDropout", {"rate": 0.3}, (50, 40, 30)),
    ("GaussianDropout", {"rate": 0.3}, (50, 40, 30)),
    ("GaussianNoise", {"stddev": 0.3}, (50, 40, 30)),
    ("SpatialDropout1D", {"rate": 0.3}, (500, 3, 30)),
    ("SpatialDropout2D", {"rate": 0.3}, (500, 3, 2, 30)),
    ("SpatialDropout3D", {"rate": 0.3}, (500, 2, 2, 1, 30)),
]


@pytest.mark.parametrize("case", NOISE, ids=label)
def test_noise_comes_from_the_same_distribution(case: Any) -> None:
    keras.utils.set_random_seed(0)
    gt.utils.set_random_seed(0)
    ours, theirs = both(case)
    x = np.random.default_rng(0).normal(size=case[2]).astype(np.float32)
    mine = ours(x, training=True).numpy()
    other = keras.ops.convert_to_numpy(theirs(x, training=True))
    for a, b in ((mine, other), (mine - x, other - x), (mine / x, other / x)):
        grid = np.linspace(-4, 4, 81)
        gap = np.histogram(a, grid)[0].cumsum() - np.histogram(b, grid)[0].cumsum()
        assert np.abs(gap).max() / a.size < 0.015
    for axes in ((1,), tuple(range(1, x.ndim - 1))):  # whole channels share their fate, or not
        a, b = ((y == 0).all(axis=axes).mean() for y in (mine, other))
        assert abs(a - b) < 0.02
