"""`gradcheck` of a function: what it returns, what it refuses, where it points and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.autograd.tape import OPS
from gradtape.proof.gradcheck import Checked, GradientError, UncheckedError

o = gt.ops
RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 3))
LARGE = RNG.normal(size=(40, 30))  # a Jacobian of 1,440,000 entries


def op_of(forward: Callable[..., Any], *rules: Any, **settings: Any) -> Any:
    """An op of a forward and rules, without samples."""
    forward.__name__ = "broken"
    return gt.op(gradients=rules, **settings)(forward)


def sine(*rules: Any) -> Any:
    return op_of(lambda x, /: np.sin(x), *rules)


def product(*rules: Any, **settings: Any) -> Any:
    return op_of(lambda x, y, /: x * y, *rules, **settings)


# What it returns


def test_it_returns_the_worst_error_as_a_float_that_says_what_was_compared() -> None:
    def f(x: Any, y: Any) -> Any:
        return o.tanh(x @ y).sum(), x * 2

    found = gt.gradcheck(f, [RNG.normal(size=(2, 3)), RNG.normal(size=(3, 2))], order=1)
    assert isinstance(found, float) and 0 < found < 1e-7
    assert found.compared == {"x": 42, "y": 42}  # 6 inputs each, 7 outputs
    assert "42 for x" in repr(found) and float(str(found)) == found
    assert gt.gradcheck(lambda x: x[0] * 2, [np.ones((2, 2), np.float32)]) < 1e-7


def test_an_output_may_be_independent_of_an_input_and_that_is_said() -> None:
    found = gt.gradcheck(lambda x, y: [x * 2, gt.tensor(np.ones(2))], [X, X])
    assert found < 1e-8 and found.unreached == ["y"] and found.compared["y"] > 0
    assert "no dependence on y" in repr(found)


def test_inputs_and_outputs_may_be_structures() -> None:
    def f(d: Any, e: Any) -> Any:
        return {"sum": d["a"] * d["b"][0], "list": [o.sin(d["b"][1]).sum(), e]}

    found = gt.gradcheck(f, [{"a": X, "b": [X, X]}, 2.0])
    assert found < 1e-7
    assert set(found.compared) == {"d['a']", "d['b'][0]", "d['b'][1]", "e"}
    assert gt.gradcheck(lambda d: d["a"] * 2, {"a": X}) < 1e-8


def test_third_order_and_large_functions_are_checked() -> None:
    assert gt.gradcheck(lambda x: o.exp(x) * x, X[0], order=3) < 1e-6
    assert gt.gradcheck(lambda t: o.sigmoid(t @ t.T), LARGE) < 1e-6


def test_a_function_without_arguments_is_checked_by_what_it_uses() -> None:
    w = gt.tensor([1.0, 2.0], requires_grad=True)
    found = gt.gradcheck(lambda: o.sin(w) * w, wrt=w)
    assert found < 1e-7 and found.compared == {"wrt[0]": 8}
    assert w.dtype == np.float32 and w.grad is None


# What it does not take for checked


@pytest.mark.parametrize("x", [3, np.array([1, 2, 3]), [np.array([1, 2])], np.array([True])])
def test_integers_and_bools_are_refused_with_the_fix(x: Any) -> None:
    wrong = op_of(lambda x, /: x**3, lambda g, out, x: g * 2 * x)
    with pytest.raises(UncheckedError, match=r"x is of \w+.*x.astype\(float\)"):
        gt.gradcheck(wrong, x)


def test_an_integer_beside_floats_has_to_be_left_out_by_name() -> None:
    wrong = product(lambda g, out, x, y: g * y, lambda g, out, x, y: g * 2 * x)
    with pytest.raises(UncheckedError, match=r"y is of int64.*wrt=\['x'\]"):
        gt.gradcheck(wrong, [X, np.arange(9).reshape(3, 3)])
    for wrt in ("x", 0, -2, ["x"]):
        found = gt.gradcheck(lambda x, i: x[i], [X, np.array([0, 2])], wrt=wrt)
        assert found < 1e-8 and list(found.compared) == ["x"]
    with pytest.raises(UncheckedError, match="i is of int64"):
        gt.gradcheck(lambda x, i: x[i], [X, np.array([0, 2])], wrt=["x", "i"])


@pytest.mark.parametrize(
    ("fn", "inputs", "said"),
    [
        (o.sin, np.zeros((0, 3)), "x has no elements"),
        (lambda x, y: (x, y), [X, np.zeros((0, 3))], "y has no elements"),
        (lambda: gt.tensor(1.0), (), "no input and no weight"),
        (lambda x: x[:0], X, "nothing but empty"),
        (lambda x: x > 0, X, "output of <lambda> is of bool"),
        (lambda x: (x, o.argmax(x)), X, r"output\[1\] of <lambda> is of int64"),
        (lambda x: gt.tensor(np.ones(2)), X, "depends on none of x"),
        (lambda x: x * RNG.random(), X, "draws random numbers"),
        (lambda x: gt.layers.Dropout(0.5)(x, training=True), X, "draws random numbers"),
        (lambda x: (x.data.__iadd__(1.0), x * 2)[1], X, "writes into its input x"),
        (o.log, -np.ones((2, 2)), r"output\[0, 0\] of log is nan"),
        (lambda x: 1 / (x - x), X, r"output\[0, 0\] of <lambda> is inf"),
        (lambda x: o.sin(x.astype("float32")), X, "computes in float32 from 'astype' on"),
        (lambda x: o.sin(x.astype("float32")).astype("float64"), X, "in float32 from 'astype'"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_refused(fn: Any, inputs: Any, said: str) -> None:
    with np.errstate(all="ignore"), pytest.raises(UncheckedError, match=said):
        gt.gradcheck(fn, inputs)


@pytest.mark.parametrize(
    ("fn", "x", "at"),
    [
        (o.abs, [1.0, 0.0, 2.0], r"x\[1\]: the derivative of output\[1\] is -1 .* and 1 "),
        (o.relu, [1.0, 0.0, 2.0], r"x\[1\]: the derivative of output\[1\] is 0 .* and 1 "),
        (o.max, [1.0, 2.0, 2.0], r"x\[1\]: the derivative of output is 0 .* and 1 "),
        (lambda x: o.floor(x) + x, [0.5, 1.0], r"x\[1\]"),
        (o.abs, np.where(np.arange(1600) == 77, 0, 1.0).reshape(40, 40), r"x\[1, 37\]"),
    ],
)
def test_a_kink_or_jump_at_the_point_is_no_agreement(fn: Any, x: Any, at: str) -> None:
    with pytest.raises(UncheckedError, match=f"has a kink or a jump at {at}"):
        gt.gradcheck(fn, np.array(x))


def test_a_kink_within_the_step_is_stepped_around() -> None:
    assert gt.gradcheck(o.relu, np.array([1.0, 1e-3, -2e-4])) < 1e-8


def test_a_kink_of_the_derivative_is_named_where_it_is_met() -> None:
    with pytest.raises(GradientError, match="kink"):
        gt.gradcheck(lambda x: x * o.abs(x), np.array([1.0, 0.0]))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"order": 0}, "order"), ({"order": -1}, "order"), ({"order": 1.5}, "order"),
        ({"order": True}, "order"), ({"step": 0}, "step"), ({"step": -1e-3}, "step"),
        ({"step": np.inf}, "step"), ({"rtol": np.nan}, "rtol"), ({"rtol": np.inf}, "rtol"),
        ({"rtol": 0.0}, "rtol"), ({"rtol": "1e-6"}, "rtol"), ({"wrt": "y"}, "wrt 'y'"),
        ({"wrt": 1}, "wrt=1"), ({"wrt": []}, "compare nothing"),
    ],
)  # fmt: skip
def test_settings_that_would_check_nothing_are_refused(settings: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        gt.gradcheck(o.sin, X, **settings)


def test_what_is_no_function_or_array_is_refused() -> None:
    with pytest.raises(TypeError, match="a function, a layer or a model, received int"):
        gt.gradcheck(3, X)
    with pytest.raises(TypeError, match="NoneType as axis"):
        gt.gradcheck(o.sum, [X, None])
    with pytest.raises(TypeError, match="returned None"):
        gt.gradcheck(lambda x: None, X)
    with pytest.raises(TypeError, match=r"names or positions.*2\.5"):
        gt.gradcheck(o.sin, X, wrt=2.5)
    with pytest.raises(TypeError, match="the result of 'sin'"):
        w = gt.tensor(X, requires_grad=True)
        gt.gradcheck(lambda x: x * w, X, wrt=o.sin(w))


# Wrong rules, on a small Jacobian and on one too large to be looked at entry by entry


def last_times(factor: float, x: Any) -> np.ndarray:
    """Ones, but for the last element."""
    return np.where(np.arange(x.size) == x.size - 1, factor, 1.0).reshape(x.shape)


WRONG = {
    "factor": lambda: sine(lambda g, out, x: 1.01 * g * o.cos(x)),
    "other function": lambda: sine(lambda g, out, x: g * out),
    "sign of one element": lambda: sine(lambda g, out, x: g * o.cos(x) * last_times(-1, x)),
    "one element missing": lambda: sine(lambda g, out, x: g * o.cos(x) * last_times(0, x)),
    "one element off by 0.1 %": lambda: sine(lambda g, out, x: g * o.cos(x) * last_times(1.001, x)),
    "no rule": lambda: product(lambda g, out, x, y: g * y, None),
    "None": lambda: sine(lambda g, out, x: None),
    "nan": lambda: sine(lambda g, out, x: g * np.nan),
    "term missing": lambda: op_of(lambda x, /: x * np.sin(x), lambda g, out, x: g * o.sin(x)),
    "transposed": lambda: op_of(lambda x, /: x.T * 1.0, lambda g, out, x: g.reshape(x.shape)),
    "exchanged": lambda: product(lambda g, out, x, y: g * x, lambda g, out, x, y: g * y),
    "flipped": lambda: op_of(lambda x, /: np.flip(x).copy(), lambda g, out, x: g),
}


@pytest.mark.parametrize("x", [X, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_is_found_and_named(name: str, x: np.ndarray) -> None:
    wrong = WRONG[name]()
    inputs = [x, x + 1] if wrong.arity == 2 else x
    where = r"Order-1 gradient of broken is wrong at d output\[\d+, \d+\] / d [xy]\[\d+, \d+\]: "
    values = r"\S+ by the rule, \S+ by differences .*"
    with pytest.raises(GradientError, match=where + values + "the gradient rule of 'broken' for"):
        gt.gradcheck(wrong, inputs)


@pytest.mark.parametrize("shape", [(4,), (60, 50)], ids=["small", "large"])
def test_the_only_wrong_entry_is_the_one_that_is_named(shape: tuple[int, ...]) -> None:
    at = tuple(n // 2 for n in shape)

    def rule(g: Any, out: Any, x: Any) -> Any:
        off = np.ones(shape)
        off[at] = 1.5
        return g * o.cos(x) * off

    index = ", ".join(map(str, at))
    with pytest.raises(GradientError, match=rf"d output\[{index}\] / d x\[{index}\]: ") as caught:
        gt.gradcheck(sine(rule), np.full(shape, 0.5))
    assert f"{1.5 * np.cos(0.5):.6g} by the rule, {np.cos(0.5):.6g} by diff" in str(caught.value)


def test_no_single_wrong_entry_hides_among_many() -> None:
    """Whatever the random projections: each gives every entry a weight of a quarter at least."""
    off = np.ones(LARGE.shape)
    off[7, 11] = 1.001
    wrong = sine(lambda g, out, x: g * o.cos(x) * off)
    for seed in range(25):
        with pytest.raises(GradientError, match=r"x\[7, 11\]"):
            gt.gradcheck(wrong, 0.1 * LARGE, order=1, seed=seed)


@pytest.mark.parametrize("x", [X, LARGE], ids=["small", "large"])
def test_a_rule_that_cannot_be_differentiated_is_found_at_second_order(x: np.ndarray) -> None:
    frozen = sine(lambda g, out, x: g * np.cos(x.data))
    assert gt.gradcheck(frozen, x, order=1) < 1e-6
    where = r"Order-2 gradient of broken is wrong at d gradient\(x\)\[\d+, \d+\] / d x\[\d+, \d+\]"
    with pytest.raises(GradientError, match=f"{where}.*'broken' for 'x' has a wrong derivative"):
        gt.gradcheck(frozen, x)


def test_a_rule_that_does_not_sum_over_broadcast_axes_is_found() -> None:
    rules = (lambda g, out, x, y: g * y, lambda g, out, x, y: g * x)
    with pytest.raises(GradientError, match=r"'broken' for input 1 returned shape \(3, 3\)"):
        gt.gradcheck(product(*rules), [X, X[0]])
    OPS.pop("broken")
    assert gt.gradcheck(product(*rules, broadcasts=True), [X, X[0]]) < 1e-7


def test_a_rule_that_raises_is_wrong() -> None:
    with pytest.raises(GradientError, match="ZeroDivisionError"):
        gt.gradcheck(sine(lambda g, out, x: 1 / 0), X)


def test_a_rule_that_rounds_to_float32_is_found_though_it_agrees() -> None:
    rounding = sine(lambda g, out, x: (g * o.cos(x)).astype("float32"))
    with pytest.raises(GradientError, match="rule of 'broken' for 'x' returned float32"):
        gt.gradcheck(rounding, X)


@pytest.mark.parametrize("rule", [lambda g: g * g, lambda g: o.abs(g), lambda g: g + 1.0])
def test_a_rule_that_is_not_linear_in_its_cotangent_is_found(rule: Any) -> None:
    with pytest.raises(GradientError, match="rule of 'broken' for 'x' is not linear"):
        gt.gradcheck(sine(lambda g, out, x: rule(g) * o.cos(x)), X)


# Why a gradient is wrong


@pytest.mark.parametrize(
    "cut",
    [
        lambda x: gt.tensor(x.detach().numpy()) * 2,
        lambda x: x.detach().numpy() * 2,
        lambda x: 2.0 * float(x.detach().sum()),
        lambda x: gt.stop_gradient(x) * 2,
        lambda x: x.detach() * 2,
    ],
)
def test_a_path_that_is_cut_is_named(cut: Any) -> None:
    with pytest.raises(GradientError, match=r"0 by the rule, 2 by .* no gradient reaches x: the p"):
        gt.gradcheck(cut, X)


def test_a_path_of_which_a_part_is_cut_is_named() -> None:
    with pytest.raises(GradientError, match=r"every op on the path has a right gradient by itself"):
        gt.gradcheck(lambda x: x * x.detach(), X)


def test_the_wrong_op_is_named_among_right_ones() -> None:
    wrong = sine(lambda g, out, x: g * o.cos(x) * 1.1)
    with pytest.raises(GradientError, match="rule of 'broken' for 'x' is wrong"):
        gt.gradcheck(lambda x: o.exp(wrong(x * 2) @ x).sum(), X)


def test_the_edge_of_a_domain_is_named() -> None:
    with pytest.raises(GradientError, match="edge of its domain"):
        gt.gradcheck(o.sqrt, np.array([1.0, 1e-8]))


# Layers, models and what functions use


class ChannelScale(gt.layers.Layer):
    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, x: Any) -> Any:
        return x * self.scale


class WrongScale(ChannelScale):
    def call(self, x: Any) -> Any:
        return x * (0.5 * self.scale + 0.5 * self.scale.detach())


def test_a_layer_is_checked_by_its_inputs_and_weights_though_it_is_of_float32() -> None:
    layer = ChannelScale()
    found = gt.gradcheck(layer, X)
    assert found < 1e-8
    assert set(found.compared) == {"inputs", layer.scale.path}
    assert layer.scale.dtype == np.float32 and layer.dtype == "float32"
    np.testing.assert_array_equal(layer.scale.numpy(), 1)
    assert layer(X).dtype == np.float32


def test_a_layer_wrong_in_its_weights_alone_is_found() -> None:
    with pytest.raises(GradientError, match=r"d output\[\d, (\d)\] / d wrong_scale\S*/scale\[\1\]"):
        gt.gradcheck(WrongScale(), X)
    assert gt.gradcheck(WrongScale(), X, wrt="inputs") < 1e-8


def a_model() -> gt.Sequential:
    layers = gt.layers
    return gt.Sequential(
        [
            gt.Input((6, 6, 1)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(4, activation="softmax"),
        ]
    )


def test_a_model_is_checked_and_keeps_its_weights() -> None:
    model, x = a_model(), RNG.normal(size=(2, 6, 6, 1))
    before, held = model.get_weights(), [w.data for w in model.weights]
    found = gt.gradcheck(model, x)
    assert found < 1e-6
    assert set(found.compared) == {"inputs", *(w.path for w in model.trainable_weights)}
    found = gt.gradcheck(lambda t: model(t, training=False), x, order=1, wrt=model.weights)
    assert found < 1e-6
    assert set(found.compared) == {w.path for w in model.trainable_weights}
    assert found.states == [w.path for w in model.non_trainable_weights]
    for w, data, values in zip(model.weights, held, before, strict=True):
        assert w.data is data
        np.testing.assert_array_equal(data, values)


def test_weights_are_as_they_were_after_an_error_too() -> None:
    layer = WrongScale()
    layer(X)
    layer.scale.trainable = False
    data, calls = layer.scale.data, []

    def stops(x: Any) -> Any:
        calls.append(1)
        if len(calls) > 20:
            raise KeyboardInterrupt
        return layer(x)

    with pytest.raises(GradientError):
        gt.gradcheck(layer, X, wrt=layer.scale)
    with pytest.raises(KeyboardInterrupt):
        gt.gradcheck(stops, X, wrt=layer.weights)
    assert layer.scale.data is data and not layer.scale.requires_grad
    assert layer(X).dtype == np.float32


def test_a_layer_that_keeps_statistics_has_the_same_ones_afterwards() -> None:
    class Counting(gt.layers.BatchNormalization):
        def call(self, inputs: Any, **settings: Any) -> Any:
            return super().call(inputs, training=True)

    layer = Counting()
    layer(X)
    before = layer.get_weights()
    assert gt.gradcheck(layer, X) < 1e-6
    for was, now in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_a_function_around_layers_and_variables_is_checked_in_float64() -> None:
    dense = gt.layers.Dense(3, activation="tanh")
    w = gt.Variable([1.0, 2.0, 3.0], name="w")

    def f(x: Any) -> Any:
        return dense(x * w) * w * w

    assert gt.gradcheck(f, X) < 1e-7
    found = gt.gradcheck(f, X, wrt=["x", w, *dense.weights])
    assert found < 1e-7 and len(found.compared) == 4
    assert gt.gradcheck(lambda: o.mean(f(X)), wrt=dense.kernel) < 1e-7
    assert w.dtype == dense.kernel.dtype == np.float32


def test_labels_beside_a_layer_and_losses_are_left_out_by_wrt() -> None:
    embedding, labels = gt.layers.Embedding(4, 3), np.array([1, 2, 1])
    with pytest.raises(UncheckedError, match=r"inputs is of int64.*trainable_weights"):
        gt.gradcheck(embedding, labels)
    assert list(gt.gradcheck(embedding, labels, wrt="embeddings").compared) == [
        embedding.embeddings.path
    ]
    loss = gt.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert gt.gradcheck(loss, [labels, X], wrt="y_pred") < 1e-7
    assert gt.gradcheck(gt.losses.MeanSquaredError(), [X, X + 0.5]) < 1e-7


def test_a_checked_gradient_can_be_told_from_a_number() -> None:
    assert isinstance(gt.gradcheck(o.sin, X), Checked)
