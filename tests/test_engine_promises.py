"""No silent wrong gradient: what leaves the tape, is overwritten, hooked or threaded is seen."""

from __future__ import annotations

import copy
import math
import pickle
import threading
from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest

import gradtape as gt

o = gt.ops
X = np.array([1.5, -0.5])

#: Every way to take the value out of a tensor of one element, as a number to go on with.
WAYS_OUT = {
    "float": float,
    "int": int,
    "complex": lambda x: complex(x).real,
    "round": round,
    "math": math.sin,
    "item": lambda x: x.item(),
    "tolist": lambda x: x.tolist(),
    "numpy": lambda x: x.numpy(),
    "asarray": np.asarray,
    "array of tensors": lambda x: np.array([x, x]).sum(),
    "float64": np.float64,
    "tensor": gt.tensor,
    "tensor of a list": lambda x: gt.tensor([x, x]).sum(),
    "element": lambda x: _element(x),
    "element of a tensor": lambda x: _element(x, gt.tensor),
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    # These stay on the tape.
    "copy": copy.copy,
    "list": lambda x: o.sum([x, x]),
    "iteration": lambda x: sum(o.reshape(x, (1,))),
    "augmented": lambda x: _augmented(x),
    "where": lambda x: np.where(True, x, 0.0),
}


def _element(x, make=np.array):
    buffer = make(np.zeros(2))
    buffer[0] = x
    return buffer.sum()


def _augmented(x):
    x += 1.0
    return x


@pytest.mark.parametrize("transform", ["grad", "vjp", "jacobian", "jvp", "tape"])
@pytest.mark.parametrize("way", WAYS_OUT)
def test_a_value_that_leaves_a_differentiated_function_has_its_gradient_or_is_refused(
    way, transform
):
    def f(x):
        return x * WAYS_OUT[way](x)

    x = gt.tensor(np.array(1.25))
    derivatives = {
        "grad": lambda: gt.grad(f)(x),
        "vjp": lambda: gt.vjp(f, x)[1](1.0)[0],
        "jacobian": lambda: gt.jacobian(f)(x),
        "jvp": lambda: gt.jvp(f, (x,), (1.0,))[1],
        "tape": lambda: _taped(f, x),
    }
    step = 1e-6
    with gt.no_grad():
        expected = (float(f(x + step)) - float(f(x - step))) / (2 * step)
    try:
        found = derivatives[transform]().item()
    except (TypeError, ValueError, RuntimeError):
        return
    assert found == pytest.approx(expected, rel=1e-6)


def _taped(f, x):
    with gt.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return tape.gradient(y, x)


def test_outside_of_a_differentiated_function_values_are_given_out():
    loss = (gt.tensor(X, requires_grad=True) ** 2).sum()
    assert float(loss) == loss.item() == 2.5
    assert f"{loss:.3f}" == "2.500" and round(loss, 1) == 2.5 and int(loss) == 2
    with gt.no_grad():
        assert gt.grad(lambda x: x * float(x.detach()))(2.0).item() == 2.0


VIEWS = {
    "slice": lambda p: p[:],
    "reshape": lambda p: p.reshape(-1),
    "T": lambda p: p.T,
    "flip": lambda p: o.flip(p, axis=0),
    "expand_dims": lambda p: o.expand_dims(p, 0)[0],
    "split": lambda p: o.split(p, 1)[0],
    "detach": lambda p: p.detach(),
    "stop_gradient": gt.stop_gradient,
    "view of a view": lambda p: p.detach().reshape((2, 1))[:, 0],
    "numpy": lambda p: p.numpy(),
    "asarray": lambda p: np.asarray(p.detach()),
}


@pytest.mark.parametrize("which", ["input", "parameter", "result"])
@pytest.mark.parametrize("way", VIEWS)
def test_a_write_through_a_view_is_noticed_or_changes_nothing(way, which):
    x, p = gt.tensor(X, requires_grad=True), gt.tensor([3.0, 4.0])
    y = o.exp(x * p)
    expected = p.numpy() * np.exp(X * p.numpy())
    with gt.no_grad():
        view = VIEWS[way]({"input": x, "parameter": p, "result": y}[which])
        view[0] = 100.0
    try:
        y.sum().backward()
    except RuntimeError as error:
        assert "overwritten in place" in str(error)
        return
    np.testing.assert_allclose(x.grad.numpy(), expected)


def test_an_array_refilled_before_the_backward_pass_was_copied():
    x, a, index = gt.tensor(X, requires_grad=True), np.array([2.0, 3.0]), np.array([1, 0])
    y = (o.reshape(a, (2,)) * x)[index] * [1.0, 10.0]
    a[:], index[:] = 100.0, 0
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [20.0, 3.0])


def test_a_checkpoint_sees_its_arrays_as_they_were_and_its_tensors_unchanged():
    x, a, t = gt.tensor(X, requires_grad=True), np.array([2.0, 3.0]), gt.tensor([5.0, 7.0])
    y = gt.checkpoint(lambda x, a, t: x * a * t, x, a, t)
    a[:] = 0
    y.sum().backward(retain_graph=True)
    np.testing.assert_array_equal(x.grad.numpy(), [10.0, 21.0])
    t[0] = 1.0
    with pytest.raises(RuntimeError, match="overwritten in place"):
        y.sum().backward()


def test_a_checkpoint_passes_anything_on_and_requires_a_gradient_only_with_reason():
    def f(x, scale, name, cut, function, missing, *, mode):
        assert type(scale) is float and name == "n" and missing is None and mode == [1]
        return function(x * scale)[cut]

    x = gt.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = gt.checkpoint(f, x, 2.0, "n", slice(1, None), o.exp, None, mode=[1])
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0, 2 * np.e**4, 2 * np.e**6], rtol=1e-6)
    constant = gt.checkpoint(f, x.detach(), 2.0, "n", slice(None), o.exp, None, mode=[1])
    assert not constant.requires_grad
    inner = gt.checkpoint(lambda t: gt.grad(lambda s: (s * s).sum())(t), x.detach())
    assert not inner.requires_grad


def test_gradients_that_are_given_out_share_no_memory():
    x, y = (gt.tensor(X, requires_grad=True) for _ in range(2))
    cotangent = np.ones(2)
    _, pull_back = gt.vjp(lambda a, b: a + b, x, y)
    first, second = pull_back(cotangent)
    first[...] = 7.0
    np.testing.assert_array_equal(second.numpy(), 1.0)
    np.testing.assert_array_equal(cotangent, 1.0)
    assert gt.grad(lambda a: a.sum())(X).data.flags.writeable


def test_a_hook_must_keep_shape_and_dtype_and_may_leave_at_any_time():
    x = gt.tensor(X, requires_grad=True)
    seen = []
    removers = []

    def once(g):
        seen.append("once")
        removers[0]()
        removers[0]()

    removers.append(x.register_hook(once))
    x.register_hook(lambda g: seen.append("always"))
    for _ in range(2):
        (x * 2).sum().backward()
    assert seen == ["once", "always", "always"]
    for wrong in (lambda g: g[:1], lambda g: g.astype("float32"), lambda g: 1.0):
        remove = x.register_hook(wrong)
        with pytest.raises(ValueError, match=r"must return a gradient of shape \(2,\)"):
            (x * 2).sum().backward()
        remove()

    def writes(g):
        g[...] = 0.0

    x.register_hook(writes)
    with pytest.raises(RuntimeError, match="wrote into the gradient"):
        (x * 2).sum().backward()


def test_threads_that_add_to_one_gradient_lose_nothing():
    w = gt.tensor([1.0], requires_grad=True)

    def work():
        for _ in range(300):
            (w * 1.0).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert w.grad.item() == 1200


def test_the_update_of_every_lecture_trains_and_elsewhere_is_refused():
    w, v = gt.tensor([1.0, 2.0], requires_grad=True), gt.Variable([3.0], name="v")
    before = w
    (w.sum() * v).sum().backward()
    with gt.no_grad():
        for p in (w, v):
            p -= 0.5 * p.grad
    assert w is before
    np.testing.assert_array_equal(w.numpy(), [-0.5, 0.5])
    np.testing.assert_array_equal(v.numpy(), [1.5])
    with pytest.raises(RuntimeError, match="no_grad"):
        w -= 1.0
    with pytest.raises(RuntimeError, match="assign_add"):
        v += 1.0
    y = total = w * 2  # a result is no leaf: the name goes on to the sum
    total += 1.0
    assert total is not y and total.requires_grad
    x = gt.tensor([1.0])
    with gt.no_grad():
        kept = x
        kept += 1.0  # no parameter: as with numbers
    assert x.item() == 1.0


def test_no_grad_serves_many_times_and_refuses_generators():
    block = gt.no_grad()
    with block, block:
        assert not gt.is_grad_enabled()
    assert gt.is_grad_enabled()
    with block:
        assert not gt.is_grad_enabled()

    @block
    def inside():
        return gt.is_grad_enabled()

    assert not inside() and gt.is_grad_enabled()
    with pytest.raises(TypeError, match="generator"):

        @block
        def later():
            yield 1


def test_numbers_are_leaves_and_structures_of_all_kinds_keep_theirs():
    np.testing.assert_array_equal(gt.jacobian(lambda x: o.stack([x, x * x]))(3.0).numpy(), [1, 6])
    rows = gt.jacobian(lambda x, y: o.stack([x * y, x]), argnums=(0, 1))(3.0, 2.0)
    np.testing.assert_array_equal([r.numpy() for r in rows], [[2, 1], [3, 0]])
    assert gt.jvp(lambda x, y: x * y, (3.0, 2.0), (1.0, 0.0))[1].item() == 2
    assert [g.item() for g in gt.hvp(lambda x, y: x * x * y, (3.0, 2.0), (1.0, 0.0))] == [4, 6]
    assert gt.grad(lambda x: x[0] * x[1])([3.0, 2.0])[1].item() == 3
    pair = namedtuple("pair", "a b")
    assert gt.grad(lambda p: p.a * p.b)(pair(2.0, 3.0)) == pair(3.0, 2.0)
    for kind in (OrderedDict(a=2.0), defaultdict(float, a=2.0)):
        assert type(gt.grad(lambda d: d["a"] * 2)(kind)) is type(kind)
    found = gt.hessian(lambda x, y: x * x * y, argnums=(0, 1))(3.0, 2.0)
    assert [[h.item() for h in row] for row in found] == [[4, 6], [6, 0]]
    assert [g.item() for g in gt.grad(lambda x: x * x, argnums=(0, 0))(3.0)] == [6, 6]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gt.grad(lambda x: x > 0)(1.0), "returned dtype bool, which has no gradient"),
        (lambda: gt.grad(lambda x: x["a"])({"a": 1.0, "b": "s"}), r"argument 0\['b'\].*str 's'"),
        (lambda: gt.grad(lambda x: x)(3), "floating"),
        (lambda: gt.grad(lambda x: x, argnums="0")(3.0), "argnums is the position"),
        (lambda: gt.grad(lambda x: (x, x))(3.0), "has_aux=True"),
        (lambda: gt.jvp(lambda x: x, 3.0, 1.0), "primals is a list or tuple"),
        (lambda: gt.GradientTape().watch(gt.tensor(np.array([1, 2]))), "tensor of floats"),
    ],
)
def test_a_transform_says_what_it_cannot_differentiate(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_a_rule_that_returns_an_array_is_refused_by_name():
    @gt.op(gradients=(lambda g, out, x: np.ones(2),))
    def half_written(x: np.ndarray, /) -> np.ndarray:
        return x * 1.0

    with pytest.raises(TypeError, match=r"rule of 'half_written' for input 0 returned ndarray"):
        half_written(gt.tensor(X, requires_grad=True)).sum().backward()


def test_only_a_nan_or_an_infinity_that_is_made_is_an_anomaly():
    x = gt.tensor(X, requires_grad=True)
    with gt.detect_anomaly():
        masked = o.where(np.array([True, False]), x, -np.inf)
        o.softmax(masked).sum().backward()
        gt.checkpoint(lambda t: o.softmax(o.where(t > 0, t, -np.inf)), x).sum().backward()
        with pytest.raises(FloatingPointError, match=r"divide made the first infinity"):
            o.divide(x, np.zeros(2))


def test_an_anomaly_in_a_recomputed_part_is_found_at_its_line():
    x = gt.tensor(np.array([0.0, 1.0]), requires_grad=True)
    with gt.detect_anomaly():
        y = gt.checkpoint(lambda t: o.sqrt(t), x)  # the slope at 0 is infinite
        with pytest.raises(FloatingPointError, match=r"lambda t: o\.sqrt\(t\)"):
            y.sum().backward()


def test_joining_thousands_of_parts_takes_time_in_proportion():
    parts = [gt.tensor(np.ones(2), requires_grad=True) for _ in range(2000)]
    calls = []
    original = gt.Tensor.__getitem__
    gt.Tensor.__getitem__ = lambda self, index: calls.append(index) or original(self, index)
    try:
        o.stack(parts).sum().backward()
    finally:
        gt.Tensor.__getitem__ = original
    assert len(calls) == 2000 and all(p.grad.numpy().sum() == 2 for p in parts)
