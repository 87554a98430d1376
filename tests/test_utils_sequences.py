"""Padding, splitting, and windows of time series."""

from __future__ import annotations

import numpy as np
import pytest

import gradtape as gt
from gradtape import utils


def test_sequences_are_padded_and_cut_at_either_end():
    rows = [[1], [2, 3], [4, 5, 6]]
    assert utils.pad_sequences(rows).tolist() == [[0, 0, 1], [0, 2, 3], [4, 5, 6]]
    assert utils.pad_sequences(rows, 2).tolist() == [[0, 1], [2, 3], [5, 6]]
    post = utils.pad_sequences(rows, 2, padding="post", truncating="post", value=9)
    assert post.tolist() == [[1, 9], [2, 3], [4, 5]]
    assert utils.pad_sequences(rows).dtype == np.int32
    deep = utils.pad_sequences([np.ones((2, 3)), np.ones((1, 3))], dtype="float32")
    assert deep.shape == (2, 2, 3) and deep[1, 0].sum() == 0
    assert utils.pad_sequences([[], [1]]).tolist() == [[0], [1]]


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([[1]], {"padding": "left"}, "'pre' or 'post'"),
        ([[1], 2], {}, "number 1 is a single value"),
        ([np.ones((2, 3)), np.ones((2, 4))], {}, "agree after axis 0"),
    ],
)
def test_what_cannot_be_padded_says_so(rows, settings, message):
    with pytest.raises(ValueError, match=message):
        utils.pad_sequences(rows, **settings)


def test_data_is_split_in_two():
    x, y = np.arange(10), np.arange(10) * 2
    (a, b), (c, d) = utils.split_dataset((x, y), left_size=0.7)
    assert a.tolist() == list(range(7)) and c.tolist() == [7, 8, 9]
    assert np.array_equal(b, a * 2) and np.array_equal(d, c * 2)
    left, right = utils.split_dataset(x, right_size=4)
    assert len(left) == 6 and right.tolist() == [6, 7, 8, 9]
    left, right = utils.split_dataset(x, left_size=3, right_size=3, shuffle=True, seed=1)
    assert len(left) == len(right) == 3 and not set(left) & set(right)
    left, right = utils.split_dataset({"x": x, "y": y}, left_size=2, shuffle=True, seed=1)
    assert np.array_equal(left["y"], left["x"] * 2) and len(right["x"]) == 8
    first, last = utils.split_dataset(["one", "two", "three"], right_size=1)
    assert first == ["one", "two"] and last == ["three"]


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_of_arrays_is_split_by_its_samples(kind):
    x, y = np.arange(200.0).reshape(100, 2), np.arange(100)
    (a, b), (c, d) = left, right = utils.split_dataset(kind([x, gt.tensor(y)]), left_size=0.2)
    assert type(left) is type(right) is kind
    assert len(a) == len(b) == 20 and len(c) == len(d) == 80
    assert np.array_equal(np.concatenate([b, d]), y) and np.array_equal(a, x[:20])


def test_a_list_of_batches_is_split_by_its_batches():
    batches = [(np.full((3, 2), i), np.full(3, i)) for i in range(5)]
    left, right = utils.split_dataset(batches, right_size=0.4)
    assert [int(y[0]) for _, y in left] == [0, 1, 2]
    assert [int(y[0]) for _, y in right] == [3, 4]


@pytest.mark.parametrize(
    ("data", "settings", "error", "message"),
    [
        (np.arange(4), {}, ValueError, "needs left_size"),
        (np.arange(4), {"left_size": 3, "right_size": 2}, ValueError, "4 samples"),
        (np.arange(4), {"left_size": 1.5}, ValueError, "share between 0 and 1"),
        (np.arange(4), {"left_size": float("nan")}, ValueError, "left_size must be a number"),
        (np.arange(4), {"left_size": "1"}, TypeError, "left_size must be a number or an integer"),
        (np.arange(4), {"left_size": 4}, ValueError, "each part must get one"),
        (np.arange(4), {"left_size": 0.01}, ValueError, "each part must get one"),
        ([np.ones((4, 2)), np.ones(3)], {"left_size": 1}, ValueError, "different lengths"),
        ((np.arange(4), np.arange(3)), {"left_size": 1}, ValueError, "different lengths"),
        (iter([1]), {"left_size": 1}, TypeError, "numbered items"),
    ],
)
def test_what_cannot_be_split_says_so(data, settings, error, message):
    with pytest.raises(error, match=message):
        utils.split_dataset(data, **settings)


def windows(*args, **settings):
    batches = utils.timeseries_dataset_from_array(*args, **settings)
    return [batches[i] for i in range(len(batches))]


def test_windows_and_what_comes_after():
    series = np.arange(10)
    ((x, y),) = windows(series[:-3], series[3:], sequence_length=3)
    assert x.tolist() == [[i, i + 1, i + 2] for i in range(5)]
    assert y.tolist() == [3, 4, 5, 6, 7]
    ((x,),) = windows(series, None, sequence_length=3, sampling_rate=2, sequence_stride=4)
    assert x.tolist() == [[0, 2, 4], [4, 6, 8]]
    found = windows(series, series, sequence_length=2, batch_size=4, start_index=2, end_index=9)
    assert [len(x) for x, _ in found] == [4, 2]
    assert found[0][0][0].tolist() == [2, 3] and found[0][1][0] == 2
    assert found[1][0][-1].tolist() == [7, 8]
    (x, y), *_ = windows(series, series, sequence_length=2, batch_size=None)
    assert x.shape == (2,) and y == 0


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="No window of 11 samples"):
        windows(np.arange(10), None, sequence_length=11)
    with pytest.raises(ValueError, match="sequence_stride must be a positive integer"):
        windows(np.arange(10), None, sequence_length=2, sequence_stride=0)
