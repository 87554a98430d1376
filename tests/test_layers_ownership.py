"""Owner: what a layer owns, counts, freezes, copies and overwrites."""

from __future__ import annotations

import numpy as np
import pytest

from gradtape.autograd.variable import Variable
from gradtape.layers import Dense, Dropout, Layer

RNG = np.random.default_rng(0)


class Block(Layer):
    """Nested layers, some in a list that grows, some in a dict."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = Dense(4)
        self.more = []
        self.more.append(Dense(3))
        self.named = {"last": Dense(3, use_bias=False)}

    def call(self, x):
        for layer in [self.first, *self.more, self.named["last"]]:
            x = layer(x)
        return x


def test_layers_in_lists_and_dicts_are_owned_whenever_they_were_added():
    block = Block()
    block(np.ones((2, 5)))
    assert block.count_params() == (5 * 4 + 4) + (4 * 3 + 3) + 3 * 3
    block.more.append(Dense(2))
    block.more[-1].build((None, 3))
    assert block.count_params() == 5 * 4 + 4 + 4 * 3 + 3 + 3 * 3 + 3 * 2 + 2
    block.first = None
    assert len(block.weights) == 5


def test_what_is_shared_counts_once():
    class Twice(Layer):
        def __init__(self):
            super().__init__()
            self.one = Dense(4)
            self.same = self.one
            self.all = [self.one, self]  # even a circle

        def call(self, x):
            return self.same(self.one(x))

    layer = Twice()
    layer(np.ones((1, 4)))
    assert len(layer.weights) == 2
    assert len(layer.named_variables()) == 2


def test_variables_among_the_attributes_are_weights():
    class Own(Layer):
        def __init__(self):
            super().__init__()
            self.table = [Variable([1.0], name="a"), Variable([2.0], trainable=False, name="b")]

        def call(self, x):
            return x * self.table[0]

    layer = Own()
    assert [v.name for v in layer.trainable_weights] == ["a"]
    assert [v.name for v in layer.non_trainable_weights] == ["b"]


def test_weights_do_not_share_the_array_of_a_function_that_made_them():
    array = np.ones((2, 2), np.float32)
    layers = [Dense(2, kernel_initializer=lambda shape, dtype: array) for _ in range(2)]
    for layer in layers:
        layer.build((None, 2))
    layers[0].kernel.assign_add(1.0)
    assert layers[1].kernel.tolist() == array.tolist() == [[1, 1]] * 2


def test_states_are_variables_but_no_weights():
    layer = Dropout(0.5)
    assert layer.weights == []
    assert [v.name for v in layer.variables] == ["random_state"]
    assert layer.non_trainable_variables == layer.variables
    assert layer.trainable_variables == []


def test_freezing_reaches_everything_below_but_never_trains_a_state():
    block = Block()
    block.extra = Layer()
    moving = block.extra.add_weight((1,), "zeros", trainable=False, name="moving")
    block(np.ones((2, 5)))
    count = len(block.trainable_weights)
    block.trainable = False
    assert block.trainable_weights == []
    assert len(block.non_trainable_weights) == count + 1
    assert not any(v.requires_grad for v in block.weights)
    block.trainable = True
    assert len(block.trainable_weights) == count
    assert not moving.trainable
    block.more[0].trainable = False
    assert len(block.trainable_weights) == count - 2


def test_a_layer_frozen_before_it_is_built_makes_frozen_weights():
    layer = Dense(3, trainable=False)
    layer(np.ones((1, 2)))
    assert layer.trainable_weights == []
    layer.trainable = True
    assert len(layer.trainable_weights) == 2


def test_get_and_set_weights():
    one, other = Dense(3), Dense(3)
    x = RNG.normal(size=(4, 5))
    y = one(x)
    other.build((None, 5))
    other.set_weights(one.get_weights())
    assert np.array_equal(other(x).numpy(), y.numpy())
    one.get_weights()[0][:] = 0
    assert np.array_equal(one(x).numpy(), y.numpy())


def test_set_weights_names_every_mismatch_and_changes_nothing():
    layer = Dense(3, name="d")
    layer.build((None, 5))
    before = layer.get_weights()
    with pytest.raises(ValueError, match=r"has 2 weights, received 1 arrays.*d/kernel \(5, 3\)"):
        layer.set_weights(before[:1])
    with pytest.raises(ValueError, match=r"d/kernel has.*received \(3, 5\); d/bias has"):
        layer.set_weights([np.ones((3, 5)), np.ones(5)])
    with pytest.raises(ValueError, match="d/bias has"):
        layer.set_weights([np.ones((5, 3)), np.ones(5)])
    assert np.array_equal(layer.get_weights()[0], before[0])


def test_counting_before_building_says_what_to_do():
    with pytest.raises(ValueError, match=r"'d' has no weights to count.*build\(input_shape\)"):
        Dense(3, name="d").count_params()
    with pytest.raises(AttributeError, match="has not been built"):
        _ = Dense(3).output_shape


def test_regularizers_add_to_the_losses():
    layer = Layer()
    weight = layer.add_weight((2,), "ones", regularizer=lambda w: (w * w).sum() * 0.5)
    (loss,) = layer.losses
    assert loss.item() == 1
    loss.backward()
    assert weight.grad.tolist() == [1, 1]
    layer.trainable = False
    assert layer.losses == []
