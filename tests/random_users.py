"""Random layers as users write them: what their calls do is drawn, as data, with the model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from test_program_users import Excite, LayerScale, Residual, lift

import gradtape as gt

Array = np.ndarray
Shape = tuple[int, ...]
L, ops = gt.layers, gt.ops

#: What is applied to one tensor, to two, and to a tensor and a number.
ONE: dict[str, Callable[..., Any]] = {
    "tanh": ops.tanh,
    "abs": abs,
    "negative": lambda x: -x,
    "bell": lambda x: ops.exp(-x * x),
    "root": lambda x: ops.sqrt(x * x + 0.1),
    "log": lambda x: ops.log(1 + ops.abs(x)),
    "power": lambda x: (1 + ops.abs(x)) ** 1.5 * 0.3,
    "lift": lambda x: lift(x, beta=0.6),
    "positive": lambda x: (x > 0) * x,
    "inverse": lambda x: 1 / (1.5 + ops.abs(x)),
    "detached": lambda x: x.detach() * 0.5,
}
TWO: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / (2 + ops.abs(y)),
    "maximum": ops.maximum,
    "minimum": ops.minimum,
    "where": lambda x, y: ops.where(x > 0.1, y, 0.5 * y),
    "masks": lambda x, y: ops.where(ops.logical_and(x > 0, y < 1), x, y),
}
NUMBER: dict[str, Callable[..., Any]] = {
    "times": lambda x, n: x * n,
    "plus": lambda x, n: n + x,
    "minus": lambda x, n: n - x,
    "over": lambda x, n: x / (n + 2.0),
    "clip": lambda x, n: ops.clip(x, -abs(n), 1.0),
    "double": lambda x, n: x * np.float64(n),
    "batch": lambda x, n: x * (n + 1 / x.shape[0]),
}
#: What is made of the input along its axes, and how that broadcasts to it.
ALONG: dict[str, Callable[..., Any]] = {
    "mean": lambda x, axis: ops.mean(x, axis=axis, keepdims=True),
    "sum": lambda x, axis: ops.sum(x, axis=axis, keepdims=True) * 0.1,
    "max": lambda x, axis: ops.max(x, axis=axis, keepdims=True),
    "min": lambda x, axis: ops.min(x, axis=axis, keepdims=True),
    "share": lambda x, axis: ops.mean(x > 0, axis=axis, keepdims=True),
}


class Formula(L.Layer):
    """Steps on the input, on weights and constants that broadcast to it, and on results of steps.

    Args:
        steps: (name, places of operands, number).
        weights, constants: their shapes.
    """

    def __init__(self, steps: Any, weights: Any, constants: Any) -> None:
        super().__init__()
        self.steps, self.shapes = steps, weights
        rng = np.random.default_rng(4)
        self.constants = [rng.normal(size=shape).astype(np.float32) for shape in constants]

    def build(self, input_shape: Any) -> None:
        self.numbers = [self.add_weight(shape, "random_normal") for shape in self.shapes]

    def call(self, x: Any) -> Any:
        values = [x, *self.numbers, *self.constants]
        for name, places, number in self.steps:
            given = [values[i] for i in places]
            if name in ALONG:
                values.append(ALONG[name](x, number))
            elif name in NUMBER:
                values.append(NUMBER[name](given[0], number))
            else:
                values.append((ONE if name in ONE else TWO)[name](*given))
        total = x + values[-1]
        for weight in self.numbers:  # each has a gradient
            total = total + 0.1 * (x * weight)
        return ops.tanh(total)


class Moves(L.Layer):
    """Elements in other places: a list of (kind, what)."""

    def __init__(self, moves: Any) -> None:
        super().__init__()
        self.moves = moves

    def call(self, x: Any) -> Any:
        return moved(x, self.moves)


def moved(x: Any, moves: Any) -> Any:
    """What some moves make of a tensor."""
    for kind, what in moves:
        if kind == "reshape":
            x = ops.reshape(x, (x.shape[0], *what))
        elif kind == "transpose":
            x = ops.transpose(x, what)
        elif kind == "slice":
            x = x[what]
        elif kind == "pad":
            x = ops.pad(x, what)
        elif kind == "join":
            x = ops.concatenate([x, x * 0.5], axis=what)
        elif kind == "stack":
            x = ops.stack([x, -x], axis=what)
    return x


class Attention(L.Layer):
    """Pixels that look at each other: products of tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = L.Dense(3), L.Dense(3, use_bias=False)

    def call(self, x: Any) -> Any:
        pixels = ops.reshape(x, (x.shape[0], -1, x.shape[-1]))
        scores = ops.matmul(self.query(pixels), ops.transpose(self.key(pixels), (0, 2, 1)))
        return ops.reshape(ops.matmul(ops.softmax(scores * 0.5), pixels), x.shape)


class Parts(L.Layer):
    """Returns a dict with a list in it."""

    def __init__(self) -> None:
        super().__init__()
        self.noise = L.GaussianNoise(0.1, seed=8)

    def call(self, x: Any, training: bool = False) -> Any:
        return {"a": self.noise(x), "rest": [x * 0.5, ops.tanh(x) if training else x]}


class Whole(L.Layer):
    """Of the parts that another layer returns, with a layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.parts, self.dropout, self.norm = (
            Parts(),
            L.Dropout(0.3, seed=9),
            L.LayerNormalization(),
        )

    def call(self, x: Any) -> Any:
        found = self.parts(x)
        first, second = found["rest"]
        with gt.no_grad():
            gate = ops.sigmoid(second)
        return self.norm(self.dropout(found["a"])) + self.norm(first) * gate


#: From what was drawn to a layer.
LAYERS: dict[str, Callable[[Any], Any]] = {
    "formula": lambda made: Formula(*made),
    "moves": Moves,
    "residual": lambda made: Residual(made),
    "excite": lambda made: Excite(1),
    "scale": lambda made: LayerScale(0.3),
    "attention": lambda made: Attention(),
    "whole": lambda made: Whole(),
}


def drawn_formula(draw: Any, shape: Shape) -> Any:
    """The arguments of a `Formula` for samples of this shape."""
    ones = tuple(1 for _ in shape)
    small = [
        (),
        (1,),
        shape[-1:],
        shape,
        (*ones[:-1], shape[-1]),
        (1, *shape),
        (shape[0], *ones[1:]),
    ]
    weights = draw(st.lists(st.sampled_from(small), max_size=2))
    constants = draw(st.lists(st.sampled_from(small[2:5]), max_size=1))
    #: Which values are no tensors of samples: of two such an op would make no placeholder.
    plain = {i + 1 for i in range(len(weights) + len(constants))}
    steps: list[tuple[str, tuple[int, ...], Any]] = []
    for place in range(1 + len(plain), 1 + len(plain) + draw(st.integers(1, 6))):
        tensors = [i for i in range(place) if i not in plain]
        first = draw(st.sampled_from(tensors[-3:]))
        name = draw(st.sampled_from([*ONE, *TWO, *NUMBER, *ALONG]))
        number: Any = draw(st.sampled_from([0.5, -1.0, 2.0, 0.0, 0.3]))
        places = (first,)
        if name in TWO:
            places = (first, draw(st.sampled_from(range(place))))
            if draw(st.booleans()) and name != "where":
                places = places[::-1]
        elif name in ALONG:
            axes = [tuple(range(1, len(shape))), len(shape), 1] if len(shape) > 1 else [1]
            number = draw(st.sampled_from(axes))
        steps.append((name, places, number))
    return steps, weights, constants


def drawn_moves(draw: Any, shape: Shape) -> tuple[Any, Shape]:
    """Moves of samples of this shape, and what shape they end in."""
    moves: list[tuple[str, Any]] = []
    for _ in range(draw(st.integers(1, 4))):
        rank, size = len(shape), math.prod(shape)
        kind = draw(st.sampled_from(["reshape", "transpose", "slice", "pad", "join", "stack"]))
        what: Any = draw(st.integers(1, rank))
        if kind == "reshape":
            what = draw(st.sampled_from([shape[::-1], (size,), (1, *shape)[:4], shape]))
            what = what if math.prod(what) == size else (size,)
        elif kind == "transpose":
            what = (0, *draw(st.permutations(range(1, rank + 1))))
        elif kind == "slice":
            cuts = [slice(None), slice(0, 1), slice(None, None, 2), slice(None, None, -1)]
            index = [draw(st.sampled_from([*cuts, slice(-2, None), 0])) for _ in shape[:-1]]
            what = (slice(None), *index, draw(st.sampled_from(cuts)))
            what = (..., *what[-1:]) if draw(st.booleans()) else what
        elif kind == "pad":
            sides = st.tuples(st.integers(0, 2), st.integers(0, 1))
            what = ((0, 0), *(draw(sides) for _ in shape))
        if size > 400 and kind in ("pad", "join", "stack"):
            continue
        if kind == "stack" and rank > 3:
            continue
        moves.append((kind, what))
        shape = moved(gt.tensor(np.zeros((2, *shape), np.float32)), moves[-1:]).shape[1:]
    return moves, shape
