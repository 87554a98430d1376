"""A constructor's signature is the configuration, whatever the room."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.config.configured import Configured, is_plain, said
from gradtape.config.serialization import custom_object_scope, deserialize, serialize


class Halved(gt.losses.Loss):
    def __init__(self, factor=0.5, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, y_true, y_pred):
        return gt.ops.mean(gt.ops.abs(y_true - y_pred), axis=-1) * self.factor


class Largest(gt.metrics.Mean):
    def __init__(self, above=1.0, **kwargs):
        super().__init__(**kwargs)
        self.above = above


class Signs(gt.optimizers.Optimizer):
    def __init__(self, learning_rate=0.1, steps=3, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.steps = steps

    def update(self, weights, gradient, slots, scratch, learning_rate):
        weights -= learning_rate * np.sign(gradient)


class Stairs(gt.optimizers.schedules.LearningRateSchedule):
    def __init__(self, top, *, every=2):
        self.top, self.every = top, every

    def __call__(self, step):
        return self.top / (1 + step // self.every)


class Striped(gt.initializers.RandomNormal):
    def __init__(self, stripes=2, **kwargs):
        super().__init__(**kwargs)
        self.stripes = stripes


class Cubic(gt.regularizers.Regularizer):
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return gt.ops.sum(gt.ops.abs(x) ** 3) * self.factor


class Box(gt.constraints.Constraint):
    def __init__(self, sides=(0, 1)):
        self.sides = sides

    def __call__(self, w):
        return gt.ops.clip(w, *self.sides)


OWN: list[Any] = [
    (Halved(0.25, name="half"), {"factor": 0.25}),
    (Largest(2.0), {"above": 2.0}),
    (Signs(steps=7), {"steps": 7}),
    (Stairs(0.5, every=4), {"top": 0.5, "every": 4}),
    (Striped(3, stddev=2.0, seed=1), {"stripes": 3, "mean": 0.0, "stddev": 2.0, "seed": 1}),
    (Cubic(0.1), {"factor": 0.1}),
    (Box((1, 2)), {"sides": [1, 2]}),
]


@pytest.mark.parametrize(("thing", "expected"), OWN, ids=lambda v: type(v).__name__)
def test_a_class_of_a_users_is_saved_by_its_signature(thing: Any, expected: dict[str, Any]) -> None:
    plain = serialize(thing)
    assert {name: plain["config"][name] for name in expected} == expected
    with custom_object_scope({type(thing).__name__: type(thing)}):
        again = deserialize(plain)
    assert type(again) is type(thing)
    assert serialize(again) == plain


def test_attributes_set_later_are_said() -> None:
    accuracy = gt.metrics.BinaryAccuracy(threshold=0.4)
    accuracy.threshold = 0.9
    assert accuracy.get_config()["threshold"] == 0.9
    assert accuracy([[1.0], [0.0]], [[0.8], [0.1]]) == 0.5


def test_what_a_user_holds_otherwise_is_left_to_the_user() -> None:
    class Weighted(gt.losses.Loss):
        def __init__(self, weights=None, inner=None, **kwargs):
            super().__init__(**kwargs)
            self.weights, self.kept = np.ones(3), inner

        def call(self, y_true, y_pred):
            return gt.ops.mean(y_pred * self.weights, axis=-1)

    assert Weighted().get_config() == {"name": "weighted", "reduction": "sum_over_batch_size"}


def test_what_loading_would_need_must_be_said() -> None:
    class Late(gt.optimizers.schedules.LearningRateSchedule):
        def __init__(self, top, after=3):
            self.rates = [0.0] * after + [top]

        def __call__(self, step):
            return self.rates[min(step, len(self.rates) - 1)]

    class Later(Late):
        def get_config(self):
            return {**super().get_config(), "top": self.rates[-1]}

    with pytest.raises(TypeError, match=r"Late must define get_config\(self\).*because top is no"):
        Late(0.1).get_config()
    assert Later(0.1).get_config() == {"top": 0.1}
    assert repr(Late(0.1)) == "Late()"


def test_the_private_attribute_is_the_argument_where_there_are_both() -> None:
    recall = gt.metrics.Recall(top_k=2)
    assert (recall.thresholds, recall.get_config()["thresholds"]) == ([-1e10], None)


def test_arguments_come_in_the_order_of_the_signature_without_those_of_the_base() -> None:
    assert list(said(gt.initializers.HeNormal())) == ["seed", "input_axes", "output_axes"]
    assert list(said(gt.metrics.F1Score(), gt.metrics.Metric)) == ["average", "threshold"]
    assert repr(gt.regularizers.L1(0.5)) == "L1(l1=0.5)"


def test_an_argument_of_the_package_that_is_no_attribute_is_an_error() -> None:
    class Forgetful(Configured):
        def __init__(self, value: int = 1) -> None:
            self.other = value

    Forgetful.__module__ = Configured.__module__
    with pytest.raises(AttributeError, match="value"):
        Forgetful().get_config()


@pytest.mark.parametrize(
    ("value", "plain"),
    [(None, True), ([1, (2.0, "x")], True), ({"a": {"b": np.int64(1)}}, True), ({1: 2}, False),
     (np.ones(2), False), ([object()], False)],
)  # fmt: skip
def test_plain_data(value: Any, plain: bool) -> None:
    assert is_plain(value) is plain
