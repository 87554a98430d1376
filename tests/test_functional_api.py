"""Functional models: what they compute, how they are looked into, saved, and refused."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers

Array = np.ndarray
RNG = np.random.default_rng(0)


class Counted(layers.Layer):
    """What goes in comes out; counts its calls on data."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.calls = 0
        self.modes: list[Any] = []

    def call(self, x: Any, training: bool | None = None) -> Any:
        self.calls += 1
        self.modes.append(training)
        return x

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def residual_block() -> gt.Model:
    x = gt.Input((6, 6, 3), name="image")
    y = layers.Conv2D(3, 3, padding="same", activation="tanh", name="conv")(x)
    y = layers.Add(name="sum")([x, y])
    y = layers.GlobalAveragePooling2D(name="pool")(y)
    return gt.Model(x, layers.Dense(2, name="answer")(y), name="block")


# What it computes


def test_a_residual_block_computes_what_its_layers_do() -> None:
    model, x = residual_block(), RNG.normal(size=(2, 6, 6, 3)).astype("f")
    conv, answer = model.get_layer("conv"), model.get_layer("answer")
    expected = answer(gt.ops.mean(x + conv(x), axis=(1, 2)))
    np.testing.assert_allclose(model(x).numpy(), expected.numpy(), rtol=1e-6)
    assert model.built and (model.input_shape, model.output_shape) == ((None, 6, 6, 3), (None, 2))
    assert [v.name for v in model.layers] == ["image", "conv", "sum", "pool", "answer"]
    assert model.count_params() == (3 * 3 * 3 * 3 + 3) + (3 * 2 + 2)
    assert [v.path for v in model.weights][:2] == ["conv/kernel", "conv/bias"]


def test_the_gradients_are_those_of_the_layers() -> None:
    x = gt.Input((3,))
    dense = layers.Dense(3, dtype="float64")
    model = gt.Model(x, layers.Multiply(dtype="float64")([dense(x), dense(dense(x))]))
    data, cotangent = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))
    model(data).backward(cotangent)
    kernel, bias = (gt.tensor(w, requires_grad=True) for w in dense.get_weights())
    once = gt.ops.matmul(data.astype("f").astype("d"), kernel) + bias
    (once * (gt.ops.matmul(once, kernel) + bias)).backward(cotangent)
    np.testing.assert_allclose(dense.kernel.grad.numpy(), kernel.grad.numpy(), rtol=1e-12)
    np.testing.assert_allclose(dense.bias.grad.numpy(), bias.grad.numpy(), rtol=1e-12)


def test_a_shared_layer_is_listed_and_counted_once_and_called_for_every_call() -> None:
    one, two = gt.Input((4,)), gt.Input((4,))
    shared, counted = layers.Dense(2), Counted()
    model = gt.Model([one, two], layers.subtract([counted(shared(one)), shared(two)]))
    a, b = RNG.normal(size=(2, 3, 4)).astype("f")
    np.testing.assert_allclose(
        model([a, b]).numpy(), (shared(a) - shared(b)).numpy(), rtol=1e-6, atol=1e-6
    )
    assert counted.calls == 1
    assert model.layers.count(shared) == 1 and model.count_params() == 4 * 2 + 2


def test_a_layer_is_called_once_however_many_read_it() -> None:
    x, counted = gt.Input((2,)), Counted()
    y = counted(x)
    model = gt.Model(x, layers.add([y, y, layers.Dense(2)(y)]))
    model(np.ones((1, 2)))
    assert counted.calls == 1


def test_only_what_the_outputs_need_is_computed() -> None:
    x, needed, other = gt.Input((2,)), Counted(), Counted()
    y = needed(x)
    other(y)
    model = gt.Model(x, y)
    model(np.ones((1, 2)))
    assert (needed.calls, other.calls) == (1, 0) and other not in model.layers


def test_the_order_is_that_of_the_calls_whatever_the_order_of_the_outputs() -> None:
    x = gt.Input((2,))
    first = layers.Dense(2, name="first")(x)
    second = layers.Dense(2, name="second")(first)
    model = gt.Model(x, [second, first])
    assert [v.name for v in model.layers][1:] == ["first", "second"]


@pytest.mark.parametrize("kind", ["list", "tuple", "dict", "by_name"])
def test_several_inputs_and_outputs_come_and_go_as_they_were_given(kind: str) -> None:
    a, b = gt.Input((2,), name="a"), gt.Input((3,), name="b")
    p, q = layers.Dense(1, name="p")(a), layers.Concatenate(name="q")([a, b])
    as_dict = kind == "dict"
    inputs: Any = {"u": a, "v": b} if as_dict else [a, b]
    outputs: Any = {"r": p, "s": q} if as_dict else [p, q]
    model = gt.Model(inputs, outputs)
    one, two = np.ones((4, 2)), np.zeros((4, 3))
    given: Any = {
        "list": [one, two],
        "tuple": (one, two),
        "dict": {"v": two, "u": one},
        "by_name": {"b": two, "a": one},
    }[kind]
    result = model(given)
    shapes = {k: t.shape for k, t in result.items()} if as_dict else [t.shape for t in result]
    assert shapes == ({"r": (4, 1), "s": (4, 5)} if as_dict else [(4, 1), (4, 5)])
    assert model.output_shape == (
        {"r": (None, 1), "s": (None, 5)} if as_dict else [(None, 1), (None, 5)]
    )
    assert [t.name for t in model.inputs] == ["a", "b"]
    assert [t.name for t in model.outputs] == ["p", "q"]


def nested(kind: str) -> gt.Model:
    if kind == "sequential":
        return gt.Sequential([layers.Dense(3, name="d"), layers.BatchNormalization()], name="inner")
    if kind == "functional":
        x = gt.Input((4,))
        return gt.Model(x, layers.BatchNormalization()(layers.Dense(3, name="d")(x)), name="inner")

    class Inner(gt.Model):
        def __init__(self) -> None:
            super().__init__(name="inner")
            self.d, self.norm = layers.Dense(3, name="d"), layers.BatchNormalization()

        def call(self, x: Any) -> Any:
            return self.norm(self.d(x))

    return Inner()


@pytest.mark.parametrize("kind", ["sequential", "functional", "subclass"])
def test_models_are_layers(kind: str) -> None:
    inner, x = nested(kind), gt.Input((4,))
    model = gt.Model(x, layers.Add()([inner(x), inner(x)]))
    assert model.output_shape == (None, 3)
    assert [v.name for v in model.layers][1] == "inner"
    assert model.count_params() == 4 * 3 + 3 + 4 * 3
    data = RNG.normal(size=(8, 4)).astype("f")
    expected = 2 * inner(data).numpy()
    np.testing.assert_allclose(model(data).numpy(), expected, rtol=1e-5, atol=1e-6)
    model(data, training=True)
    assert inner.weights[-1].data.any(), "the moving statistics of the inner model do not move"


def test_training_reaches_every_layer_and_a_call_may_fix_it() -> None:
    x, free, fixed = gt.Input((2,)), Counted(), Counted()
    model = gt.Model(x, fixed(free(x), training=False))
    model(np.ones((1, 2)), training=True)
    model(np.ones((1, 2)))
    assert free.modes == [True, None] and fixed.modes == [False, False]


def test_a_layer_may_take_several_arguments() -> None:
    class Scaled(layers.Layer):
        def call(self, x: Any, factor: Any, shift: Any = 0.0) -> Any:
            return x * factor + shift

    a, b = gt.Input((3,)), gt.Input((1,))
    model = gt.Model([a, b], Scaled()(a, b, shift=b))
    assert model.output_shape == (None, 3)
    result = model([np.full((2, 3), 5.0), np.full((2, 1), 2.0)])
    assert result.tolist() == [[12.0] * 3] * 2


def test_thousands_of_layers_need_no_recursion() -> None:
    x = tensor = gt.Input((1,))
    for _ in range(3000):
        tensor = layers.Identity()(tensor)
    model = gt.Model(x, tensor)
    assert model(np.ones((1, 1))).tolist() == [[1.0]]
    assert model.compute_output_shape((7, 1)) == (7, 1)


def test_what_nobody_needs_any_more_is_dropped_while_the_model_runs() -> None:
    seen: list[Any] = []

    class Watched(Counted):
        def call(self, x: Any, training: bool | None = None) -> Any:
            gc.collect()
            seen.append(sum(ref() is not None for ref in refs))
            y = gt.tensor(x.numpy() + 1)
            refs.append(weakref.ref(y))
            return y

    refs: list[Any] = []
    x = tensor = gt.Input((1,))
    for _ in range(5):
        tensor = Watched()(tensor)
    with gt.no_grad():
        gt.Model(x, tensor)(np.zeros((1, 1)))
    assert max(seen) == 1, f"intermediate results alive at each layer: {seen}"


def test_inputs_are_converted_as_their_input_says() -> None:
    x = gt.Input((2,), dtype="float64")
    model = gt.Model(x, layers.Identity(dtype="float64")(x))
    assert model(np.ones((1, 2), "f")).dtype == np.float64
    image = gt.Input((4, 4, 1))
    flat = gt.Model(image, layers.Flatten()(image))
    assert flat(np.ones((3, 4, 4), np.uint8)).shape == (3, 16)
    assert flat(np.ones((3, 4, 4), np.uint8)).dtype == np.float32


# Looking in


def test_a_model_of_what_is_inside_another() -> None:
    model, x = residual_block(), RNG.normal(size=(2, 6, 6, 3)).astype("f")
    features = gt.Model(model.input, [layer.output for layer in model.layers[1:]])
    found = features(x)
    assert [t.shape for t in found] == [(2, 6, 6, 3), (2, 6, 6, 3), (2, 3), (2, 2)]
    np.testing.assert_array_equal(found[-1].numpy(), model(x).numpy())
    assert features.get_layer("conv") is model.get_layer("conv")


def test_a_model_may_begin_in_the_middle_of_another() -> None:
    model, x = residual_block(), RNG.normal(size=(2, 6, 6, 3)).astype("f")
    start = model.get_layer("sum").output
    head, body = gt.Model(start, model.output), gt.Model(model.input, start)
    np.testing.assert_array_equal(head(body(x)).numpy(), model(x).numpy())
    assert [v.name for v in head.layers] == ["sum_input", "pool", "answer"]


def test_a_sequential_model_can_be_looked_into_too() -> None:
    model = gt.Sequential([gt.Input((3,)), layers.Dense(4, name="a"), layers.Dense(2, name="b")])
    x = RNG.normal(size=(5, 3)).astype("f")
    hidden = gt.Model(model.inputs, model.get_layer("a").output)
    np.testing.assert_array_equal(hidden(x).numpy(), model.layers[0](x).numpy())
    model.add(layers.Dense(7))
    assert [t.shape for t in model.outputs] == [(None, 7)]
    popped = model.pop()
    assert model.output.shape == (None, 2) and model.layers[0].output.shape == (None, 4)
    with pytest.raises(AttributeError, match=r"has no output yet: call it on gt\.Input"):
        _ = popped.output


def test_an_output_before_it_is_there() -> None:
    with pytest.raises(AttributeError, match="Dense 'd' has no output yet"):
        _ = layers.Dense(2, name="d").output
    unbuilt = gt.Sequential([layers.Dense(2)], name="s")
    for name in ("output", "outputs", "input", "inputs"):
        with pytest.raises(AttributeError, match=r"Sequential 's' has no (output|input) yet"):
            getattr(unbuilt, name)
    unbuilt(np.ones((1, 3)))
    assert unbuilt.output.shape == (None, 2) and unbuilt.input.shape == (None, 3)
    with pytest.raises(AttributeError, match="has no input shape yet"):
        _ = layers.Dense(2).output_shape


def test_a_shared_layer_has_no_single_output() -> None:
    dense, x = layers.Dense(2, name="d"), gt.Input((2,))
    y = dense(dense(x))
    assert y.call.inputs[0].call.layer is dense
    with pytest.raises(AttributeError, match="Dense 'd' was called 2 times"):
        _ = dense.output


def test_shapes_for_other_inputs_are_computed_not_remembered() -> None:
    x = gt.Input((None, None, 3))
    y = layers.Conv2D(4, 3, 2)(x)
    model = gt.Model(x, [y, y[:, 0] + 1.0])
    assert model.output_shape == [(None, None, None, 4), (None, None, 4)]
    assert model.compute_output_shape((5, 9, 11, 3)) == [(5, 4, 5, 4), (5, 5, 4)]


def text_of(model: gt.Model, **settings: Any) -> str:
    lines: list[str] = []
    model.summary(print_fn=lines.append, **settings)
    return "\n".join(lines)


def test_the_summary_says_what_is_connected_to_what() -> None:
    text = text_of(residual_block())
    rows = {line.split()[0]: line for line in text.splitlines() if "(" in line}
    assert "Connected to" in text
    assert rows["sum"].endswith("image, conv") and rows["answer"].endswith("pool")
    assert rows["image"].split()[1] == "(InputLayer)"
    assert " 84 " in rows["conv"] and rows["conv"].endswith(" image")


def test_the_summary_of_a_chain_has_no_such_column() -> None:
    x = gt.Input((3,))
    assert "Connected to" not in text_of(gt.Model(x, layers.Dense(2)(layers.Dense(3)(x))))


def test_the_summary_of_a_shared_layer_shows_all_its_shapes() -> None:
    x, act = gt.Input((4, 4, 1)), layers.Activation("relu", name="act")
    model = gt.Model(x, layers.Flatten()(act(layers.Conv2D(2, 3)(act(x)))))
    (row,) = [line for line in text_of(model).splitlines() if line.startswith("act ")]
    assert "(None, 4, 4, 1), (None, 2, 2, 2)" in row


# What is refused


def test_an_input_that_is_used_must_be_listed() -> None:
    a, b = gt.Input((2,), name="a"), gt.Input((2,), name="b")
    with pytest.raises(
        ValueError, match=r"depend on Input 'b' \(None, 2\), which is not among.*\(a\)"
    ):
        gt.Model(a, layers.add([a, b]))
    with pytest.raises(ValueError, match="depend on Input 'b'"):
        gt.Model(a, layers.Dense(1)(b))


def test_an_input_may_be_listed_without_being_used() -> None:
    a, b = gt.Input((2,)), gt.Input((2,))
    model = gt.Model([a, b], layers.Dense(1)(a))
    assert model([np.ones((3, 2)), np.ones((3, 2))]).shape == (3, 1)


@pytest.mark.parametrize("wrong", [np.ones((1, 2)), gt.tensor([[1.0]]), 3, "x", [None]])
def test_inputs_and_outputs_are_symbolic(wrong: Any) -> None:
    x = gt.Input((2,))
    with pytest.raises(TypeError, match="outputs must be symbolic tensors"):
        gt.Model(x, wrong)
    with pytest.raises(TypeError, match="inputs must be symbolic tensors"):
        gt.Model(wrong, layers.Dense(1)(x))


def test_other_bad_arguments() -> None:
    x = gt.Input((2,))
    dense = layers.Dense(1, name="d")
    with pytest.raises(TypeError, match=r"received the layer 'd' itself. Call it: x = d\(x\)"):
        gt.Model(x, dense)
    with pytest.raises(TypeError, match="received no outputs"):
        gt.Model(x)
    with pytest.raises(TypeError, match="received no inputs"):
        gt.Model(outputs=dense(x))
    with pytest.raises(ValueError, match="listed twice"):
        gt.Model([x, x], dense(x))
    with pytest.raises(ValueError, match="has no outputs"):
        gt.Model(x, {})
    with pytest.raises(ValueError, match="2 layers named 'd'"):
        gt.Model(x, layers.Dense(1, name="d")(dense(x)))


def test_calls_with_other_inputs_are_refused() -> None:
    a, b = gt.Input((2,), name="a"), gt.Input((3,), name="b")
    model = gt.Model([a, b], layers.Concatenate()([a, b]), name="m")
    one, two = np.ones((1, 2)), np.ones((1, 3))
    with pytest.raises(ValueError, match=r"Model 'm' takes 2 inputs \(a, b\), received 1"):
        model(one)
    with pytest.raises(ValueError, match="received 3"):
        model([one, two, two])
    with pytest.raises(ValueError, match="takes inputs named a, b, received a, c"):
        model({"a": one, "c": two})
    with pytest.raises(ValueError, match=r"input 'b' expected an input \(None, 3\).*axis 1 is 2"):
        model([one, one])


def test_the_error_of_a_layer_names_it() -> None:
    with pytest.raises(
        ValueError, match=r"Dense 'd' expected 4 input features.*received \(None, 5"
    ):
        dense = layers.Dense(1, name="d")
        dense(gt.Input((4,)))
        dense(gt.Input((5,)))


# Subclasses that are made of tensors


def test_a_subclass_may_be_made_of_tensors_and_train_its_own_way() -> None:
    class Own(gt.Model):
        steps = 0

        def train_step(self, data: Any) -> Any:
            Own.steps += 1
            return super().train_step(data)

    x = gt.Input((2,))
    model = Own(x, layers.Dense(1)(x), name="own")
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 1)), batch_size=2, verbose=0)
    assert Own.steps == 2 and isinstance(Own.from_config(model.get_config()), Own)


def test_a_subclass_with_a_constructor_of_its_own() -> None:
    class Tower(gt.Model):
        def __init__(self, units: int = 3, **kwargs: Any) -> None:
            x = gt.Input((2,))
            super().__init__(x, layers.Dense(units)(x), **kwargs)

    model = Tower(4, name="tower")
    assert model(np.ones((1, 2))).shape == (1, 4)
    assert "calls" not in model.get_config()


# Memory and copies


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_a_model_that_nobody_needs_frees_its_weights_at_once(kind: str) -> None:
    if kind == "functional":
        model: gt.Model = residual_block()
        part: Any = gt.Model(model.input, model.get_layer("conv").output)
    else:
        model = gt.Sequential([gt.Input((3,)), layers.Dense(4)])
        part = model.outputs
    gc.collect()
    gc.disable()
    try:
        kernel = weakref.ref(model.weights[-2])
        del model, part
        assert kernel() is None
    finally:
        gc.enable()


def test_outputs_stay_the_same_while_somebody_holds_them() -> None:
    x = gt.Input((2,))
    dense = layers.Dense(2)
    y = dense(x)
    assert dense.output is y and x.call.layer.output is x
    del y
    with pytest.raises(AttributeError, match="has no output yet"):
        _ = dense.output


def test_a_copy_is_a_model_of_its_own() -> None:
    model, x = residual_block(), RNG.normal(size=(2, 6, 6, 3)).astype("f")
    other = copy.deepcopy(model)
    before = model(x).numpy()
    np.testing.assert_array_equal(other(x).numpy(), before)
    other.get_layer("conv").kernel.assign(np.zeros((3, 3, 3, 3)))
    np.testing.assert_array_equal(model(x).numpy(), before)
    inside = gt.Model(other.input, other.get_layer("conv").output)
    assert inside.get_layer("conv") is other.get_layer("conv")
    assert not inside(x).numpy().any()
