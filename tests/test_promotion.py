"""Integers and bools in ops: kept exactly, made the very floats that they are, or refused."""

from __future__ import annotations

import numpy as np
import pytest

import gradtape as gt
from gradtape.autograd.tape import OPS

ops = gt.ops
INTEGERS = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
BIG = 2**24 + 1  # no float32
#: Where the samples hold what is no value: sizes that their integers must keep.
ROUNDED = {"power", "float_power", "ldexp"}  # large powers are no integers that fit anywhere


def whole_samples(op, least=0):
    """Samples of an op with small whole numbers, from `least` on, for its floats."""
    rng = np.random.default_rng(0)
    drawn = [s for s in op.samples(rng) if all(a.size for a in s.arrays)]
    for sample in drawn[:: max(1, len(drawn) // 3)]:
        arrays = [
            np.asarray(2 * np.abs(np.rint(a)) + least) if a.dtype.kind == "f" else a
            for a in sample.arrays
        ]
        yield arrays, sample.settings


def results(op, arrays, settings):
    """The results of an op, or the TypeError or ValueError that it raises."""
    try:
        out = op(*map(gt.tensor, arrays), **settings)
    except (TypeError, ValueError) as error:
        return error
    return [t.numpy() for t in (out if isinstance(out, list) else [out])]


def assert_same(of_integers, of_floats, name):
    """Integers to the last digit (around their dtype's end, as in NumPy), floats to float32's."""
    for ours, expected in zip(of_integers, of_floats, strict=True):
        if ours.dtype.kind in "iub":
            exact = np.isfinite(expected) & (np.abs(expected) < 2**53)
            around = np.rint(np.where(exact, expected, 0)).astype(np.int64).astype(ours.dtype)
            np.testing.assert_array_equal(ours[exact], around[exact], err_msg=name)
        else:
            assert ours.dtype == np.float32 or name == "astype"
            np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_op_makes_of_integers_what_it_makes_of_the_same_floats_or_refuses(name):
    op = OPS[name]
    for arrays, settings in whole_samples(op):
        for dtype in INTEGERS:
            cast = [a.astype(dtype) if a.dtype == np.float64 else a for a in arrays]
            floats = [a.astype(np.float64) if b.dtype == np.float64 else a
                      for a, b in zip(cast, arrays, strict=True)]  # fmt: skip
            with np.errstate(all="ignore"):
                of_integers, of_floats = (results(op, x, settings) for x in (cast, floats))
            if isinstance(of_integers, Exception):
                assert dtype == "bool" or isinstance(of_floats, Exception), of_integers
            else:
                assert not isinstance(of_floats, Exception), of_floats
                assert_same(of_integers, of_floats, name)


@pytest.mark.parametrize("name", sorted(OPS.keys() - ROUNDED))
def test_no_op_rounds_an_integer_that_is_no_float32(name):
    op = OPS[name]
    for arrays, settings in whole_samples(op, least=BIG):
        if not any(a.dtype == np.float64 for a in arrays) or "dtype" in settings:
            continue
        for dtype in ("int32", "uint32", "int64", "uint64"):
            cast = [a.astype(dtype) if a.dtype == np.float64 else a for a in arrays]
            with np.errstate(all="ignore"):
                of_integers, of_floats = (results(op, x, settings) for x in (cast, arrays))
            if isinstance(of_integers, Exception):
                assert isinstance(of_floats, Exception) or "exactly" in str(of_integers)
            else:
                assert all(out.dtype.kind in "iub" for out in of_integers), "rounded"
                assert_same(of_integers, of_floats, name)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_what_only_compares_or_moves_keeps_every_digit(dtype):
    x = np.array([2**62 + 1, 3, 2**53 + 1], dtype)
    t = gt.tensor(x)
    for ours, expected in [
        (ops.clip(t, 0, None), x),
        (ops.clip(t, None, 2**60), np.minimum(x, 2**60)),
        (ops.clip(t, 4.0, None), np.maximum(x, 4)),
        (ops.relu(t), x),
        (ops.relu(t, max_value=float(2**60)), np.minimum(x, 2**60)),
        (ops.relu6(t), [6, 3, 6]),
        (ops.max_pool(t.reshape(1, 3, 1), 3), [[[2**62 + 1]]]),
        (ops.global_max_pool(t.reshape(1, 3, 1)), [[2**62 + 1]]),
        (ops.pad(t, 1, constant_value=7.0), [7, *x, 7]),
        (ops.sort(t), np.sort(x)),
        (ops.max(t), x[0]),
        (ops.cumsum(t), np.cumsum(x)),
        (ops.diag(t), np.diag(x)),
        (ops.hard_shrink(t, 3.0), [x[0], 0, x[2]]),
        (t + 1, x + dtype(1)),
        (t == 2**53 + 1, [False, False, True]),
        (t > float(2**53), [True, False, False] if dtype == np.int64 else x > float(2**53)),
    ]:
        np.testing.assert_array_equal(ours.numpy(), expected)
        assert ours.dtype in (dtype, np.bool_)


def test_bounds_that_a_dtype_cannot_hold_are_no_bounds():
    x = gt.tensor(np.array([0, 200], np.uint8))
    assert ops.clip(x, -5, 300).tolist() == [0, 200]
    assert ops.hard_tanh(x).tolist() == [0, 1]
    assert ops.relu(x, max_value=1000).dtype == np.uint8
    with pytest.raises(ValueError, match=r"clip: .*out of bounds for uint8"):
        ops.clip(x, 300, None)
    with pytest.raises(ValueError, match=r"pad: .*out of bounds for uint8"):
        ops.pad(x, 1, constant_value=300)


def test_a_fraction_makes_floats_of_integers_and_is_not_cut_off():
    x = gt.tensor([1, 2, 3])
    assert ops.pad(x, 1, constant_value=1.5).tolist() == [1.5, 1, 2, 3, 1.5]
    assert ops.pad(x == 1, 1, constant_value=7).tolist() == [7, 1, 0, 0, 7]
    assert ops.clip(x, 1.5, 2.5).tolist() == [1.5, 2, 2.5]
    assert ops.clip(x, 1.5, 2.5).dtype == np.float32
    with pytest.raises(TypeError, match=r"clip: the integer 16777217 cannot be a float32 exactly"):
        ops.clip(gt.tensor([BIG]), 1.5, None)
    with pytest.raises(TypeError, match=r"relu: the integer 16777217"):
        ops.leaky_relu(gt.tensor([BIG]))


def test_sums_of_small_integers_are_wide_wherever_something_adds_up():
    x = np.full(4, 100, np.int8)
    assert ops.scatter_slices(x, [0, 0, 0, 0], axis=0, length=1).tolist() == [400]
    assert ops.scatter(x, index=(np.zeros(4, int),), shape=(1,)).tolist() == [400]
    assert ops.window_sum(x, 3).tolist() == [400] * 4
    index = np.zeros((1, 4, 1), int)
    assert ops.scatter_positions(x.reshape(1, 4, 1), index, input_size=1).tolist() == [[[400]]]


def test_functions_of_real_numbers_do_not_wrap_around_on_small_integers():
    x = gt.tensor(np.array([-128, 127], np.int8))
    assert ops.softmax(x).tolist() == [0, 1]
    assert ops.norm(x, 1).item() == 255
    assert ops.softsign(x).tolist() == pytest.approx([-128 / 129, 127 / 128])
    assert ops.log_sigmoid(gt.tensor(np.uint8([200]))).item() == pytest.approx(-np.exp(-200.0))
    assert ops.rms_norm(gt.tensor(np.full(2, 100, np.int8))).tolist() == pytest.approx([1, 1])
    assert ops.sigmoid(gt.tensor([True, False])).tolist() == pytest.approx([0.7310586, 0.5])
    assert ops.exp(gt.tensor(np.int8([5]))).item() == pytest.approx(np.exp(5), rel=1e-6)


def test_integers_beside_floats_are_those_floats_exactly_or_refused():
    x = gt.tensor([1.0, 2.0])
    assert (x * gt.tensor([1, 2**24])).tolist() == [1, 2**25]
    assert (x * gt.tensor([1, 2**40])).dtype == np.float32  # a float32, however large
    for call in (
        lambda: x * gt.tensor([1, BIG]),
        lambda: ops.concatenate([x, gt.tensor([BIG])]),
        lambda: ops.where([True, False], x, gt.tensor([1, BIG])),
        lambda: ops.mean(gt.tensor([BIG, BIG])),
        lambda: gt.tensor([BIG]) + 0.5,
        lambda: ops.resize(np.full((1, 1, 1), BIG), (2, 2)),
        lambda: ops.float_power(gt.tensor([BIG]), 2),
    ):
        with pytest.raises(TypeError, match=r"16777217 cannot be a float32 exactly.*'float64'"):
            call()
    wide = gt.tensor(np.ones(2))
    assert (wide * gt.tensor([1, BIG])).tolist() == [1, BIG]
    with pytest.raises(TypeError, match="cannot be a float64 exactly"):
        wide * gt.tensor([1, 2**53 + 1])


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**63 - 2**39, 2**24 + 2, -BIG, 2**62])
def test_exactness_is_decided_by_the_digits(value):
    t = gt.tensor(np.array([value]))
    if int(np.float32(value)) == value:
        assert int((t * gt.tensor([1.0])).item()) == value
    else:
        with pytest.raises(TypeError, match="exactly"):
            t * gt.tensor([1.0])


def test_positions_and_labels_are_no_values():
    table = gt.tensor(np.ones((1, 2), np.float32))
    assert ops.take(table, np.array([0])).dtype == np.float32
    assert ops.where(gt.tensor([BIG, 0]), gt.tensor([1.0, 1.0]), 0.0).tolist() == [1, 0]


def test_python_numbers_are_exact_beside_integers():
    small, wide = gt.tensor(np.uint8([5])), gt.tensor(np.uint64([2**63]))
    assert (small - 128).tolist() == [-123]
    assert (wide + 1).tolist() == [2**63 + 1]
    assert (gt.tensor([2**24]) == float(BIG)).tolist() == [False]
    assert (gt.tensor([2**24]) < 2**24 + 0.5).tolist() == [True]
    assert ops.add(gt.tensor(np.ones(1)), [0.1]).item() == 1.1


@pytest.mark.parametrize("value", [None, "3", b"3", {"a": 1}, object(), [None], [[1], [1, 2]]])
def test_what_is_no_array_is_refused_with_the_op_and_the_place(value):
    for call in (
        lambda: ops.add(gt.tensor([1.0]), value),
        lambda: ops.concatenate([gt.tensor([1.0]), value]),
    ):
        with pytest.raises(TypeError, match=r"(add|concatenate): received .* as array 1\. "):
            call()
    with pytest.raises(TypeError, match=r"exp: received .* as array 0"):
        ops.exp(value)
