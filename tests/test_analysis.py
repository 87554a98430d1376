"""What `gt.analysis` counts, against the lectures' figures and counts by hand."""

from __future__ import annotations

import gradtape as gt


def test_a_convolution_of_the_lectures_costs_a_gigaflop():
    model = gt.Sequential([gt.Input((64, 64, 100)), gt.layers.Conv2D(100, 5, padding="same")])
    found = gt.analysis(model)
    assert found.totals.multiply_adds == 100 * 100 * 5 * 5 * 64 * 64 == 1_024_000_000


def test_two_stacked_3x3_layers_see_3_then_5_inputs():
    net = [gt.Input((9, 9, 1)), gt.layers.Conv2D(1, 3), gt.layers.Conv2D(1, 3)]
    rows = [r for r in gt.analysis(gt.Sequential(net)) if r.parameters]
    assert [r.receptive_field.size for r in rows] == [(3, 3), (5, 5)]
    assert [r.receptive_field.stride for r in rows] == [(1, 1), (1, 1)]


def test_stride_and_padding_move_the_receptive_field():
    net = [gt.Input((12, 12, 1)), gt.layers.Conv2D(1, 3, padding="same"), gt.layers.MaxPooling2D(2)]
    *_, pooled = gt.analysis(gt.Sequential(net))
    field = pooled.receptive_field
    assert (field.size, field.stride, field.offset) == ((4, 4), (2, 2), (-1, -1))
    assert field.at(0, 5) == ((0, 2), (9, 11))  # cut off by the border


def test_a_dense_layer_on_36_million_pixels_is_counted_without_being_made():
    model = gt.Sequential([gt.layers.Dense(100, use_bias=False)])
    found = gt.analysis(model, input_shape=(36_000_000,))
    assert found.totals.parameters == 3_600_000_000
    image = 256 * 256 * 3
    model = gt.Sequential([gt.layers.Dense(image, use_bias=False)])
    assert gt.analysis(model, input_shape=(image,)).totals.parameters == image**2


def test_lenet5_layer_by_layer():
    rows = {r.name: r for r in gt.analysis(gt.models.LeNet5())}
    assert rows["C1"].multiply_adds == 28 * 28 * 6 * 25
    assert rows["C3"].multiply_adds == 10 * 10 * 16 * 6 * 25
    assert rows["F6"].multiply_adds == 120 * 84
    assert rows["C1"].output_shape == (None, 28, 28, 6)
    assert rows["C5"].receptive_field.size == (32, 32)
    assert sum(r.parameters for r in rows.values()) == 61_706


def test_memory_grows_with_the_batch_and_branches_take_the_larger_field():
    inputs = gt.Input((8, 8, 1))
    near = gt.layers.Conv2D(2, 1)(inputs)
    far = gt.layers.Conv2D(2, 5, padding="same")(inputs)
    model = gt.Model(inputs, gt.layers.Add()([near, far]))
    one, many = gt.analysis(model), gt.analysis(model, batch_size=16)
    *_, joined = one
    assert joined.receptive_field.size == (5, 5)
    assert many.totals.activation_bytes == 16 * one.totals.activation_bytes
    assert many.totals.multiply_adds == one.totals.multiply_adds == 8 * 8 * 2 * (1 + 25)
    assert many.totals.parameters == one.totals.parameters
