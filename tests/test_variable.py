"""Variable: names, trainability, and writing in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.autograd.variable import Variable


def test_requires_grad_follows_trainable():
    v = Variable([1.0, 2.0], name="kernel")
    assert v.trainable
    assert v.requires_grad
    v.trainable = False
    assert not v.requires_grad
    v.trainable = True
    assert v.requires_grad


def test_gradients_reach_a_trainable_variable_only():
    kernel, fixed = Variable([3.0]), Variable([5.0], trainable=False)
    (kernel * fixed).sum().backward()
    assert kernel.grad.tolist() == [5.0]
    assert fixed.grad is None


def test_freezing_forgets_the_gradient():
    v = Variable([1.0])
    (v * 2.0).sum().backward()
    v.freeze(True)
    assert v.grad is None
    v.freeze(False)
    assert v.trainable


def test_a_state_is_never_trained():
    state = Variable([0.0], trainable=False, name="moving_mean", path="bn/moving_mean")
    state.freeze(False)
    assert not state.trainable
    with pytest.raises(ValueError, match=r"'bn/moving_mean' is a state"):
        state.trainable = True


def test_integers_can_only_be_a_state():
    assert Variable([1, 2], trainable=False).dtype.kind == "i"
    with pytest.raises(TypeError, match="cannot be trainable with dtype int"):
        Variable([1, 2])


def test_values_are_copied_in_unless_the_variable_is_put_around_them():
    array = np.zeros(2, np.float32)
    copied, around = Variable(array), Variable.around(array, name="view")
    array[0] = 1
    assert copied.tolist() == [0, 0]
    assert around.tolist() == [1, 0]


def test_assign_writes_into_the_same_memory():
    flat = np.zeros(4, np.float32)
    v = Variable.around(flat[1:3], name="part")
    v.assign([5, 6])
    v.assign_add(1.0)
    v.assign_sub(Variable([2.0, 3.0]))
    assert flat.tolist() == [0, 4, 4, 0]
    assert v.dtype == np.float32


def test_assign_names_the_variable_whose_shape_differs():
    v = Variable(np.zeros((2, 3)), name="kernel", path="dense/kernel")
    with pytest.raises(ValueError, match=r"'dense/kernel' has shape \(2, 3\).*\(3, 2\)"):
        v.assign(np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"'dense/kernel'"):
        v.assign(0.0)


def test_an_overwritten_variable_spoils_the_tape_that_used_it():
    v = Variable([2.0])
    y = (v * v).sum()
    v.assign([3.0])
    with pytest.raises(RuntimeError, match="overwritten in place"):
        y.backward()


def test_the_repr_says_what_it_is():
    v = Variable(gt.tensor([1.0]), name="bias", path="net/dense/bias")
    assert repr(v) == "<Variable net/dense/bias, shape=(1,), dtype=float32>"
    v.trainable = False
    assert repr(v).endswith("trainable=False>")


def test_the_path_is_the_name_unless_given():
    assert Variable([1.0], name="x").path == "x"
    first, second = Variable([1.0]), Variable([1.0])
    assert first.name != second.name


@pytest.mark.parametrize("give", [lambda v: v.numpy(), np.asarray, np.array, lambda v: v.tolist()])
def test_what_a_variable_gives_out_does_not_change_later(give: Any) -> None:
    v = Variable([1.0, 2.0], trainable=False)
    kept = give(v)
    v.assign([3.0, 4.0])
    assert list(kept) == [1.0, 2.0]
    assert list(v.data) == [3.0, 4.0]


@pytest.mark.parametrize("eager", [False, True])
def test_weights_kept_by_numpy_are_those_of_their_epoch(eager: bool) -> None:
    model = gt.Sequential([gt.Input((3,)), gt.layers.Dense(1)])
    optimizer = gt.optimizers.Adam(0.1, use_ema=True)
    model.compile(optimizer, "mse", run_eagerly=eager)
    kernel, kept, seen = model.layers[0].kernel, [], []

    def keep(epoch: int, logs: Any) -> None:
        state = optimizer.get_state()
        given = [kernel.numpy(), model.get_weights()[0], optimizer.average_of(kernel)]
        kept.append([*given, *state.values()])
        seen.append([np.array(v) for v in kept[-1]])

    x = np.ones((8, 3), np.float32)
    model.fit(
        x, x[:, :1] * 5, epochs=3, verbose=0,
        callbacks=gt.callbacks.LambdaCallback(on_epoch_end=keep),
    )  # fmt: skip
    for then, now in zip(seen, kept, strict=True):
        for a, b in zip(then, now, strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(kept[0][0], kept[1][0])
