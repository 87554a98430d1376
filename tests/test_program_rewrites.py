"""Rewrites of graphs: each changes its pattern, a user's chain of ops as well, and no result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import program
from gradtape.program import rewrite
from gradtape.program.graph import Graph

Array = np.ndarray
L, ops = gt.layers, gt.ops
SHAPE = (6, 5, 3)


class Convolves(L.Layer):
    """A convolution written in ops, with a bias and a relu."""

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight((3, 3, input_shape[-1], 4), "glorot_uniform")
        self.bias = self.add_weight((4,), "random_normal")

    def call(self, x: Any) -> Any:
        return ops.relu(ops.conv(x, self.kernel, padding="same") + self.bias)


class Multiplies(L.Layer):
    """A dense layer written in ops, on pixels that are listed first."""

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight((input_shape[-1], 4), "glorot_uniform")
        self.bias = self.add_weight((4,), "random_normal")

    def call(self, x: Any) -> Any:
        listed = ops.reshape(x, (x.shape[0], -1, x.shape[-1]))
        return ops.relu(ops.matmul(listed, self.kernel) + self.bias)


class Chains(L.Layer):
    """Elementwise ops, one after the other, and a mask that is read twice."""

    def call(self, x: Any) -> Any:
        mask = x > 0.1
        y = ops.where(mask, ops.exp(-x * x) * 0.5, x / (1 + ops.abs(x)))
        return y * 2 - 0.3 * mask


class Wastes(L.Layer):
    """Computes what nobody reads, and turns axes there and back."""

    def call(self, x: Any) -> Any:
        ops.exp(x * 3)
        turned = ops.transpose(x, (0, 3, 1, 2))
        return ops.transpose(turned, (0, 2, 3, 1)) * 0.5


def _sequential(*layers: Callable[[], Any]) -> Callable[[], Any]:
    def make() -> Any:
        gt.utils.set_random_seed(3)
        made = [layer() for layer in layers]
        return gt.Sequential([gt.Input(SHAPE), *made, L.Flatten(), L.Dense(3, "softmax")])

    return make


def _ops(graph: Graph) -> list[str]:
    return [n.op for n in graph.nodes]


def _relus(graph: Graph) -> int:
    return sum(bool(n.settings.get("relu")) for n in graph.nodes)


def _kept_alone(graph: Graph) -> int:
    return sum(n.op == "shift" for n in graph.nodes)


#: For each rewrite: nets with its pattern, and a number that it lowers.
CASES: dict[str, tuple[list[Callable[[], Any]], Callable[[Graph], int]]] = {
    "drop_unread": ([_sequential(Wastes)], lambda graph: len(graph.nodes)),
    "bias_into_sums": (
        [
            _sequential(Convolves),
            _sequential(Multiplies),
            _sequential(lambda: L.Conv2D(4, 3)),
            _sequential(lambda: L.DepthwiseConv2D(3)),
        ],
        _kept_alone,
    ),
    "relu_into_sums": (
        [
            _sequential(Convolves),
            _sequential(Multiplies),
            _sequential(lambda: L.Conv2D(4, 3, activation="relu")),
        ],
        lambda graph: -_relus(graph),
    ),
    "formulas_into_one": (
        [_sequential(Chains), _sequential(lambda: L.LeakyReLU(0.2), Chains)],
        lambda graph: _ops(graph).count("formula"),
    ),
    "borders_of_inputs": (
        [_sequential(Convolves), _sequential(lambda: L.Conv2D(4, 3, padding="same"))],
        lambda graph: -len(graph.borders),
    ),
}


def _trained(model: Any, graph: Graph, loss: Any) -> list[Array]:
    """Losses, predictions and weights of three steps."""
    model.compile(gt.optimizers.SGD(0.05), loss)
    variables = model.trainable_variables
    model.optimizer.build(variables)
    rng = np.random.default_rng(5)
    update = program.Update(model.optimizer, variables)
    step = program.Step(graph, 19, np.float32, model._scores.loss, update)
    found: list[Array] = []
    for _ in range(3):
        x = rng.normal(size=(19, *SHAPE)).astype("f")
        found += step.run(x, np.eye(3, dtype="f")[rng.integers(0, 3, 19)])
    return [*found, *model.get_weights()]


def test_every_rewrite_has_a_case() -> None:
    assert {r.__name__ for r in rewrite.REWRITES} == CASES.keys()


@pytest.mark.parametrize(
    ("name", "make"),
    [(name, make) for name, (makes, _) in CASES.items() for make in makes],
    ids=[f"{name}-{i}" for name, (makes, _) in CASES.items() for i in range(len(makes))],
)
def test_a_rewrite_changes_its_pattern_and_no_result(
    name: str, make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    count = CASES[name][1]
    model, plain = make(), make()
    graph = program.graph_of(model, SHAPE)
    others = tuple(r for r in rewrite.REWRITES if r.__name__ != name)
    monkeypatch.setattr(rewrite, "REWRITES", others)
    without = program.graph_of(plain, SHAPE)
    assert count(graph) < count(without)
    monkeypatch.setattr(rewrite, name, lambda graph: None)  # nor once the loss has joined
    loss = gt.losses.CategoricalCrossentropy()
    for got, expected in zip(
        _trained(model, graph, loss), _trained(plain, without, loss), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


class Half(gt.losses.CategoricalCrossentropy):
    """A user's loss that builds on one of this package."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return super().call(y_true, y_pred) * 0.5


class Shares(L.Layer):
    """A softmax in a user's layer."""

    def call(self, x: Any) -> Any:
        return ops.softmax(x * 0.7, axis=-1)


@pytest.mark.parametrize("loss", [gt.losses.CategoricalCrossentropy(label_smoothing=0.1), Half()])
def test_a_cross_entropy_of_shares_is_taken_of_what_they_are_made_of(
    loss: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, seen = [], []
    for usual in (True, False):
        gt.utils.set_random_seed(3)
        layers = [Chains(), L.Flatten(), L.Dense(3), Shares()]
        model = gt.Sequential([gt.Input(SHAPE), *layers])
        if not usual:
            monkeypatch.setattr(rewrite, "cross_entropy_of_logits", lambda graph: None)
        drop = rewrite.drop_unread
        monkeypatch.setattr(rewrite, "drop_unread", lambda g, drop=drop: seen.append(g) or drop(g))
        found.append(_trained(model, program.graph_of(model, SHAPE), loss))
        monkeypatch.setattr(rewrite, "drop_unread", drop)
        nodes = [n for n in seen[-1].nodes if n.op == "cross_entropy"]
        assert [n.settings["of_shares"] for n in nodes] == [not usual]
    for got, expected in zip(*found, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
