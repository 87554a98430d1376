"""Sequential: adding, building, shapes, nested models, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import gradtape as gt
from gradtape.layers import Conv2D, Dense, Dropout, Flatten, Input, InputLayer, Layer, MaxPooling2D

RNG = np.random.default_rng(0)


def small(**kwargs):
    return gt.Sequential(
        [Input((8, 8, 1)), Conv2D(2, 3), MaxPooling2D(), Flatten(), Dense(4)], **kwargs
    )


def test_it_computes_one_layer_after_the_other():
    model = small()
    x = RNG.normal(size=(3, 8, 8, 1))
    y = x
    for layer in model.layers:
        y = layer(y)
    assert np.array_equal(model(x).numpy(), y.numpy())


def test_an_input_builds_at_once():
    model = small(name="net")
    assert model.built
    assert model.input_shape == (None, 8, 8, 1)
    assert model.output_shape == (None, 4)
    assert model.count_params() == (9 * 2 + 2) + (18 * 4 + 4)
    assert [type(v) for v in model.layers] == [Conv2D, MaxPooling2D, Flatten, Dense]
    assert model.weights[0].path == f"net/{model.layers[0].name}/kernel"


def test_adding_builds_as_it_goes():
    model = gt.Sequential()
    model.add(Input((5,)))
    model.add(Dense(3))
    assert len(model.weights) == 2
    model.add(Dense(2))
    assert model.output_shape == (None, 2)
    assert len(model.weights) == 4
    popped = model.pop()
    assert popped.units == 2
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize("how", ["call", "build"])
def test_without_an_input_the_first_data_builds(how):
    model = gt.Sequential([Flatten(), Dense(3)])
    assert not model.built
    assert model.weights == []
    if how == "call":
        model(np.zeros((2, 4, 4)))
    else:
        model.build((None, 4, 4))
    assert model.input_shape == (None, 4, 4)
    assert model.count_params() == 16 * 3 + 3
    model.add(Dense(2))
    assert model.output_shape == (None, 2)
    assert model.count_params() == 16 * 3 + 3 + 3 * 2 + 2


@pytest.mark.parametrize(
    "layer", [Dense(3, input_shape=(5,)), Dense(3, input_dim=5)], ids=["input_shape", "input_dim"]
)
def test_the_first_layer_may_say_the_input_as_in_older_scripts(layer):
    model = gt.Sequential([layer])
    assert model.built
    assert model.input_shape == (None, 5)


def test_an_input_layer_is_as_good_as_an_input():
    model = gt.Sequential([InputLayer((5,)), Dense(3)])
    assert model.input_shape == (None, 5)


def test_models_are_layers():
    body = gt.Sequential([Conv2D(2, 3), Flatten()], name="body")
    model = gt.Sequential([Input((6, 6, 1)), body, Dense(3)])
    assert model.output_shape == (None, 3)
    assert model.count_params() == 9 * 2 + 2 + 32 * 3 + 3
    assert model.get_layer("body") is body
    assert model(np.zeros((2, 6, 6, 1))).shape == (2, 3)
    assert next(iter(model.named_variables())) == "sequential/conv2d/kernel"
    on_built = gt.Sequential([small(), Dense(2)])
    assert on_built.input_shape == (None, 8, 8, 1)


def test_a_layer_may_come_twice():
    shared = Dense(4)
    model = gt.Sequential([Input((4,)), shared, shared])
    assert model.count_params() == 20
    x = RNG.normal(size=(2, 4))
    assert np.array_equal(model(x).numpy(), shared(shared(x)).numpy())


def test_training_reaches_the_layers():
    model = gt.Sequential([Input((100,)), Dropout(0.5, seed=1)])
    x = np.ones((1, 100), np.float32)
    assert np.array_equal(model(x, training=False).numpy(), x)
    assert np.array_equal(model(x).numpy(), x)
    assert (model(x, training=True).numpy() == 0).any()


def test_gradients_reach_every_weight():
    model = small()
    model(RNG.normal(size=(3, 8, 8, 1)), training=True).sum().backward()
    assert all(v.grad is not None and v.grad.shape == v.shape for v in model.trainable_variables)


def test_freezing_the_model_freezes_its_layers():
    model = small()
    model.layers[0].trainable = False
    assert len(model.trainable_variables) == 2
    assert len(model.non_trainable_variables) == 2
    model.trainable = False
    assert model.trainable_variables == []


# Inputs


def test_integers_are_converted_as_the_input_says():
    images = RNG.integers(0, 255, (3, 8, 8, 1)).astype(np.uint8)
    model = small()
    assert np.array_equal(model(images).numpy(), model(images.astype("float32")).numpy())
    kept = gt.Sequential([Input((3,), dtype="int32"), Flatten()])
    assert kept(np.ones((2, 3), np.int64)).dtype == np.int32


def test_a_float64_model_keeps_every_digit():
    x = RNG.normal(size=(2, 3))
    model = gt.Sequential([Dense(2, dtype="float64")])
    y = model(x).numpy()
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(y, x @ kernel + bias, rtol=1e-14)


def test_a_missing_or_surplus_last_axis_of_one_is_mended():
    model = small()
    x = RNG.normal(size=(3, 8, 8, 1))
    assert np.array_equal(model(x[..., 0]).numpy(), model(x).numpy())
    flat = gt.Sequential([Input((5,)), Dense(2)])
    assert flat(np.zeros((3, 5, 1))).shape == (3, 2)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 9, 8, 1), r"axis 1 is 9 instead of 8. Was the model built for another input\?"),
        ((2, 8, 8, 3), r"axis 3 is 3 instead of 1"),
        ((2, 8), r"rank 4, \(None, 8, 8, 1\), received \(2, 8\)"),
        ((8,), r"rank 4"),
    ],
)
def test_another_input_is_refused_by_the_model(shape, message):
    with pytest.raises(ValueError, match=rf"Sequential 'net' expected.*{message}"):
        small(name="net")(np.zeros(shape))


def test_without_an_input_the_layers_judge():
    model = gt.Sequential([Conv2D(2, 3, name="c"), gt.layers.GlobalAveragePooling2D()])
    model(np.zeros((1, 8, 8, 1)))
    assert model(np.zeros((1, 9, 11, 1))).shape == (1, 2)
    with pytest.raises(ValueError, match=r"Conv2D 'c' expected 1 input channels"):
        model(np.zeros((1, 8, 8, 2)))


# What it refuses


def test_names_are_unique():
    with pytest.raises(ValueError, match=r"'net' already has a layer named 'a'"):
        gt.Sequential([Dense(2, name="a"), Dense(3, name="a")], name="net")


def test_a_failed_add_leaves_the_model_as_it_was():
    model = small()
    with pytest.raises(ValueError, match="Conv2D"):
        model.add(Conv2D(2, 3))
    with pytest.raises(ValueError, match="already has a layer"):
        model.add(Dense(2, name=model.layers[0].name))
    assert len(model.layers) == 4
    assert model.built
    assert model.output_shape == (None, 4)


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ([Dense], TypeError, r"takes layers, received.*Write Dense\(\.\.\.\)"),
        (["dense"], TypeError, "takes layers, received 'dense'"),
        ([Dense(2), Input((3,))], ValueError, "Input of Sequential 'm' must come first"),
        ([Input((3,)), Input((3,))], ValueError, "Input of Sequential 'm' must come first"),
        ([Input((3,)), Conv2D(2, 3, name="c")], ValueError, r"Conv2D 'c'.*\(None, 3\)"),
        ([Input((4, 4, 1)), Conv2D(2, 5, name="c")], ValueError, "Conv2D 'c'.*larger input"),
    ],
)
def test_what_cannot_work_is_refused_at_once(layers, error, message):
    with pytest.raises(error, match=message):
        gt.Sequential(layers, name="m")


def test_more_refusals():
    empty = gt.Sequential(name="m")
    with pytest.raises(ValueError, match="'m' has no layers to build"):
        empty.build((None, 3))
    with pytest.raises(ValueError, match="'m' has no layer to pop"):
        empty.pop()
    with pytest.raises(ValueError, match="cannot be a layer of itself"):
        empty.add(empty)
    with pytest.raises(TypeError, match="Add the layer itself"):
        empty.add(Dense(3)(Input((2,))))
    with pytest.raises(ValueError, match=r"already built for inputs \(None, 8, 8, 1\)"):
        small().build((None, 9, 9, 1))


# Looking into it


def test_get_layer():
    model = small(name="net")
    conv = model.layers[0]
    assert model.get_layer(conv.name) is conv
    assert model.get_layer(index=0) is conv
    assert model.get_layer(index=-1) is model.layers[3]
    with pytest.raises(ValueError, match=rf"no layer 'x'. Its layers: {conv.name}"):
        model.get_layer("x")
    with pytest.raises(ValueError, match="4 layers, there is none at index 4"):
        model.get_layer(index=4)
    with pytest.raises(ValueError, match="either a name or an index"):
        model.get_layer()


def test_a_model_is_made_again_from_its_configuration():
    model = gt.Sequential([Input((8, 8, 1)), gt.Sequential([Conv2D(2, 3)]), Flatten(), Dense(4)])
    config = gt.saving.serialize(model)
    again = gt.saving.deserialize(config)
    assert gt.saving.serialize(again) == config
    again.set_weights(model.get_weights())
    x = RNG.normal(size=(2, 8, 8, 1))
    assert np.array_equal(again(x).numpy(), model(x).numpy())


def test_a_lazily_built_model_is_built_again():
    model = gt.Sequential([Flatten(), Dense(4)])
    unbuilt = gt.saving.deserialize(gt.saving.serialize(model))
    assert not unbuilt.built
    model.build((None, 3, 3))
    assert gt.saving.deserialize(gt.saving.serialize(model)).count_params() == 40


def test_own_layers_in_a_model():
    class Double(Layer):
        def call(self, x):
            return x * 2.0

    model = gt.Sequential([Input((3,)), Double(), Dense(2)])
    assert model.output_shape == (None, 2)
