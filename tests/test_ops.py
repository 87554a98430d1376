"""All ops: what holds for every one of them, and NumPy's own functions called on tensors."""

from __future__ import annotations

import numpy as np
import pytest

import gradtape as gt
from gradtape.autograd.tape import NUMPY, OPS

STEP = 1e-6
RTOL = 1e-6  # of a central difference of that step


def leaf(array):
    return gt.tensor(np.asarray(array), requires_grad=True)


def assert_answers(function, *arrays):
    """`function` of tensors equals itself on arrays, and differentiates as NumPy's differences."""
    rng = np.random.default_rng(0)
    tensors = [leaf(a) for a in arrays]
    results, expected = function(*tensors), function(*arrays)
    if not isinstance(results, list):
        results, expected = [results], [expected]
    directions = [rng.uniform(-1, 1, np.shape(a)) for a in arrays]
    by_rule = by_difference = 0.0
    for i, (ours, theirs) in enumerate(zip(results, expected, strict=True)):
        assert isinstance(ours, gt.Tensor)
        assert ours.dtype == np.asarray(theirs).dtype
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-13, atol=1e-13)
        cotangent = rng.uniform(-1, 1, ours.shape)
        above, below = (
            function(*(a + sign * STEP * d for a, d in zip(arrays, directions, strict=True)))
            for sign in (1, -1)
        )
        if isinstance(expected, list) and isinstance(above, list):
            above, below = above[i], below[i]
        by_difference += np.sum(cotangent * (above - below)) / (2 * STEP)
        if ours.requires_grad:
            ours.backward(cotangent, retain_graph=True)
    for t, d in zip(tensors, directions, strict=True):
        by_rule += 0.0 if t.grad is None else np.sum(t.grad.numpy() * d)
    assert by_rule == pytest.approx(by_difference, rel=RTOL, abs=RTOL)


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_op_has_fifty_samples(name):
    assert len(list(OPS[name].samples(np.random.default_rng(0)))) >= 50


#: Float ufuncs of NumPy that no op answers for, and why.
UNANSWERED = {
    "nextafter": "not a function of the reals",
    "spacing": "not a function of the reals",
    "frexp": "two results, one an integer",
    "modf": "two results",
    "divmod": "two results",
    "matvec": "newer than the oldest NumPy supported",
    "vecmat": "newer than the oldest NumPy supported",
}


def float_ufuncs():
    found = {getattr(np, name) for name in dir(np) if isinstance(getattr(np, name), np.ufunc)}
    return sorted(
        (f for f in found if any("d" in t.partition("->")[0] for t in f.types)),
        key=lambda f: f.__name__,
    )


@pytest.mark.parametrize("ufunc", float_ufuncs(), ids=lambda f: f.__name__)
def test_numpy_ufuncs_answer(ufunc):
    if ufunc.__name__ in UNANSWERED:
        with pytest.raises(TypeError, match=rf"np\.{ufunc.__name__} is not supported on tensors"):
            ufunc(*[leaf(np.ones(2))] * ufunc.nin)
        return
    rng = np.random.default_rng(1)
    low = 1.2 if ufunc is np.arccosh else 0.2
    arrays = [rng.uniform(low, low + 0.6, (3, 3)) + 0.7 * i for i in range(ufunc.nin)]
    if ufunc is np.ldexp:
        exponents = rng.integers(-3, 3, (3, 3))
        assert_answers(lambda x: np.ldexp(x, exponents), arrays[0])
    elif ufunc(*arrays).dtype == np.bool_:
        ours = ufunc(*map(leaf, arrays))
        assert not ours.requires_grad
        np.testing.assert_array_equal(ours.numpy(), ufunc(*arrays))
    else:
        assert_answers(ufunc, *arrays)


def test_a_ufunc_of_an_array_and_a_tensor_answers_in_either_order():
    array, x = np.array([1.0, 2.0]), leaf([3.0, 4.0])
    for ours in (np.logaddexp(array, x), np.logaddexp(x, array), array * x, array @ x):
        assert isinstance(ours, gt.Tensor)
        assert ours.requires_grad


A, B = np.random.default_rng(2).uniform(0.5, 2, (2, 2, 3))
SQUARE = np.random.default_rng(3).uniform(0.5, 2, (3, 3))

PROTOCOL = {
    "sum": (lambda x: np.sum(x, axis=0), A),
    "sum keepdims": (lambda x: np.sum(x, 1, keepdims=True), A),
    "mean": (lambda x: np.mean(x, axis=-1), A),
    "var": (lambda x: np.var(x, axis=1, ddof=1), A),
    "std": (lambda x: np.std(x, axis=(0, 1), ddof=1), A),
    "prod": (lambda x: np.prod(x, axis=0), A),
    "cumsum": (lambda x: np.cumsum(x, axis=1), A),
    "cumsum flat": (np.cumsum, A),
    "max": (lambda x: np.max(x, axis=0, keepdims=True), A),
    "min": (np.min, A),
    "amax": (lambda x: np.amax(x, 0), A),
    "amin": (lambda x: np.amin(x, 0), A),
    "norm": (np.linalg.norm, A),
    "norm along": (lambda x: np.linalg.norm(x, 1, axis=0), A),
    "norm of a vector": (lambda x: np.linalg.norm(x, np.inf), A[0]),
    "vector_norm": (lambda x: np.linalg.vector_norm(x, ord=1, axis=(0, 1)), A),
    "clip": (lambda x: np.clip(x, 0.8, 1.5), A),
    "where": (lambda x, y: np.where(A > 1, x, y), A, B),
    "concatenate": (lambda x, y: np.concatenate([x, y], axis=1), A, B),
    "stack": (lambda x, y: np.stack((x, y), axis=-1), A, B),
    "hstack": (lambda x, y: np.hstack([x, y]), A, B),
    "vstack": (lambda x, y: np.vstack([x, y[0]]), A, B),
    "split": (lambda x: np.split(x, 3, axis=1), A),
    "split at": (lambda x: np.split(x, [1], axis=1), A),
    "reshape": (lambda x: np.reshape(x, (3, 2)), A),
    "ravel": (np.ravel, A),
    "transpose": (np.transpose, A),
    "moveaxis": (lambda x: np.moveaxis(x, 0, -1), A),
    "swapaxes": (lambda x: np.swapaxes(x, 0, 1), A),
    "expand_dims": (lambda x: np.expand_dims(x, (0, 2)), A),
    "squeeze": (lambda x: np.squeeze(x, axis=0), A[:1]),
    "broadcast_to": (lambda x: np.broadcast_to(x, (4, 2, 3)), A),
    "tile": (lambda x: np.tile(x, (2, 1, 2)), A),
    "repeat": (lambda x: np.repeat(x, 2, axis=0), A),
    "repeat each": (lambda x: np.repeat(x, [2, 0, 1], axis=1), A),
    "flip": (lambda x: np.flip(x, axis=1), A),
    "roll": (lambda x: np.roll(x, (1, -1), axis=(0, 1)), A),
    "pad": (lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=1.5), A),
    "pad edge": (lambda x: np.pad(x, 2, "edge"), A),
    "pad reflect": (lambda x: np.pad(x, (1, 1), mode="reflect"), A),
    "take": (lambda x: np.take(x, [2, 0, 2], axis=1), A),
    "take_along_axis": (lambda x: np.take_along_axis(x, np.argsort(-A, axis=1), 1), A),
    "sort": (lambda x: np.sort(x, axis=0), A),
    "sort last": (np.sort, A),
    "sort flat": (lambda x: np.sort(x, axis=None), A),
    "triu": (lambda x: np.triu(x, 1), A),
    "tril": (lambda x: np.tril(x, -1), SQUARE),
    "diag of a vector": (lambda x: np.diag(x, 1), A[0]),
    "diag of a matrix": (lambda x: np.diag(x, -1), SQUARE),
    "diagonal": (lambda x: np.diagonal(x, 1), SQUARE),
    "trace": (np.trace, SQUARE),
    "copy": (np.copy, A),
    "matmul": (lambda x, y: np.matmul(x, y.T), A, B),
    "einsum": (lambda x, y: np.einsum("ij,kj->ik", x, y), A, B),
    "einsum implicit": (lambda x, y: np.einsum("ij,kj", x, y), A, B),
    "tensordot": (lambda x, y: np.tensordot(x, y, axes=((0, 1), (0, 1))), A, B),
    "dot": (lambda x, y: np.dot(x, y[0]), A, B),
    "inner": (np.inner, A, B),
    "outer": (np.outer, A, B),
    "vdot": (np.vdot, A, B),
    "vecdot": (np.vecdot, A, B),
    "kron": (np.kron, A, B),
}


@pytest.mark.parametrize("case", PROTOCOL.values(), ids=PROTOCOL)
def test_numpy_functions_answer(case):
    function, *arrays = case
    assert_answers(function, *arrays)


def test_numpy_functions_without_a_gradient_answer():
    x = leaf(A)
    for function in (np.argmax, np.argmin, np.argsort, np.any, np.all):
        ours = function(x, axis=0)
        assert isinstance(ours, gt.Tensor)
        assert not ours.requires_grad
        np.testing.assert_array_equal(ours.numpy(), function(A, axis=0))


def test_matrix_norms_are_refused_rather_than_read_as_vector_norms():
    with pytest.raises(TypeError, match="matrix norm"):
        np.linalg.norm(leaf(A), 1)
    with pytest.raises(TypeError, match="matrix norm"):
        np.linalg.norm(leaf(A), 2, axis=(0, 1))


def test_a_setting_only_numpy_has_is_refused():
    with pytest.raises(TypeError, match=r"initial=1\.0 is not supported"):
        np.sum(leaf(A), initial=1.0)
    with pytest.raises(TypeError, match="kind='heapsort' is not supported"):
        np.argsort(leaf(A), kind="heapsort")


def test_an_op_may_answer_for_several_functions():
    assert NUMPY[np.radians].op is NUMPY[np.deg2rad].op is OPS["deg2rad"]
    assert NUMPY[np.fabs].op is NUMPY[np.abs].op is OPS["abs"]


@pytest.mark.parametrize(("name", "others"), [("std", 0), ("stack", 0), ("log1p", 0), ("kron", 1)])
def test_what_is_no_array_is_refused_by_the_name_of_the_op(name, others):
    with pytest.raises(TypeError, match=rf"^{name}: (A tensor holds|received NoneType)"):
        OPS[name](None, *[np.ones(3)] * others)
