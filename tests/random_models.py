"""Random small models: a recipe is drawn, and models are made of it as often as they are needed."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from random_users import LAYERS, drawn_formula, drawn_moves
from test_program_users import focal

import gradtape as gt

Array = np.ndarray
Shape = tuple[int, ...]
L = gt.layers


class Recipe(NamedTuple):
    """A model as data.

    Attributes:
        inputs: the shape of a sample of each.
        steps: (kind, the values it takes, settings), each giving one more value.
        outputs: (value, loss) of each.
        batch: samples in a batch.
        momentum: of the optimizer.
    """

    inputs: list[Shape]
    steps: list[tuple[str, list[int], Any]]
    outputs: list[tuple[int, str]]
    batch: int
    momentum: float


PENALTIES = (None, None, None, "l1", "l2", "l1_l2")
MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
LOSSES = ("sparse", "sparse_logits", "dense", "squared", "focal", "own")


class _Drawn:
    """A recipe in the making, with the shapes of its values.

    Each of the methods from `conv` on adds a step, or none if there is nothing to make it of.
    """

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.batch = self.number(1, 70)
        self.shapes: list[Shape] = [(self.number(2, 6), self.number(2, 6), self.number(1, 4))]
        if self.one_of(True, False):
            self.shapes.append((self.number(1, 5),))
        self.inputs = list(self.shapes)
        self.steps: list[tuple[str, list[int], Any]] = []

    def one_of(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def number(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    def value(self, *ranks: int) -> int | None:
        """One of the last values of these ranks (default: of any)."""
        fitting = [i for i, s in enumerate(self.shapes) if not ranks or len(s) in ranks][-3:]
        return self.one_of(*fitting) if fitting else None

    def any(self) -> int:
        value = self.value()
        assert value is not None
        return value

    def add(self, kind: str, values: list[int], shape: Shape, made: Any = None) -> None:
        self.steps.append((kind, values, made))
        self.shapes.append(shape)

    def activation(self) -> Any:
        return self.one_of(None, "relu", "tanh", "sigmoid")

    def conv(self) -> None:
        value = self.value(3)
        if value is None:
            return
        height, width, _ = self.shapes[value]
        kernel, stride = self.number(1, min(height, width, 3)), self.number(1, 2)
        padding, filters = self.one_of("same", "valid"), self.one_of(1, 2, 3, 5, 16)
        reach = 0 if padding == "same" else kernel - 1
        lengths = [-(-(n - reach) // stride) for n in (height, width)]
        made = (filters, kernel, stride, padding, self.activation(), self.one_of(*PENALTIES))
        self.add("conv", [value], (*lengths, filters), made)

    def pool(self) -> None:
        value = self.value(3)
        if value is None or min(self.shapes[value][:2]) < 2:
            return
        height, width, channels = self.shapes[value]
        kind, stride = self.one_of("MaxPooling2D", "AveragePooling2D"), self.number(1, 2)
        lengths = [(n - 2) // stride + 1 for n in (height, width)]
        self.add("pool", [value], (*lengths, channels), (kind, stride))

    def norm(self) -> None:
        value = self.any()
        if self.batch * math.prod(self.shapes[value][:-1]) >= 16:  # there is a variance
            self.add("norm", [value], self.shapes[value])

    def pointwise(self) -> None:
        value = self.any()
        kind = self.one_of("relu", "tanh", "sigmoid", "dropout", "affine", "odd")
        self.add(kind, [value], self.shapes[value])

    def user(self) -> None:
        """A layer that a user wrote."""
        value = self.any()
        shape = self.shapes[value]
        kinds = ["formula", "formula", "moves", "scale", "whole"]
        if len(shape) == 3:
            kinds += ["residual", "excite", "attention"]
        kind, made = self.one_of(*kinds), None
        if kind == "formula":
            made = drawn_formula(self.draw, shape)
        elif kind == "moves":
            made, shape = drawn_moves(self.draw, shape)
        elif kind == "residual":
            made = shape[-1]
            if self.batch * math.prod(shape[:-1]) < 16:
                return
        elif kind == "whole" and shape[-1] < 3:  # hardly any variance
            return
        self.add(kind, [value], shape, made)

    def merge(self) -> None:
        first, second, kind = self.any(), self.any(), self.one_of(*MERGES)
        rank = max(len(self.shapes[v]) for v in (first, second))
        a, b = ((*(1,) * (rank - len(self.shapes[v])), *self.shapes[v]) for v in (first, second))
        if all(n == m or 1 in (n, m) for n, m in zip(a, b, strict=True)):
            again = kind != "Subtract" and self.one_of(True, False)
            values = [first, second, second] if again else [first, second]
            self.add("merge", values, tuple(map(max, a, b)), kind)

    def concatenate(self) -> None:
        first, second = self.any(), self.any()
        a, b = self.shapes[first], self.shapes[second]
        axes = [i for i in range(len(a)) if (*a[:i], *a[i + 1 :]) == (*b[:i], *b[i + 1 :])]
        if axes and len(a) == len(b):
            axis = self.one_of(*axes)
            shape = (*a[:axis], a[axis] + b[axis], *a[axis + 1 :])
            self.add("concatenate", [first, second], shape, axis + 1)

    def dot(self) -> None:
        first, second = self.any(), self.any()
        a, b = self.shapes[first], self.shapes[second]
        pairs = [(i, j) for i, n in enumerate(a) for j, m in enumerate(b) if n == m]
        if pairs and len(a) + len(b) < 6:
            i, j = self.one_of(*pairs)
            shape = (*a[:i], *a[i + 1 :], *b[:j], *b[j + 1 :]) or (1,)
            self.add("dot", [first, second], shape, (i + 1, j + 1))

    def dense(self) -> None:
        value = self.value(1)
        if value is not None:
            units = self.number(1, 9)
            made = (units, self.activation(), self.one_of(*PENALTIES))
            self.add("dense", [value], (units,), made)

    def vector(self) -> None:
        value = self.value(3)
        if value is not None and self.one_of(True, False):
            self.add("average", [value], self.shapes[value][-1:])
        elif value is not None:
            self.add("flatten", [value], (math.prod(self.shapes[value]),))

    def head(self, value: int) -> tuple[int, str]:
        """An output that is made of a value, and its loss."""
        if len(self.shapes[value]) != 1:
            self.add("flatten", [value], (math.prod(self.shapes[value]),))
            value = len(self.shapes) - 1
        loss = self.one_of(*LOSSES)
        activation = "softmax" if loss in ("sparse", "dense", "focal") else None
        self.add("dense", [value], (4,), (4, activation, None))
        return len(self.shapes) - 1, loss


@st.composite
def recipes(draw: Any) -> Recipe:
    d = _Drawn(draw)
    kinds = [d.conv, d.conv, d.pool, d.norm, d.pointwise, d.merge, d.merge, d.dot]
    kinds += [d.user] * 4
    for _ in range(d.number(1, 7)):
        d.one_of(*kinds, d.concatenate, d.dense, d.vector)()
    last = len(d.shapes) - 1
    outputs = [d.head(last)]
    if d.one_of(True, False):
        outputs.append(d.head(d.number(0, last)))
    return Recipe(d.inputs, d.steps, outputs, d.batch, d.one_of(0.0, 0.5))


class Own(gt.losses.Loss):
    """A loss that a user wrote."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        error = gt.ops.abs(y_true - y_pred)
        return gt.ops.mean(gt.ops.where(error < 0.5, error**2, error - 0.25), axis=-1)


class Odd(L.Layer):
    """A layer that no program knows."""

    def call(self, x: Any) -> Any:
        return gt.ops.sin(x) + x


def _conv(made: Any) -> Any:
    filters, kernel, strides, padding, activation, penalty = made
    return L.Conv2D(
        filters, kernel, strides, padding, activation=activation, kernel_regularizer=penalty
    )


def _dense(made: Any) -> Any:
    units, activation, penalty = made
    return L.Dense(units, activation=activation, kernel_regularizer=penalty)


#: From the settings of a step to its layer. The other kinds are activations.
_LAYERS: dict[str, Any] = {
    **LAYERS,
    "conv": _conv,
    "dense": _dense,
    "pool": lambda made: getattr(L, made[0])(2, strides=made[1]),
    "merge": lambda made: getattr(L, made)(),
    "concatenate": lambda made: L.Concatenate(axis=made),
    "dot": lambda made: L.Dot(made, normalize=True),
    "norm": lambda made: L.BatchNormalization(),
    "dropout": lambda made: L.Dropout(0.4, seed=5),
    "average": lambda made: L.GlobalAveragePooling2D(),
    "flatten": lambda made: L.Flatten(),
    "odd": lambda made: Odd(),
}


def model_of(recipe: Recipe) -> Any:
    """A compiled model; the same weights every time."""
    gt.utils.set_random_seed(3)
    values: list[Any] = [gt.Input(shape) for shape in recipe.inputs]
    inputs = list(values)
    for kind, sources, made in recipe.steps:
        given = [values[i] for i in sources]
        if kind == "affine":
            values.append(given[0] * 0.5 - 0.25)
            continue
        layer = _LAYERS[kind](made) if kind in _LAYERS else L.Activation(kind)
        values.append(layer(given if kind in ("merge", "concatenate", "dot") else given[0]))
    outputs = [values[i] for i, _ in recipe.outputs]
    model = gt.Model(inputs, outputs if len(outputs) > 1 else outputs[0])
    kinds = {
        "sparse": gt.losses.SparseCategoricalCrossentropy(),
        "sparse_logits": gt.losses.SparseCategoricalCrossentropy(from_logits=True),
        "dense": gt.losses.CategoricalCrossentropy(label_smoothing=0.1),
        "squared": gt.losses.MeanSquaredError(),
        "focal": focal,
        "own": Own(),
    }
    losses = [kinds[loss] for _, loss in recipe.outputs]
    optimizer = gt.optimizers.SGD(0.02, momentum=recipe.momentum)
    model.compile(optimizer, losses, loss_weights=[1.0, 0.3][: len(losses)])
    return model


def data_of(recipe: Recipe, seed: int) -> tuple[list[Array], list[Array]]:
    """A batch for a model: inputs, and targets of each output."""
    rng, n = np.random.default_rng(seed), recipe.batch
    x = [rng.normal(size=(n, *shape)).astype(np.float32) for shape in recipe.inputs]
    y: list[Array] = []
    for _, loss in recipe.outputs:
        labels = rng.integers(0, 4, n)
        shares, numbers = np.eye(4)[labels], rng.normal(size=(n, 4))
        kinds = {"dense": shares, "focal": shares, "squared": numbers, "own": numbers}
        y.append(kinds.get(loss, labels))
    return x, y
