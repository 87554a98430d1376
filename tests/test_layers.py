"""Layer: building, naming, calling, shapes, and what it says when something is wrong."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import gradtape as gt
from gradtape.errors import ShapeError
from gradtape.layers import Conv2D, Dense, Dropout, Flatten, Input, InputSpec, Layer

RNG = np.random.default_rng(0)


class Scale(Layer):
    """A layer as users write them: no super().build(), no compute_output_shape()."""

    def __init__(self, start=2.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        self.factor = self.add_weight(
            (input_shape[-1],), gt.initializers.Constant(self.start), name="factor"
        )

    def call(self, x):
        return x * self.factor


class Block(Layer):
    """Nested layers, some in a list that grows, some in a dict."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = Dense(4)
        self.more = []
        self.more.append(Dense(3))
        self.named = {"scale": Scale()}

    def call(self, x, training=None):
        self.seen = training
        for layer in [self.first, *self.more, self.named["scale"]]:
            x = layer(x)
        return x


class Flag(Layer):
    """Remembers whether it was training."""

    def call(self, x, training=None):
        self.seen = training
        return x


# Building


def test_weights_are_made_by_the_first_input():
    layer = Dense(3)
    assert not layer.built
    assert layer.weights == []
    layer(np.zeros((2, 4)))
    assert layer.built
    assert [v.path for v in layer.weights] == [f"{layer.name}/kernel", f"{layer.name}/bias"]
    assert layer.input_shape == (None, 4)
    assert layer.output_shape == (None, 3)


def test_build_needs_no_super_and_happens_once():
    layer = Scale()
    layer.build((None, 3))
    factor = layer.factor
    layer.build([None, 3])
    layer(np.ones((2, 3)))
    assert layer.factor is factor
    assert layer.weights == [factor]
    with pytest.raises(ValueError, match=r"already built for inputs \(None, 3\)"):
        layer.build((None, 4))


def test_a_subclass_may_extend_build():
    class Shifted(Scale):
        def build(self, input_shape):
            super().build(input_shape)
            self.shift = self.add_weight((1,), "zeros", name="shift")

    layer = Shifted(name="s")
    layer(np.ones((2, 3)))
    assert [v.path for v in layer.weights] == ["s/factor", "s/shift"]


def test_a_build_that_fails_leaves_nothing():
    class Fragile(Layer):
        def build(self, input_shape):
            self.add_weight((2,), name="half")
            if input_shape[-1] == 3:
                raise ValueError("not three")

        def call(self, x):
            return x

    layer = Fragile()
    with pytest.raises(ValueError, match="not three"):
        layer(np.zeros((1, 3)))
    assert not layer.built
    layer(np.zeros((1, 4)))
    assert len(layer.weights) == 1


def test_weights_may_be_made_in_init():
    class Bias(Layer):
        def __init__(self):
            super().__init__(name="b")
            self.bias = self.add_weight((1,), "ones", name="bias")

        def call(self, x):
            return x + self.bias

    layer = Bias()
    assert [v.path for v in layer.weights] == ["b/bias"]
    assert layer(np.ones((1, 1))).tolist() == [[2]]


def test_add_weight_defaults_to_glorot_uniform_and_to_zeros_for_integers():
    layer = Layer()
    kernel = layer.add_weight((300, 200), name="kernel")
    count = layer.add_weight((2,), dtype="int64", trainable=False)
    assert np.abs(kernel.data).max() == pytest.approx(np.sqrt(6 / 500), rel=1e-3)
    assert count.tolist() == [0, 0]
    assert count.dtype == np.int64


def test_two_models_from_one_seed_start_alike():
    def weights(seed):
        gt.random.set_seed(seed)
        layer = Block()
        layer(np.ones((1, 5)))
        return np.concatenate([w.ravel() for w in layer.get_weights()])

    assert np.array_equal(weights(3), weights(3))
    assert not np.array_equal(weights(3), weights(4))


# Names


def test_names_are_numbered_by_class():
    gt.config.naming.reset_names()
    assert [Dense(1).name, Dense(1).name, Conv2D(1, 1).name] == ["dense", "dense_1", "conv2d"]
    assert gt.layers.MaxPooling2D().name == "max_pooling2d"
    assert gt.layers.GlobalAveragePooling2D().name == "global_average_pooling2d"
    assert Dense(1, name="answer").name == "answer"


@pytest.mark.parametrize("name", ["a/b", "", 3])
def test_a_name_is_a_string_without_slashes(name):
    with pytest.raises(ValueError, match="must be a string"):
        Dense(1, name=name)


def test_unknown_arguments_are_refused_with_the_nearest():
    with pytest.raises(
        TypeError, match=r"Conv2D has no argument 'stride'\. Did you mean 'strides'"
    ):
        Conv2D(4, 3, stride=2)
    with pytest.raises(
        TypeError,
        match=r"Scale has no argument 'foo'.*start, activity_regularizer, trainable, dtype",
    ):
        Scale(foo=1)


def test_paths_follow_the_nesting():
    block = Block(name="block")
    block(np.ones((1, 5)))
    paths = [v.path for v in block.weights]
    assert paths[0] == f"block/{block.first.name}/kernel"
    assert paths[-1] == f"block/{block.named['scale'].name}/factor"


def test_keys_depend_on_the_structure_only():
    one, other = Block(name="one"), Block(name="other")
    for block in (one, other):
        block(np.ones((1, 5)))
    assert list(one.named_variables()) == list(other.named_variables())
    assert list(one.named_variables()) == [
        "dense/kernel",
        "dense/bias",
        "dense_1/kernel",
        "dense_1/bias",
        "scale/factor",
    ]


# Calling


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("given", ["uint8", "int64", "float16", "float32", "float64", "bool"])
def test_inputs_become_the_dtype_of_the_layer(given, dtype):
    layer = Dense(2, dtype=dtype)
    y = layer(np.ones((3, 4), given))
    assert y.dtype == layer.kernel.dtype == dtype


def test_inputs_may_be_lists_and_tensors():
    layer = Dense(2)
    assert layer([[1, 2, 3], [4, 5, 6]]).shape == (2, 2)
    x = gt.tensor(np.ones((2, 3)), requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.dtype == np.float64
    np.testing.assert_allclose(x.grad.numpy()[0], layer.kernel.data.sum(axis=1), rtol=1e-6)


def test_own_layers_keep_integers():
    flag = Flag()
    assert flag(np.ones((2, 3), np.int64)).dtype == np.int64
    assert flag(np.ones((2, 3))).dtype == np.float32


def test_structures_of_inputs():
    class Add(Layer):
        def build(self, input_shape):
            self.shapes = input_shape

        def call(self, inputs):
            return inputs[0] + inputs[1]["b"]

    layer = Add()
    y = layer([np.ones((2, 3)), {"b": np.ones((2, 1))}])
    assert y.tolist() == [[2, 2, 2]] * 2
    assert layer.shapes == [(None, 3), {"b": (None, 1)}]
    assert layer.compute_output_shape([(None, 3), {"b": (None, 1)}]) == (None, 3)


@pytest.mark.parametrize("dtype", ["int32", "float16", "complex64", "uint8"])
def test_a_layer_computes_in_float32_or_float64(dtype):
    with pytest.raises(TypeError, match="'float32' or 'float64'"):
        Dense(3, dtype=dtype)


def test_training_is_passed_on_to_the_layers_inside():
    class Outer(Layer):
        def __init__(self):
            super().__init__()
            self.inner, self.fixed = Flag(), Flag()

        def call(self, x):
            return self.fixed(self.inner(x), training=False)

    outer = Outer()
    outer(np.ones(1), training=True)
    assert (outer.inner.seen, outer.fixed.seen) == (True, False)
    outer(np.ones(1))
    assert outer.inner.seen is None


def test_the_training_flag_belongs_to_its_thread():
    seen = []
    inside, other_is_done = threading.Event(), threading.Event()

    class Wait(Layer):
        def call(self, x, training=None):
            inside.set()
            other_is_done.wait(10)
            return x

    def other():
        inside.wait(10)
        flag = Flag()
        flag(np.ones(1))
        seen.append(flag.seen)
        other_is_done.set()

    thread = threading.Thread(target=other)
    thread.start()
    Wait()(np.ones(1), training=True)
    thread.join()
    assert seen == [None]


def test_the_training_flag_is_reset_by_an_error():
    class Fails(Layer):
        def call(self, x, training=None):
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        Fails()(np.ones(1), training=True)
    flag = Flag()
    flag(np.ones(1))
    assert flag.seen is None


# Errors


def test_an_error_of_an_op_says_which_layer_it_happened_in():
    class Product(Layer):
        def call(self, x):
            return x @ np.ones((7, 2), np.float32)

    class Outer(Layer):
        def __init__(self):
            super().__init__()
            self.inner = Product(name="inner")

        def call(self, x):
            return self.inner(x)

    with pytest.raises(ShapeError, match=r"^Product 'inner': .*\(2, 3\)") as error:
        Outer()(np.ones((2, 3)))
    assert isinstance(error.value, ValueError)


def test_forgetting_super_init_is_explained():
    class Forgets(Layer):
        def __init__(self):
            pass

    with pytest.raises(TypeError, match=r"Forgets.__init__ must call super\(\).__init__"):
        Forgets()(np.ones(1))


def test_a_layer_without_call_is_explained():
    with pytest.raises(TypeError, match="Layer must define call"):
        Layer()(np.ones(1))


def test_input_spec_of_own_layers():
    class Images(Layer):
        def __init__(self):
            super().__init__(name="im")
            self.input_spec = InputSpec(ndim=3, axes={-1: 3})

        def call(self, x):
            return x

    layer = Images()
    assert layer(np.ones((1, 2, 3))).shape == (1, 2, 3)
    with pytest.raises(ValueError, match=r"Images 'im' expected 3 elements \(axis -1\)"):
        layer(np.ones((1, 2, 4)))
    with pytest.raises(ValueError, match=r"rank 3, received \(1, 3\)"):
        layer(np.ones((1, 3)))
    with pytest.raises(ValueError, match="takes one input, received 2"):
        layer([np.ones((1, 2, 3)), np.ones((1, 2, 3))])


# Shapes


def test_output_shapes_are_tried_if_a_layer_does_not_say():
    class Pad(Layer):
        def call(self, x):
            return gt.ops.concatenate([x, x[:, :1]], axis=1)

    assert Pad().compute_output_shape((None, 4, 2)) == (None, 5, 2)
    assert Pad().compute_output_shape((None, None, 2)) == (None, None, 2)
    assert Pad().compute_output_shape((7, 4, 2)) == (7, 5, 2)


def test_trying_a_shape_leaves_no_tape_and_no_count():
    dropout = Dropout(0.5, seed=1)
    state = dropout.variables[0].tolist()
    assert Layer.compute_output_shape(dropout, (None, 3)) == (None, 3)
    assert dropout.variables[0].tolist() == state


def test_trying_a_shape_is_no_training_step():
    class Wraps(Layer):
        def __init__(self):
            super().__init__()
            self.dropout = Dropout(0.5, seed=1)

        def call(self, x):
            return self.dropout(x)

    wraps = Wraps()
    model = gt.Sequential([wraps])
    model(np.ones((4, 3)), training=True)
    assert wraps.dropout.variables[0].tolist()[-1] == 1


def test_layers_on_an_input_compute_shapes():
    x = Input((28, 28, 1), name="image")
    assert (x.shape, x.dtype, x.name) == ((None, 28, 28, 1), "float32", "image")
    conv = Conv2D(6, 5)
    y = Flatten()(conv(x))
    assert y.shape == (None, 24 * 24 * 6)
    assert conv.built
    assert y.call.inputs[0].call.layer is conv
    with pytest.raises(ValueError, match="received"):
        Conv2D(6, 5)(y)


@pytest.mark.parametrize("arguments", [{}, {"shape": (2,), "batch_shape": (None, 2)}, {"shape": 3}])
def test_an_input_has_one_shape(arguments):
    with pytest.raises(ValueError, match="shape"):
        Input(**arguments)


# Configuration


class Silent(Layer):
    def __init__(self, size, sides=(1, 2), *, start=0.5):
        super().__init__()
        self.size = size


class Named(Silent):
    def __init__(self, size, **kwargs):
        Layer.__init__(self, **kwargs)
        self.size = size


class Saying(Named):
    def get_config(self):
        return {**super().get_config(), "size": 7}


def test_plain_arguments_say_themselves():
    config = Silent(3, start=2).get_config()
    assert config == {"size": 3, "start": 2}
    assert Silent.from_config(config).size == 3
    named = Named(4, name="n", dtype="float64")
    assert named.get_config() == {"size": 4, "name": "n", "trainable": True, "dtype": "float64"}
    assert Named.from_config(named.get_config()).get_config() == named.get_config()
    assert Saying(1, name="s").get_config()["size"] == 7


def test_other_arguments_must_be_said():
    for thing in (np.ones(3), lambda x: x, [Scale()]):
        with pytest.raises(TypeError, match=r"Named must define get_config\(self\).*size \(a "):
            Named(thing).get_config()
    with pytest.raises(TypeError, match="size"):
        Silent()


def test_the_base_configuration():
    layer = Scale(name="s", trainable=False, dtype="float64")
    assert layer.get_config() == {"name": "s", "trainable": False, "dtype": "float64"}
    assert Scale.from_config(layer.get_config()).name == "s"


def test_an_unknown_layer_names_its_near_matches():
    with pytest.raises(AttributeError, match=r"no layer 'Conv2d'\. Did you mean 'Conv2D'\?$"):
        gt.layers.Conv2d(3, 3)
