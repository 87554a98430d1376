"""Data: what goes into a batch, in which order, and what is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.data.data import (
    ArrayData,
    class_weights,
    pack_x_y_sample_weight,
    unpack_x_y_sample_weight,
)


def test_batches_cover_everything_in_order_and_the_last_may_be_smaller() -> None:
    x, y, w = np.arange(14).reshape(7, 2), np.arange(7), np.linspace(0, 1, 7)
    data = ArrayData(x, y, w, batch_size=3)
    parts = list(data.batches())
    assert [len(p[0]) for p in parts] == [3, 3, 1]
    assert data.steps == 3 and len(data) == 7
    for i, whole in enumerate((x, y, w)):
        np.testing.assert_array_equal(np.concatenate([p[i] for p in parts]), whole)


def test_batch_size_is_32_and_missing_parts_are_none() -> None:
    (x, y, w), *_ = ArrayData(np.zeros((40, 2))).batches()
    assert len(x) == 32 and y is None and w is None


def test_shuffled_epochs_are_permutations_keyed_by_seed_and_epoch() -> None:
    data = ArrayData(np.arange(50), np.arange(50) * 2, batch_size=8, shuffle=True)

    def order(*address: int) -> list[int]:
        parts = list(data.batches(*address))
        assert all((x * 2 == y).all() for x, y, _ in parts)
        return np.concatenate([x for x, _, _ in parts]).tolist()

    gt.utils.set_random_seed(5)
    first = order(0)
    assert sorted(first) == list(range(50)) and first != list(range(50))
    assert order(0) == first and order(1) != first and order(0, 7) != first
    gt.utils.set_random_seed(6)
    assert order(0) != first
    gt.utils.set_random_seed(5)
    assert order(0) == first


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64", "bool"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_dtype_stays(dtype: str, shuffle: bool) -> None:
    x = np.ones((5, 3), dtype)
    data = ArrayData(x, batch_size=2, shuffle=shuffle)
    assert data.x is x
    assert all(part.dtype == dtype for part, _, _ in data.batches(0))


def test_lists_and_tensors_are_taken() -> None:
    data = ArrayData([[1.0, 2.0], [3.0, 4.0]], gt.tensor([0, 1]))
    assert data.x.shape == (2, 2) and data.y is not None and data.y.tolist() == [0, 1]
    assert ArrayData([np.zeros((2, 2)), np.ones((2, 2))]).x.shape == (2, 2, 2)


def test_split_takes_the_tail_and_does_not_shuffle_it() -> None:
    data = ArrayData(np.arange(10), np.arange(10), np.arange(10.0), 4, shuffle=True)
    train, validation = data.split(0.25)
    assert train.x.tolist() == list(range(7)) and validation.x.tolist() == [7, 8, 9]
    assert train.shuffle and not validation.shuffle and validation.batch_size == 4
    assert validation.sample_weight is not None and validation.sample_weight.tolist() == [7, 8, 9]


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5])
def test_split_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        ArrayData(np.zeros(10)).split(fraction)


@pytest.mark.parametrize(("fraction", "side"), [(0.999, "training"), (1e-20, "validation")])
def test_split_that_leaves_nothing_is_refused(fraction: float, side: str) -> None:
    with pytest.raises(ValueError, match=f"of 4 samples leaves none for {side}"):
        ArrayData(np.zeros(4)).split(fraction)


def generator_of_batches() -> Any:
    yield np.zeros(3)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((np.zeros((3, 2)), np.zeros(4)), ValueError, "x has 3, y has 4"),
        ((np.zeros(3), np.zeros(3), np.zeros(2)), ValueError, "sample_weight has 2"),
        ((np.zeros((0, 4)), np.zeros(0)), ValueError, r"no samples: its shape is \(0, 4\)"),
        ((None,), ValueError, "x is missing"),
        ((3.0,), ValueError, "first axis of samples, received the single number 3.0"),
        (([[1, 2], [3]],), TypeError, "x .*parts differ in shape"),
        ((np.array([{}, None]),), TypeError, "x must be an array of numbers, received object"),
        ((np.zeros(2), np.array(["cat", "dog"])), TypeError, r"y .*<U3.*np.unique\(y, return"),
        ((generator_of_batches(),), TypeError, "received generator"),
        ((np.zeros(3), None, None, 2.5), TypeError, "batch_size must be an integer, received 2.5"),
        ((np.zeros(3), None, None, -1), ValueError, "batch_size must be at least 1, received -1"),
    ],
)
def test_data_that_cannot_be_meant_is_refused(arguments: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        ArrayData(*arguments)


def test_errors_name_the_data() -> None:
    with pytest.raises(ValueError, match=r"^validation_data: x, y and sample_weight"):
        ArrayData(np.zeros(3), np.zeros(2), name="validation_data")


def test_values_that_are_not_finite_are_found_and_located() -> None:
    x = np.zeros((6, 2, 3), np.float32)
    assert ArrayData(x, np.zeros(6)).not_finite() is None
    x[4, 1, 2], x[4, 0, 0], x[5, 0, 0] = np.nan, np.inf, -np.inf
    found = ArrayData(x, np.array([0, 1, np.nan, 0, 0, 0]), name="validation_data").not_finite()
    assert found is not None
    assert "validation_data: x holds 3 values" in found and "2 of 6 samples" in found
    assert "the first is inf at index (4, 0, 0)" in found
    assert "validation_data: y holds 1 values" in found and "nan at index 2" in found


def test_large_values_are_not_mistaken_for_infinite_ones() -> None:
    assert ArrayData(np.full(10, 3e38, np.float32)).not_finite() is None


def test_weights_by_class() -> None:
    weights = {0: 2.0, 2: 0.5}
    expected = [2.0, 1.0, 0.5, 2.0]
    labels = np.array([0, 1, 2, 0])
    for y in (labels, labels[:, None], np.eye(3)[labels], labels.astype(np.float32)):
        out = class_weights(y, weights)
        assert out.dtype == np.float32 and out.tolist() == expected
    with pytest.raises(TypeError, match="map class numbers to weights"):
        class_weights(labels, [1.0, 2.0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"one class per sample, received targets of shape"):
        class_weights(np.zeros((2, 3, 4)), weights)


def test_batches_are_packed_and_unpacked_as_in_keras() -> None:
    for packed, parts in [
        (1, (1, None, None)),
        (([1, 2],), ([1, 2], None, None)),
        ((1, 2), (1, 2, None)),
        ((1, 2, 3), (1, 2, 3)),
    ]:
        assert unpack_x_y_sample_weight(packed) == parts
        assert pack_x_y_sample_weight(*parts) == packed
    assert unpack_x_y_sample_weight([1, 2]) == (1, 2, None)
    with pytest.raises(ValueError, match="received 4 elements"):
        unpack_x_y_sample_weight((1, 2, 3, 4))


def test_class_weights_that_no_sample_has_are_said() -> None:
    x = np.zeros((4, 2), np.float32)
    with pytest.warns(UserWarning, match=r"class_weight changes nothing: of its classes \[7\]"):
        ArrayData(x, np.arange(4)).weigh({7: 3.0})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ArrayData(x, np.arange(4)).weigh({0: 3.0, 7: 2.0})
        ArrayData(x, np.arange(4)).weigh({7: 1.0})
