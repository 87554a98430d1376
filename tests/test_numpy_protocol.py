"""NumPy's functions called on tensors: by its own signatures, equal to it or refused."""

from __future__ import annotations

import inspect
import itertools
import zlib

import numpy as np
import pytest

import gradtape as gt
from gradtape.autograd.tape import NUMPY

X = np.random.default_rng(0).permutation(6).reshape(2, 3) + 0.5
OUT = np.zeros((2, 3))

#: What to try for a parameter of a NumPy function, by its name.
ARRAYS = ("a", "x", "v", "m", "A", "ary", "arr", "array", "y", "condition")
VALUES = {
    **{name: [X] for name in ARRAYS},
    "b": [X.T.copy(), X],
    "arrays": [[X, X], (X, X + 1), X],
    "tup": [[X, X], (X, X + 1), X],
    "axis": [0, -1, None, (0,), (0, 1), np.int64(1), 2],
    "axes": [None, 0, 1, (1, 0), ((0,), (0,)), np.int64(1)],
    "axis1": [0, -1],
    "axis2": [1, 0],
    "dtype": [None, np.float64, np.float32, "f4", np.int64, np.int8, bool, np.float16],
    "out": [None, OUT],
    "keepdims": [False, True],
    "initial": [0.0, 100.0],
    "where": [True, np.array([True, False, True])],
    "ddof": [0, 1, 0.5],
    "correction": [0, 1],
    "mean": [np.full((), 2.0)],
    "ord": [None, 2, 1, np.inf, "fro", 3],
    "a_min": [1.0, None, np.float64(2)],
    "a_max": [3.0, None],
    "min": [1.0, None],
    "max": [3.0],
    "order": ["C", "F", "K", "A", None],
    "kind": [None, "stable", "quicksort", "heapsort"],
    "stable": [None, True],
    "copy": [None, True],
    "subok": [False, True],
    "casting": ["same_kind", "no", "unsafe"],
    "shape": [(3, 2), (6,), -1, (4, 2, 3), (np.int64(3), 2)],
    "newshape": [None, (3, 2)],
    "indices": [np.array([[0, 1, 1]]), [0, 1]],
    "indices_or_sections": [1, [1, 2]],
    "mode": ["raise", "wrap", "clip", "constant", "edge", "reflect", "mean"],
    "source": [0, (0, 1)],
    "destination": [-1, (1, 0)],
    "shift": [1, -2, (1, 2), np.int64(1)],
    "reps": [2, (2, 1), np.array([1, 2])],
    "repeats": [2, [1, 2], np.int64(3)],
    "pad_width": [1, ((1, 0), (0, 2))],
    "constant_values": [1.5, (1.0, 2.0)],
    "k": [0, 1, -1],
    "offset": [0, 1, -1],
    "optimize": [False, True, "greedy"],
}
#: The settings that functions take in ``**kwargs``, and what einsum is called on.
EXTRA = {"pad": ["constant_values"], "clip": ["dtype", "where"], "einsum": ["dtype", "order"]}
OPERANDS = [("ij,kj->ik", X, X), ("ij->j", X), (X, [0, 1], X, [2, 1]), (X, [0, 1], X, [2, 1], [2])]

FUNCTIONS = [f for f in NUMPY if not isinstance(f, np.ufunc)]
UFUNCS = [f for f in NUMPY if isinstance(f, np.ufunc)]


def signature(function):
    """That of a NumPy function; before NumPy 2.4, what is known of those written in C."""
    try:
        return inspect.signature(function)
    except ValueError:
        known = {
            "where": "condition, x, y", "concatenate": "arrays, axis=0", "dot": "a, b",
            "inner": "a, b", "vdot": "a, b",
        }  # fmt: skip
        return inspect.signature(eval(f"lambda {known[function.__name__]}: None"))


def calls(function):
    """Calls of a function drawn from its signature: what it needs, and up to three options."""
    rng = np.random.default_rng(zlib.crc32(function.__name__.encode()))
    parameters = [
        p
        for p in signature(function).parameters.values()
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    needed = [p.name for p in parameters if p.default is p.empty or p.name in ARRAYS]
    optional = [p.name for p in parameters if p.name not in needed]
    optional += EXTRA.get(function.__name__, [])
    chosen = [()]
    chosen += [(name,) for name in optional]
    chosen += itertools.combinations(optional, 2)
    chosen += [tuple(rng.permutation(optional)[:3]) for _ in range(4 if len(optional) > 2 else 0)]
    for options in chosen:
        names = [*needed, *options]
        every = list(itertools.product(*(range(len(VALUES[name])) for name in names)))
        for i in rng.permutation(len(every))[: 6 if len(options) < 2 else 2]:
            yield {n: VALUES[n][j] for n, j in zip(names, every[i], strict=True)}


def placed(function, given, by_position):
    """A call's arguments, by keyword where the signature allows, or by position as far as it can.

    What lies before an argument by position is said too, as its default.
    """
    args, kwargs = [], dict(given)
    parameters = list(signature(function).parameters.values())
    last = max(
        (i for i, p in enumerate(parameters) if p.name in given and p.kind < p.VAR_POSITIONAL),
        default=-1,
    )
    for i, p in enumerate(parameters):
        if p.kind is p.POSITIONAL_ONLY or (by_position and i <= last):
            if p.name not in kwargs and p.default is p.empty:
                break
            args.append(kwargs.pop(p.name, p.default))
    return args, kwargs


def on_tensors(value):
    """The same argument with tensors for its floating arrays."""
    if isinstance(value, np.ndarray) and value.dtype == np.float64:
        return gt.tensor(value, requires_grad=True)
    if isinstance(value, (list, tuple)):
        return type(value)(on_tensors(v) for v in value)
    return value


def answer(function, args, kwargs):
    try:
        with np.errstate(all="ignore"):
            return function(*args, **kwargs), None
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        return None, error


def compare(function, args, kwargs):
    """1 if tensors gave what arrays give, 0 if they were refused; anything else fails."""
    moved = {name: on_tensors(value) for name, value in kwargs.items()}
    ours, error = answer(function, [on_tensors(a) for a in args], moved)
    if error is not None:
        assert len(str(error)) > 20, f"{type(error).__name__}: {error}"
        return 0
    assert not any(a is OUT for a in (*args, *kwargs.values())), "what to write into was ignored"
    expected, refused = answer(function, args, kwargs)
    if refused is not None:
        return 0  # and NumPy does not say what it would be
    several = isinstance(expected, list)
    for mine, theirs in zip(ours, expected, strict=True) if several else [(ours, expected)]:
        assert isinstance(mine, gt.Tensor)
        assert mine.dtype == np.asarray(theirs).dtype
        np.testing.assert_allclose(mine.numpy(), theirs, rtol=1e-6 if mine.dtype == "f4" else 1e-12)
    return 1


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_any_call_by_numpys_signature_gives_what_numpy_gives_or_is_refused(function):
    if function is np.einsum:
        drawn = [(list(o), {}) for o in OPERANDS] + [
            (list(o), {name: v}) for o in OPERANDS for name in ("optimize", "dtype", "order", "out")
            for v in VALUES[name]
        ]  # fmt: skip
    else:
        drawn = [
            placed(function, given, by_position)
            for given in calls(function)
            for by_position in (False, True)
        ]
    answered = [compare(function, *call) for call in drawn]
    assert sum(answered) >= 1, f"only {sum(answered)} of {len(answered)} calls were answered"


OPTIONS = {
    "out": [None, np.zeros((2, 3))],
    "where": [True, np.array([True, False, True])],
    "casting": ["same_kind", "safe", "no"],
    "order": ["K", "C", "F"],
    "dtype": [None, np.float64, np.float32, np.int64, bool],
    "subok": [True, False],
    "signature": [None, "d->d"],
    "axis": [-1, 0],
    "keepdims": [False, True],
    "axes": [[(0, 1), (0, 1), (0, 1)]],
}


@pytest.mark.filterwarnings("ignore:'where' used without 'out'")
@pytest.mark.parametrize("dtype", [np.float64, np.uint8, bool])
@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda f: f.__name__)
def test_any_call_of_a_ufunc_gives_what_numpy_gives_or_is_refused(ufunc, dtype):
    arrays = [np.array([[1, 2, 1], [1, 3, 2]], dtype) for _ in range(ufunc.nin)]
    if ufunc is np.matmul:
        arrays[1] = arrays[1].T
    if ufunc is np.ldexp:
        arrays[1] = arrays[1].astype(int)
    for options in [{}, *({n: v} for n, values in OPTIONS.items() for v in values)]:
        ours, error = answer(ufunc, [gt.tensor(a) for a in arrays], options)
        if error is not None:
            assert len(str(error)) > 20
            assert options or dtype is not np.float64, f"refused plain floats: {error}"
            continue
        assert options.get("out") is None
        expected, refused = answer(ufunc, arrays, options)
        if refused is None:
            half = expected.dtype == np.float16
            rtol = 2e-3 if half else 1e-6 if ours.dtype == np.float32 else 1e-12
            np.testing.assert_allclose(ours.numpy(), expected, rtol=rtol)
            assert ours.dtype.kind == expected.dtype.kind
            if options.get("dtype") is not None:
                assert ours.dtype == expected.dtype


def test_methods_of_ufuncs_are_refused_by_name():
    x = gt.tensor(np.ones(3), requires_grad=True)
    for call, name in [
        (lambda: np.add.reduce(x), "np.add.reduce"),
        (lambda: np.add.accumulate(x), "np.add.accumulate"),
        (lambda: np.multiply.outer(x, x), "np.multiply.outer"),
        (lambda: np.add.at(np.zeros(3), [0, 1, 2], x), "np.add.at"),
        (lambda: np.add.reduceat(x, [0]), "np.add.reduceat"),
    ]:
        with pytest.raises(TypeError, match=f"{name} is not supported on tensors"):
            call()
    total = np.zeros(3)
    with pytest.raises(TypeError, match=r"np\.add with out"):
        total += x


def test_what_is_refused_is_named_with_what_was_given():
    x = gt.tensor(X, requires_grad=True)
    for call, message in [
        (lambda: np.sum(x, where=X > 1), r"np\.sum with where=an array of shape \(2, 3\)"),
        (lambda: np.max(x, 0, OUT), r"np\.max with out=an array"),
        (lambda: np.ravel(x, "F"), r"np\.ravel with order='F'"),
        (lambda: np.take(x, [0], mode="wrap"), r"np\.take with mode='wrap'"),
        (lambda: np.clip(x, 1.0, 2.0, where=X > 1), r"np\.clip with where=an array"),
        (lambda: np.var(x, ddof=1, correction=0), r"np\.var: correction says again"),
        (lambda: np.stack([x], dtype=np.int64), r"np\.stack: cannot convert float64"),
        (lambda: np.mean(x, dtype=np.int64), r"np\.mean .*int64 in NumPy, but float32 on tensors"),
        (lambda: np.reciprocal(gt.tensor([2])), r"np\.reciprocal of integers gives int64"),
        (lambda: np.fft.fft(x), r"np\.fft is not supported"),
    ]:
        with pytest.raises(TypeError, match=message):
            call()


def test_the_dtype_of_a_reduction_is_that_in_which_it_is_computed():
    x = gt.tensor(np.float32([1, 2**24, 1]), requires_grad=True)
    total = np.sum(x, 0, np.float64)
    assert (total.item(), total.dtype) == (2**24 + 2, np.float64)
    np.cumsum(x, 0, np.float64).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [3, 2, 1])
    assert x.grad.dtype == np.float32
    assert np.sum(x, dtype=np.int8).item() == np.sum(x.numpy(), dtype=np.int8) == 2


def test_a_tensor_in_the_place_of_a_list_of_arrays_is_the_list_of_its_rows():
    x = gt.tensor(X, requires_grad=True)
    assert np.concatenate(x).shape == (6,)
    assert np.stack(x, axis=1).shape == (3, 2)
    assert np.concatenate([[1.0, 2.0], x[0]]).tolist() == [1.0, 2.0, *X[0]]
