"""The backward pass: accumulation, retained and freed graphs, higher orders, hooks, memory."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import gradtape as gt


def leaf(values, dtype=np.float64):
    return gt.tensor(np.asarray(values, dtype), requires_grad=True)


def test_gradients_accumulate_over_uses_and_over_calls():
    x = leaf([1.0, 2.0])
    (x * x + 3 * x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [5, 7])
    (x * 2).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [7, 9])
    x.zero_grad()
    assert x.grad is None


def test_an_earlier_gradient_object_is_not_changed_by_a_later_backward():
    x = leaf([1.0])
    (2 * x).sum().backward()
    first = x.grad
    (2 * x).sum().backward()
    assert first.item() == 2
    assert x.grad.item() == 4


def test_broadcasting_is_summed_back():
    x, y, z = leaf(np.ones((2, 1))), leaf(np.ones(3)), leaf(2.0)
    cotangent = np.arange(6.0).reshape(2, 3)
    (x * y * z).backward(cotangent)
    np.testing.assert_allclose(x.grad.numpy(), 2 * cotangent.sum(1, keepdims=True))
    np.testing.assert_allclose(y.grad.numpy(), 2 * cotangent.sum(0))
    assert z.grad.shape == ()
    assert z.grad.item() == cotangent.sum()


def test_gradients_keep_the_dtype_of_their_input():
    x, y = leaf([1.0], np.float32), leaf([2.0], np.float64)
    (x * y).sum().backward()
    assert x.grad.dtype == np.float32
    assert y.grad.dtype == np.float64


def test_gradients_share_no_memory():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    cotangent = np.ones(2)
    (x + y).backward(cotangent)
    arrays = [x.grad.data, y.grad.data, cotangent, x.data, y.data]
    for i, a in enumerate(arrays):
        for b in arrays[:i]:
            assert not np.shares_memory(a, b)


def test_a_shared_buffer_is_never_accumulated_into():
    x = leaf([1.0, 2.0])
    a, b = x + 0.0, x + 0.0
    y = a + b  # a and b receive the very same cotangent buffer
    a.retain_grad()
    b.retain_grad()
    (y + a + a).backward(np.array([1.0, 10.0]))
    np.testing.assert_allclose(a.grad.numpy(), [3, 30])
    np.testing.assert_allclose(b.grad.numpy(), [1, 10])
    np.testing.assert_allclose(x.grad.numpy(), [4, 40])


def test_higher_orders_through_create_graph():
    x = leaf([0.5, -1.5])
    y = (x**4).sum()
    y.backward(create_graph=True)
    first = x.grad
    np.testing.assert_allclose(first.numpy(), 4 * x.data**3)
    x.grad = None
    first.sum().backward(create_graph=True)
    second = x.grad
    np.testing.assert_allclose(second.numpy(), 12 * x.data**2)
    x.grad = None
    second.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 24 * x.data)


def test_a_freed_graph_says_so_and_a_retained_one_works_twice():
    x = leaf([2.0])
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()
    assert x.grad.item() == 8


def test_backward_needs_a_scalar_or_a_cotangent_of_the_right_shape():
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"shape \(2,\) needs a gradient"):
        (x * 2).backward()
    with pytest.raises(ValueError, match=r"shape \(2,\), received \(3,\)"):
        (x * 2).backward(np.ones(3))
    with pytest.raises(RuntimeError, match="requires no gradient"):
        gt.tensor([1.0]).backward()
    with gt.no_grad():
        y = (x * 2).sum()
    with pytest.raises(RuntimeError, match="requires no gradient"):
        y.backward()


def test_an_overwrite_between_forward_and_backward_is_noticed():
    w = leaf([2.0])
    y = (w * w).sum()
    w.assign([3.0])
    with pytest.raises(RuntimeError, match="overwritten in place"):
        y.backward()
    data = gt.tensor([1.0])
    y = (w * data).sum()
    data[0] = 5.0
    with pytest.raises(RuntimeError, match="overwritten in place"):
        y.backward()


def test_chains_of_100_000_ops_forward_backward_and_freed():
    x = leaf([1.0])
    y = x
    for _ in range(100_000):
        y = y + 1e-5
    y.backward(retain_graph=True)
    assert x.grad.item() == 1
    assert y.item() == pytest.approx(2)
    del y


def test_intermediates_die_after_backward_without_the_garbage_collector():
    x = leaf(np.ones(4))
    gc.disable()
    try:
        hidden = x * 2
        loss = gt.ops.exp(hidden).sum()
        alive = weakref.ref(hidden)
        del hidden
        loss.backward()
        assert alive() is None
        hidden = x * 2
        loss = gt.ops.exp(hidden).sum()
        alive = weakref.ref(hidden)
        del hidden, loss
        assert alive() is None
    finally:
        gc.enable()


def test_hooks_see_the_complete_gradient_and_may_replace_it():
    x = leaf([1.0, 2.0])
    h = x * 3
    seen = []
    remove = h.register_hook(lambda g: seen.append(g.tolist()))
    (h + h).sum().backward()
    assert seen == [[2, 2]]
    remove()
    h = x * 3
    h.register_hook(lambda g: g * 10)
    x.zero_grad()
    h.sum().backward()
    assert x.grad.tolist() == [30, 30]
    assert len(seen) == 1


def test_only_what_requires_a_gradient_gets_one():
    x, constant = leaf([1.0]), gt.tensor(np.array([2.0]))
    (x * constant).sum().backward()
    assert constant.grad is None
    assert x.grad.item() == 2


def test_a_thousand_training_steps_do_not_grow():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 8, 8, 1)).astype(np.float32)
    kernel = gt.tensor(rng.normal(size=(3, 3, 1, 2)).astype(np.float32), requires_grad=True)

    def steps(n):
        for _ in range(n):
            kernel.zero_grad()
            y = gt.ops.max_pool(gt.ops.tanh(gt.ops.conv(x, kernel, padding="same")))
            y.mean().backward()
            kernel.assign(kernel.data - 0.1 * kernel.grad.data)
        return tracemalloc.get_traced_memory()[0]

    gc.disable()
    tracemalloc.start()
    try:
        warm = steps(600)  # until the interpreter has its free lists
        assert steps(1000) - warm < 20_000
    finally:
        tracemalloc.stop()
        gc.enable()
