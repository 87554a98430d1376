"""What a model answers: in the order of its data, and in the mode that was written down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt


def test_predictions_are_in_the_order_of_labels_from_shuffled_batches() -> None:
    series = np.arange(40.0)
    data = gt.utils.timeseries_dataset_from_array(series, series, 1, batch_size=8, shuffle=True)
    inputs = gt.Input((1,))
    model = gt.Model(inputs, inputs * 1.0)
    before = np.concatenate([y for _, y in data])
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(data, verbose=0)[:, 0], before)
    np.testing.assert_array_equal(np.concatenate([y for _, y in data]), before)
    assert not np.array_equal(before, series)


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("said", [None, False, True])
def test_a_mode_in_the_call_of_a_layer_holds_in_every_step(said: Any, eager: bool) -> None:
    x = np.ones((2, 1000), np.float32)
    inputs = gt.Input((1000,))
    model = gt.Model(inputs, gt.layers.Dropout(0.5)(inputs, training=said))
    model.compile("sgd", "mse", run_eagerly=eager)

    def drops(y: Any) -> bool:
        return bool((np.asarray(y.numpy() if hasattr(y, "numpy") else y) == 0).mean() > 0.3)

    assert drops(model.predict(x, verbose=0)) == bool(said)
    assert (model.evaluate(x, x, verbose=0) > 0.3) == bool(said)
    assert drops(model(x)) == drops(model(x, training=False)) == bool(said)
    assert drops(model(x, training=True)) == (said is not False)
