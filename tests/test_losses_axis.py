"""Losses and metrics that take an axis mean it, whatever else they are given."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gradtape as gt

RNG = np.random.default_rng(20)
SHARES = RNG.dirichlet(np.ones(3), size=(2, 4, 5))
LABELS = RNG.integers(0, 3, (2, 4, 5))
OTHERS = {
    "from_logits": True,
    "label_smoothing": 0.1,
    "alpha": [0.1, 0.2, 0.7],
    "ignore_class": 1,
    "sparse_y_true": False,
}


def cases() -> Iterator[Any]:
    for module in (gt.losses, gt.metrics):
        for name in module.__all__:
            thing = getattr(module, name)
            if not callable(thing) or "axis" not in inspect.signature(thing).parameters:
                continue
            names = inspect.signature(thing).parameters
            needed = {"num_classes": 3, "target_class_ids": [0, 1], "sparse_y_pred": False}
            base = {k: v for k, v in needed.items() if k in names}
            for other, value in [(None, None), *OTHERS.items()]:
                several = other == "alpha" and not name.lower().startswith("categorical")
                if other is None or (other in names and not several):
                    settings = base if other is None else {**base, other: value}
                    yield pytest.param(thing, settings, id=f"{module.__name__}.{name}-{other}")


@pytest.mark.parametrize(("thing", "settings"), list(cases()))
def test_classes_along_any_axis_give_the_same_value(thing: Any, settings: dict[str, Any]) -> None:
    sparse = "sparse" in thing.__name__.lower()
    if thing.__name__ in ("IoU", "MeanIoU"):
        sparse = settings.get("sparse_y_true", True)

    def value(axis: int) -> Any:
        true = LABELS if sparse else np.moveaxis(np.eye(3)[LABELS], -1, axis)
        predicted = np.moveaxis(SHARES, -1, axis)
        if isinstance(thing, type):
            return np.asarray(thing(axis=axis, **settings)(true, predicted))
        return np.asarray(thing(true, predicted, axis=axis, **settings))

    for axis in (1, 2, -3):
        np.testing.assert_allclose(value(axis), value(-1), rtol=1e-12)


def test_smoothing_spreads_over_the_classes_of_the_axis() -> None:
    true, predicted = np.eye(3)[[[0, 1, 2, 1]]], np.full((1, 4, 3), 1 / 3)
    smoothed = gt.losses.categorical_crossentropy(
        true.swapaxes(1, 2), predicted.swapaxes(1, 2), label_smoothing=0.1, axis=1
    )
    np.testing.assert_allclose(smoothed.numpy(), np.full((1, 4), np.log(3)))


def test_a_focal_factor_for_each_class_must_be_one_for_each() -> None:
    with pytest.raises(gt.errors.ShapeError, match=r"3 classes \(axis 1\); received 4"):
        gt.losses.categorical_focal_crossentropy(
            np.moveaxis(np.eye(3)[LABELS], -1, 1), np.moveaxis(SHARES, -1, 1), [0.25] * 4, axis=1
        )


def test_targets_of_the_wrong_kind_are_told_the_fix_for_their_axis() -> None:
    first = np.moveaxis(SHARES, -1, 1)
    with pytest.raises(gt.errors.ShapeError, match=r"np.moveaxis\(gt.utils.to_categorical\(y, 3\)"):
        gt.losses.categorical_crossentropy(LABELS, first, axis=1)
    with pytest.raises(gt.errors.ShapeError, match=r"y.argmax\(1\)"):
        gt.losses.sparse_categorical_crossentropy(
            np.moveaxis(np.eye(3)[LABELS], -1, 1), first, axis=1
        )
