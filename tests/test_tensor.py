"""Tensor: construction, dtypes, operators, indexing, leaving the tape, writing in place."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import gradtape as gt


def test_python_floats_become_float32_and_numpy_arrays_keep_their_dtype():
    assert gt.tensor([1.0, 2.0]).dtype == np.float32
    assert gt.tensor(3.5).dtype == np.float32
    assert gt.tensor(np.ones(2)).dtype == np.float64
    assert gt.tensor(np.ones(2, np.uint8)).dtype == np.uint8
    assert gt.tensor([1, 2]).dtype.kind == "i"
    assert gt.tensor([True]).dtype == np.bool_
    assert gt.tensor(np.ones(2, np.float16)).dtype == np.float32


@pytest.mark.parametrize("data", [np.ones(2, np.complex64), ["a"], np.array([object()])])
def test_other_dtypes_are_refused(data):
    with pytest.raises(TypeError, match="float32, float64, integers or bools"):
        gt.tensor(data)


def test_tensor_copies_and_as_tensor_shares():
    array = np.zeros(2, np.float32)
    copied, shared = gt.tensor(array), gt.as_tensor(array)
    array[0] = 1
    assert copied.data[0] == 0
    assert shared.data[0] == 1


def test_integers_cannot_require_a_gradient():
    with pytest.raises(TypeError, match="Only floating tensors can require a gradient"):
        gt.tensor([1, 2], requires_grad=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scalar", [2, 2.5, np.float64(2.5), True])
def test_a_python_number_never_changes_the_dtype(dtype, scalar):
    x = gt.tensor(np.ones(3, dtype))
    for y in (x + scalar, scalar + x, x * scalar, x / scalar, scalar - x, x**scalar, scalar**x):
        assert y.dtype == dtype


def test_integers_beside_float32_give_float32():
    x = gt.tensor([1.0, 2.0])
    assert (x * gt.tensor([1, 2])).dtype == np.float32
    assert (gt.tensor([1, 2]) / gt.tensor([2, 2])).dtype == np.float32
    assert gt.tensor([1, 2]).mean().dtype == np.float32
    assert (x * np.ones(2)).dtype == np.float64


def test_operators_compute_what_numpy_computes():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.5, 2, (2, 3)), rng.uniform(0.5, 2, 3)
    x, y = gt.tensor(a), gt.tensor(b)
    for ours, theirs in [
        (x + y, a + b), (x - y, a - b), (x * y, a * b), (x / y, a / b), (x**y, a**b),
        (x % y, a % b), (x // y, a // b), (-x, -a), (abs(-x), a), (x @ y, a @ b),
        (x < y, a < b), (x <= y, a <= b),
        (x > y, a > b), (x >= y, a >= b), (x == y, a == b), (x != y, a != b), (2 - x, 2 - a),
        (2 / x, 2 / a), (2**x, 2**a), (b + x, a + b), (b * x, a * b), (b - x, b - a), (x.T, a.T),
        (x.sum(0), a.sum(0)), (x.mean(), a.mean()), (x.max(1), a.max(1)),
        (x.var(1), a.var(1)),
        (x.min(), a.min()), (x.argmax(1), a.argmax(1)), (x.reshape(3, 2), a.reshape(3, 2)),
        (x.reshape((6,)), a.reshape(6)), (x.transpose(1, 0), a.T), (x.flatten(), a.ravel()),
        (x.astype("float32"), a.astype("float32")), ((x > 1) & (x < 2), (a > 1) & (a < 2)),
        (~(x > 1), ~(a > 1)), ((x > 1) | (x < 2), (a > 1) | (a < 2)),
    ]:  # fmt: skip
        np.testing.assert_array_equal(ours.numpy(), theirs)
        assert ours.dtype == np.asarray(theirs).dtype


def test_indexing_reads_like_numpy():
    a = np.arange(24.0).reshape(2, 3, 4)
    x = gt.tensor(a)
    for index in [0, -1, (1, 2), slice(None, None, -1), (Ellipsis, 1), (None, 0), [1, 0],
                  (slice(None), [0, 2, 2]), a > 5, (0, a[0] > 5)]:  # fmt: skip
        np.testing.assert_array_equal(x[index].numpy(), a[index])
    np.testing.assert_array_equal(x[gt.tensor([1, 0])].numpy(), a[[1, 0]])
    assert [row.shape for row in x] == [(3, 4), (3, 4)]


def test_scalars_leave_as_python_numbers():
    assert float(gt.tensor(2.5)) == 2.5
    assert int(gt.tensor(2)) == 2
    assert [10, 20, 30][gt.tensor(1)] == 20
    assert gt.tensor([2.5]).item() == 2.5
    assert gt.tensor([[1, 2]]).tolist() == [[1, 2]]
    assert bool(gt.tensor([True]))
    assert len(gt.tensor([1, 2, 3])) == 3
    with pytest.raises(TypeError, match="0-d"):
        iter(gt.tensor(1.0))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(gt.tensor([1, 2]))


def test_repr_shows_values_dtype_and_origin():
    x = gt.tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "Tensor([1., 2.], requires_grad=True)"
    assert "op='multiply'" in repr(x * 2)
    assert "dtype=float64" in repr(gt.tensor(np.ones(1)))


def test_an_array_from_a_taped_tensor_is_refused_but_numpy_detaches_on_purpose():
    x = gt.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match="silently detach"):
        np.asarray(x)
    x.numpy()[0] = 5  # a copy
    np.testing.assert_array_equal(np.asarray(x.detach()), [1, 2])


def test_numpy_functions_on_tensors_stay_on_the_tape_or_raise():
    x = gt.tensor(np.array([1.0, 2.0]), requires_grad=True)
    for y in (np.exp(x), np.sum(x, axis=0), np.concatenate([x, x]), np.multiply(np.ones(2), x)):
        assert isinstance(y, gt.Tensor)
        assert y.requires_grad
    with pytest.raises(TypeError, match=r"np\.fft|np\.rfft"):
        np.fft.rfft(x)
    with pytest.raises(TypeError, match=r"np\.add\.reduce"):
        np.add.reduce(x)
    with pytest.raises(TypeError, match=r"np\.exp with out"):
        np.exp(x, out=np.zeros(2))


def test_assign_overwrites_in_place_and_checks_the_shape():
    x = gt.tensor([1.0, 2.0], requires_grad=True)
    array = x.data
    x.assign([3, 4])
    assert x.data is array
    assert x.tolist() == [3, 4]
    with pytest.raises(ValueError, match=r"expected shape \(2,\), received \(3,\)"):
        x.assign([1, 2, 3])


def test_writing_into_what_a_gradient_needs_is_refused():
    x = gt.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"gt\.ops\.where"):
        x[0] = 5.0
    with pytest.raises(RuntimeError, match="result of 'multiply'"):
        (x * 2)[0] = 5.0
    with gt.no_grad():
        x[0] = 5.0
    assert x.tolist() == [5, 2]
    data = gt.tensor([1.0, 2.0])
    data[gt.tensor([0])] = 7
    assert data.tolist() == [7, 2]


def test_no_grad_nests_is_exception_safe_and_per_thread():
    x = gt.tensor([1.0], requires_grad=True)
    with gt.no_grad():
        assert not (x * 2).requires_grad
        with gt.enable_grad():
            assert (x * 2).requires_grad
        seen = []
        thread = threading.Thread(target=lambda: seen.append(gt.is_grad_enabled()))
        thread.start()
        thread.join()
        assert seen == [True]
    with pytest.raises(KeyError), gt.no_grad():
        raise KeyError
    assert gt.is_grad_enabled()

    @gt.no_grad()
    def double(t):
        return t * 2

    assert not double(x).requires_grad


def test_tensors_hash_by_identity():
    x, y = gt.tensor([1.0]), gt.tensor([1.0])
    assert len({x, y, x}) == 2


def test_what_is_no_array_is_unequal_to_a_tensor_rather_than_compared_by_element():
    x, y = gt.tensor([1.0, 2.0]), gt.tensor([1.0, 3.0])
    for other in (None, "same", b"same", object(), {}, len):
        assert (x == other) is (other == x) is False
        assert (x != other) is (other != x) is True
    assert x in [None, "same", x]
    assert None not in [x, y]
    assert (x == y).tolist() == (x == [1, 3]).tolist() == [True, False]
    assert (x != np.array([1, 3])).tolist() == [False, True]
    assert (gt.tensor([1, 2]) == 1).tolist() == [True, False]
