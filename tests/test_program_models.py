"""Programs of models of several inputs and outputs, of merges, of penalties, and of ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import program

Array = np.ndarray
L = gt.layers
RNG = np.random.default_rng


def normal(seed: int, *shape: int) -> Array:
    return RNG(seed).normal(size=shape).astype(np.float32)


def twins(make: Callable[[], Any], **compiled: Any) -> tuple[Any, Any]:
    """A model that may use programs and the same one that may not."""
    models = []
    for _ in range(2):
        gt.utils.set_random_seed(1)
        model = make()
        optimizer = gt.optimizers.SGD(0.05, momentum=0.9)
        model.compile(**({"optimizer": optimizer, "loss": "mse"} | compiled))
        models.append(model)
    if isinstance(compiled.get("optimizer"), gt.optimizers.Optimizer):
        raise TypeError("twins need an optimizer each: pass its name")
    models[1]._native = False
    return models[0], models[1]


def close(a: Any, b: Any, atol: float = 2e-6) -> None:
    assert type(a) is type(b)
    if isinstance(a, dict):  # by name, where names may be numbered
        a, b = list(a.values()), list(b.values())
    if not isinstance(a, (list, tuple)):
        a, b = [a], [b]
    for v, w in zip(a, b, strict=True):
        np.testing.assert_allclose(v, w, rtol=2e-5, atol=atol)


def native(model: Any) -> None:
    assert model._native and model._native.reason is None, model._native and model._native.reason


def same(a: Any, b: Any, x: Any, y: Any, weight: Any = None, steps: int = 3) -> None:
    """The same training, testing and predicting, natively in `a`."""
    for _ in range(steps):
        pair = [m.train_on_batch(x, y, weight, return_dict=True) for m in (a, b)]
        native(a)
        close(*pair)
    close(a.get_weights(), b.get_weights())
    close(*(m.test_on_batch(x, y, weight, return_dict=True) for m in (a, b)))
    native(a)
    close(*(m.predict(x, verbose=0) for m in (a, b)))
    native(a)


# Several inputs and outputs


def two_and_two() -> Any:
    image, vector = gt.Input((5, 4, 2), name="image"), gt.Input((3,), name="vector")
    x = L.Conv2D(4, 3, padding="same", activation="relu")(image)
    aux = L.Dense(3, activation="softmax", name="aux")(L.GlobalAveragePooling2D()(x))
    both = L.Concatenate()([L.Flatten()(x), L.Dense(4, activation="tanh")(vector)])
    return gt.Model({"image": image, "vector": vector}, [L.Dense(2, name="main")(both), aux])


LOSSES = {
    "loss": ["mse", "sparse_categorical_crossentropy"],
    "loss_weights": [1.0, 0.3],
    "metrics": [["mae"], ["accuracy"]],
}


@pytest.mark.parametrize("form", [list, tuple, dict])
def test_several_inputs_and_outputs_replay_as_they_run(form: type) -> None:
    arrays = {"image": normal(0, 19, 5, 4, 2), "vector": normal(1, 19, 3)}
    x = arrays if form is dict else form(arrays.values())
    y = [normal(2, 19, 2), RNG(3).integers(0, 3, 19)]
    same(*twins(two_and_two, **LOSSES), x, y)


def test_each_output_has_weights_of_its_own() -> None:
    x, y = [normal(0, 9, 5, 4, 2), normal(1, 9, 3)], [normal(2, 9, 2), RNG(3).integers(0, 3, 9)]
    weights = [RNG(4).uniform(size=9), RNG(5).uniform(size=9).astype(np.float32)]
    same(*twins(two_and_two, **LOSSES), x, y, weights)
    same(*twins(two_and_two, **LOSSES), x, y, [weights[0], None])


def test_targets_by_name_and_fit() -> None:
    a, b = twins(two_and_two, **LOSSES)
    x = {"image": normal(0, 40, 5, 4, 2), "vector": normal(1, 40, 3)}
    y = {"main": normal(2, 40, 2), "aux": RNG(3).integers(0, 3, 40)}
    for model in (a, b):
        model.fit(x, y, batch_size=16, epochs=2, verbose=0, validation_split=0.2)
    native(a)
    for name, values in a.history.history.items():
        np.testing.assert_allclose(values, b.history.history[name], rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("factor", [0.25, 0.0])
def test_one_loss_with_a_factor(factor: float) -> None:
    def make() -> Any:
        return gt.Sequential([gt.Input((4,)), L.Dense(3, name="out")])

    same(*twins(make, loss_weights=[factor]), normal(0, 20, 4), normal(1, 20, 3))


def test_an_output_without_a_loss_is_predicted_and_not_trained() -> None:
    a, b = twins(two_and_two, loss=["mse", None])
    x, y = [normal(0, 7, 5, 4, 2), normal(1, 7, 3)], [normal(2, 7, 2), None]
    before = a.get_layer("aux").kernel.numpy()
    with pytest.warns(UserWarning, match="does not depend on aux/kernel"):
        same(a, b, x, y)
    np.testing.assert_array_equal(a.get_layer("aux").kernel.numpy(), before)


def test_outputs_on_the_way_are_not_overwritten() -> None:
    def make() -> Any:
        x = gt.Input((6,))
        a = L.Dense(5)(x)
        b = L.Activation("tanh")(a)
        c = L.Activation("relu")(b)
        d = L.Reshape((5, 1))(c)
        return gt.Model(x, {"a": a, "b": b, "c": c, "d": d, "x": x})

    y = {name: normal(i, 5, 5) for i, name in enumerate("abc")}
    y |= {"d": normal(3, 5, 5, 1), "x": normal(4, 5, 6)}
    loss = {"a": "mse", "b": "mse", "c": "mse"}
    same(*twins(make, loss=loss), normal(9, 5, 6), y)


def test_siamese_layers_are_shared_and_their_gradients_added() -> None:
    def make() -> Any:
        left, right = gt.Input((6, 6, 16)), gt.Input((6, 6, 16))
        tower = gt.Sequential(
            [
                gt.Input((6, 6, 16)),
                L.Conv2D(16, 3, padding="same", activation="tanh"),
                L.BatchNormalization(),
                L.Conv2D(40, 3, strides=2),
                L.GlobalAveragePooling2D(),
                L.Dense(4),
            ]
        )
        apart = L.Subtract()([tower(left), tower(right)])
        return gt.Model([left, right], L.Dense(1, activation="sigmoid")(apart))

    a, b = twins(make)
    same(a, b, [normal(0, 35, 6, 6, 16), normal(1, 35, 6, 6, 16)], normal(2, 35, 1), steps=2)


def test_models_of_several_inputs_and_outputs_are_layers() -> None:
    def make() -> Any:
        p, q = gt.Input((3,), name="p"), gt.Input((3,), name="q")
        inner = gt.Model([p, q], [L.Dense(4)(p), L.Add()([p, q])], name="inner")
        x = gt.Input((3,))
        first, second = inner([x, L.Dense(3, activation="relu")(x)])
        third, _ = inner([second, x])
        return gt.Model(x, L.Concatenate()([first, second, third]))

    same(*twins(make), normal(0, 6, 3), normal(1, 6, 11))


def test_a_layer_called_for_inference_stays_in_it() -> None:
    def make() -> Any:
        x = gt.Input((4, 4, 2))
        base = gt.Sequential([gt.Input((4, 4, 2)), L.BatchNormalization(), L.Dropout(0.5)])
        return gt.Model(x, L.Dense(2)(L.Flatten()(base(x, training=False))))

    a, b = twins(make)
    same(a, b, normal(0, 8, 4, 4, 2), normal(1, 8, 2))
    np.testing.assert_array_equal(a.layers[1].layers[0].moving_mean.numpy(), 0)


def test_auxiliary_heads_of_googlenet_are_native() -> None:
    model = gt.models.GoogLeNet(input_shape=(96, 96, 3), auxiliary=True, width=0.125, classes=4)
    found = dict(program.reasons(model, (96, 96, 3)))
    heads = [name for name in found if name.startswith("aux")]
    assert heads and not any(found[name] for name in heads)
    assert {name for name, why in found.items() if why} <= {"norm1", "norm2"}


def test_inputs_with_an_axis_of_length_one_more_or_less() -> None:
    def make() -> Any:
        x = gt.Input((6, 5, 1))
        return gt.Model(x, L.Dense(2)(L.Flatten()(L.Conv2D(2, 3)(x))))

    same(*twins(make), normal(0, 5, 6, 5), normal(1, 5, 2))


def test_inputs_that_do_not_fit_are_refused_as_ever() -> None:
    a, _ = twins(two_and_two, **LOSSES)
    y = [normal(2, 7, 2), RNG(3).integers(0, 3, 7)]
    with pytest.raises(ValueError, match="takes 2 inputs"):
        a.train_on_batch([normal(0, 7, 5, 4, 2)], y)
    with pytest.raises(ValueError, match="expected an input"):
        a.train_on_batch([normal(0, 7, 5, 3, 2), normal(1, 7, 3)], y)
    with pytest.raises(ValueError, match="2 outputs"):
        a.train_on_batch([normal(0, 7, 5, 4, 2), normal(1, 7, 3)], y[:1])


def test_a_list_of_one_output() -> None:
    def make() -> Any:
        x = gt.Input((4,))
        return gt.Model([x], [L.Dense(3)(x)])

    a, b = twins(make)
    same(a, b, normal(0, 20, 4), normal(1, 20, 3))
    same(a, b, [normal(0, 20, 4)], [normal(1, 20, 3)])
    assert isinstance(a.predict(normal(0, 20, 4), verbose=0), list)


# Merges


@pytest.mark.parametrize("batch", [3, 33])
@pytest.mark.parametrize("merge", ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"])
@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 3, 4), (2, 3, 4)),
        ((2, 3, 4), (1, 1, 4)),
        ((2, 3, 1), (2, 3, 4)),
        ((2, 1, 4), (1, 3, 1)),
        ((4,), (2, 3, 4)),
    ],
)
def test_merges_stretch_as_they_do_eagerly(
    merge: str, shapes: tuple[tuple[int, ...], ...], batch: int
) -> None:
    def make() -> Any:
        x = gt.Input((5,))
        parts = [L.Reshape(s)(L.Dense(int(np.prod(s)))(x)) for s in shapes]
        if merge not in ("Subtract",):
            parts.append(parts[0])  # a tie with itself
        return gt.Model(x, L.Flatten()(getattr(L, merge)()(parts)))

    a, b = twins(make)
    same(a, b, normal(0, batch, 5), normal(1, batch, *a.output_shape[1:]), steps=2)


def test_ties_share_the_gradient() -> None:
    def make() -> Any:
        x = gt.Input((4,))
        signs = [L.Activation("relu")(d(x)) for d in (L.Dense(6), L.Dense(6))]  # zeros in both
        return gt.Model(x, [L.Maximum()(signs), L.Minimum()(signs)])

    same(*twins(make), normal(0, 18, 4), [normal(1, 18, 6), normal(2, 18, 6)])


def test_nan_in_either_operand_stays() -> None:
    x, y = gt.Input((2,)), gt.Input((2,))
    model = gt.Model([x, y], [L.Maximum()([x, y]), L.Minimum()([x, y])])
    one, nan = np.ones((1, 2), np.float32), np.full((1, 2), np.nan, np.float32)
    for given in ([one, nan], [nan, one]):
        for found in model.predict(given, verbose=0):
            assert np.isnan(found).all()
    native(model)


@pytest.mark.parametrize("axis", [1, 2, 3, -1, -2])
def test_concatenation_along_any_axis(axis: int) -> None:
    def make() -> Any:
        x = gt.Input((5,))
        shapes = [[2, 3, 4], [2, 3, 4], [2, 3, 4]]
        shapes[1][axis - 1 if axis > 0 else axis] = 2
        parts = [L.Reshape(s)(L.Dense(int(np.prod(s)))(x)) for s in shapes]
        return gt.Model(x, L.Flatten()(L.Concatenate(axis=axis)([*parts, parts[0]])))

    a, b = twins(make)
    same(a, b, normal(0, 5, 5), normal(1, 5, *a.output_shape[1:]), steps=2)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(
    ("shapes", "axes"),
    [
        (((5,), (5,)), 1),
        (((4, 3), (2, 3)), 2),
        (((3, 4), (2, 3, 5)), (1, 2)),
        (((3,), (3, 2)), 1),
    ],
)
def test_dot_products_replay_as_they_run(
    shapes: tuple[tuple[int, ...], ...], axes: Any, normalize: bool
) -> None:
    def make() -> Any:
        x = gt.Input((5,))
        parts = [L.Reshape(s)(L.Dense(int(np.prod(s)))(x)) for s in shapes]
        return gt.Model(x, L.Flatten()(L.Dot(axes, normalize)(parts)))

    a, b = twins(make)
    same(a, b, normal(0, 19, 5), normal(1, 19, *a.output_shape[1:]), steps=2)


# Ops on symbolic tensors


def test_ops_on_symbolic_tensors_are_native() -> None:
    def make() -> Any:
        x = gt.Input((4, 4, 2))
        a = L.Conv2D(3, 3, padding="same")(x)
        b = gt.ops.relu(-a * 2 + 1) - a / 4
        c = gt.ops.maximum(b, a * a) + 3 - (1 - a) ** 2
        c = gt.ops.gelu(c) + gt.ops.relu(a, negative_slope=0.1) + gt.ops.softmax(c, axis=-1)
        d = gt.ops.concatenate([c, gt.ops.tanh(a), gt.ops.sigmoid(b)], axis=-1)
        e = gt.ops.reshape(gt.ops.mean(d, axis=(1, 2)), shape=(-1, 9))
        return gt.Model(x, [e, L.Flatten()(d.mean(axis=(1, 2), keepdims=True))])

    y = [normal(1, 18, 9), normal(2, 18, 9)]
    same(*twins(make), normal(0, 18, 4, 4, 2), y)


def test_ops_without_a_lowering_say_so() -> None:
    x = gt.Input((4,))
    model = gt.Model(x, L.Dense(2)(gt.ops.cumsum(x, axis=1)))
    text: list[str] = []
    model.explain(text.append)
    assert "the op 'cumsum'" in text[0] and "has no lowering" in text[0]


# Penalties


@pytest.mark.parametrize("kind", ["l1", "l2", "l1_l2", "function"])
def test_regularizers_belong_to_loss_and_gradient(kind: str) -> None:
    def cubic(v: Any) -> Any:
        return gt.ops.sum(gt.ops.abs(v) ** 3) * 0.01

    def make() -> Any:
        regularizer = cubic if kind == "function" else kind
        wide = L.Dense(
            700, activation="tanh", kernel_regularizer=regularizer, bias_regularizer="l2"
        )
        return gt.Sequential([gt.Input((21,)), wide, L.Dense(2, kernel_regularizer=regularizer)])

    same(*twins(make), normal(0, 18, 21), normal(1, 18, 2))


def test_regularizers_may_change_and_frozen_weights_have_none() -> None:
    def make() -> Any:
        layers = [L.Dense(5, kernel_regularizer=gt.regularizers.L2(0.1)), L.Dense(2)]
        return gt.Sequential([gt.Input((3,)), *layers])

    a, b = twins(make)
    x, y = normal(0, 6, 3), normal(1, 6, 2)
    same(a, b, x, y)
    for model in (a, b):
        model.layers[0].kernel.regularizer.l2 = 0.5
    same(a, b, x, y)
    for model in (a, b):
        model.layers[1].kernel.regularizer = gt.regularizers.L1(0.1)
    same(a, b, x, y)
    for model in (a, b):
        model.layers[0].trainable = False
    same(a, b, x, y)
    for model in (a, b):
        model.layers[1].kernel.regularizer = None
    same(a, b, x, y)


@pytest.mark.parametrize("batch", [1, 18, 33])
def test_activity_regularizers_belong_to_loss_and_gradient(batch: int) -> None:
    def make() -> Any:
        x = gt.Input((5, 4, 2))
        a = L.Conv2D(3, 3, activation="relu", activity_regularizer="l1_l2")(x)
        b = L.Activation("tanh")(L.ActivityRegularization(0.1, 0.2)(a))
        c = L.Dense(3, activity_regularizer="l2")(L.Flatten()(b))
        return gt.Model(x, [c, L.Dense(2)(c)])

    y = [normal(1, batch, 3), normal(2, batch, 2)]
    same(*twins(make, loss_weights=[0.5, 2.0]), normal(0, batch, 5, 4, 2), y)


def test_l1_is_flat_at_zero() -> None:
    def make() -> Any:
        layer = L.Dense(2, kernel_initializer="zeros", kernel_regularizer="l1")
        return gt.Sequential([gt.Input((3,)), layer])

    a, b = twins(make)
    same(a, b, np.zeros((4, 3), np.float32), normal(1, 4, 2))
    np.testing.assert_array_equal(a.layers[0].kernel.numpy(), 0)


@pytest.mark.parametrize("batch", [1, 17, 33])
def test_penalties_merges_and_inputs_stay_in_their_buffers_and_are_the_same_for_any_threads(
    batch: int,
) -> None:
    results = []
    for workers in (1, 2, 3, 4):
        gt.utils.set_random_seed(2)
        image, vector = gt.Input((5, 3, 2)), gt.Input((3,))
        x = L.Conv2D(7, 3, padding="same", kernel_regularizer="l1_l2")(image)
        y = L.Dense(7, activation="sigmoid", bias_regularizer=lambda v: (v * v).sum())(vector)
        z = L.Maximum()([L.Multiply()([x, y]), x])
        z = L.Concatenate(axis=2)([z, L.Average()([x, z, x])])
        model = gt.Model([image, vector], [L.GlobalAveragePooling2D()(z), y])
        optimizer, variables = gt.optimizers.SGD(0.1), model.trainable_variables
        optimizer.build(variables)
        update = program.Update(optimizer, variables)
        graph = program.graph_of(model, [(5, 3, 2), (3,)])
        judged = [program.Judged(gt.losses.MeanSquaredError(), f) for f in (1.0, 0.5)]
        regularized = [v for v in variables if v.regularizer is not None]
        step = program.Step(
            graph, batch, [np.float32] * 2, judged, update, workers, 64, regularized
        )
        found = []
        for seed in range(2):
            xs = [normal(seed, batch, 5, 3, 2), normal(seed + 7, batch, 3)]
            ys = [normal(seed + 8, batch, 7), normal(seed + 9, batch, 7)]
            found.append(step.run(xs, ys)[0])
            step.program.check_canaries()
        results.append((found, [w.tobytes() for w in model.get_weights()]))
    assert all(r == results[0] for r in results)
