"""Shape, rearranging and indexing: against plain Python loops, edge cases and messages."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import gradtape as gt

ops = gt.ops
X = np.arange(24.0).reshape(2, 3, 4)


def leaf(values, dtype=np.float64):
    return gt.tensor(np.asarray(values, dtype), requires_grad=True)


def by_loop(shape, element):
    """The array whose element at a position is what `element` says of it."""
    out = np.empty(shape)
    for position in itertools.product(*map(range, shape)):
        out[position] = element(*position)
    return out


@pytest.mark.parametrize(
    ("ours", "shape", "element"),
    [
        (lambda: ops.moveaxis(X, 0, -1), (3, 4, 2), lambda i, j, k: X[k, i, j]),
        (lambda: ops.moveaxis(X, (0, 1), (-1, 0)), (3, 4, 2), lambda i, j, k: X[k, i, j]),
        (lambda: ops.swapaxes(X, 0, 2), (4, 3, 2), lambda i, j, k: X[k, j, i]),
        (lambda: ops.transpose(X, (2, 0, 1)), (4, 2, 3), lambda i, j, k: X[j, k, i]),
        (lambda: ops.ravel(X), (24,), lambda i: X[i // 12, i // 4 % 3, i % 4]),
        (lambda: ops.flip(X, (0, -1)), (2, 3, 4), lambda i, j, k: X[-1 - i, j, -1 - k]),
        (lambda: ops.roll(X, 1, axis=1), (2, 3, 4), lambda i, j, k: X[i, j - 1, k]),
        (
            lambda: ops.roll(X, (1, -2), axis=(0, 2)),
            (2, 3, 4),
            lambda i, j, k: X[i - 1, j, (k + 2) % 4],
        ),
        (
            lambda: ops.roll(X, -1),
            (2, 3, 4),
            lambda i, j, k: X.flat[(12 * i + 4 * j + k + 1) % 24],
        ),
        (
            lambda: ops.tile(X, (2, 1, 2)),
            (4, 3, 8),
            lambda i, j, k: X[i % 2, j, k % 4],
        ),
        (lambda: ops.tile(X[0, 0], (2, 1)), (2, 4), lambda i, j: X[0, 0, j]),
        (lambda: ops.repeat(X, 2, axis=1), (2, 6, 4), lambda i, j, k: X[i, j // 2, k]),
        (lambda: ops.repeat(X, 3), (72,), lambda i: X.flat[i // 3]),
        (
            lambda: ops.repeat(X, [0, 2, 1], axis=1),
            (2, 3, 4),
            lambda i, j, k: X[i, [1, 1, 2][j], k],
        ),
        (lambda: ops.triu(X, 1), X.shape, lambda i, j, k: X[i, j, k] if k - j >= 1 else 0),
        (lambda: ops.tril(X, -1), X.shape, lambda i, j, k: X[i, j, k] if k - j <= -1 else 0),
        (lambda: ops.diagonal(X, 1, 1, 2), (2, 3), lambda i, j: X[i, j, j + 1]),
        (lambda: ops.diagonal(X, -1, 0, 2), (3, 1), lambda i, j: X[j + 1, i, j]),
        (lambda: ops.diag(X[0, 0], -2), (6, 6), lambda i, j: X[0, 0, j] if i == j + 2 else 0),
        (lambda: ops.diag(X[0], 2), (2,), lambda i: X[0, i, i + 2]),
        (lambda: ops.diag(X[0], 9), (0,), None),
        (lambda: ops.take(X, [2, -3], axis=1), (2, 2, 4), lambda i, j, k: X[i, [2, 0][j], k]),
        (lambda: ops.take(X, [[5], [23]]), (2, 1), lambda i, j: [5, 23][i]),
        (lambda: ops.hstack([X, X]), (2, 6, 4), lambda i, j, k: X[i, j % 3, k]),
        (lambda: ops.hstack([1.0, X[0, 0]]), (5,), lambda i: [1, *X[0, 0]][i]),
        (lambda: ops.vstack([X[0, 0], X[1]]), (4, 4), lambda i, j: [X[0, 0], *X[1]][i][j]),
    ],
)
def test_what_moves_elements_moves_them_where_it_says(ours, shape, element):
    out = ours()
    assert out.shape == shape
    np.testing.assert_array_equal(out.numpy(), by_loop(shape, element))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("constant", [9, 9, 9, 0, 1, 2, 9, 9]),
        ("edge", [0, 0, 0, 0, 1, 2, 2, 2]),
        ("reflect", [1, 2, 1, 0, 1, 2, 1, 0]),
        ("symmetric", [2, 1, 0, 0, 1, 2, 2, 1]),
        ("wrap", [0, 1, 2, 0, 1, 2, 0, 1]),
    ],
)
def test_padding(mode, expected):
    x = leaf([0.0, 1.0, 2.0])
    out = ops.pad(x, ((3, 2),), mode, 9.0)
    np.testing.assert_array_equal(out.numpy(), expected)
    cotangent = np.arange(8.0)
    out.backward(cotangent)
    came_from = [cotangent[np.array(expected) == i].sum() for i in range(3)]
    np.testing.assert_array_equal(x.grad.numpy(), came_from)


def test_padding_of_several_axes():
    out = ops.pad(X, ((1, 0), (0, 2), (0, 0)), "edge")
    np.testing.assert_array_equal(
        out.numpy(), by_loop((3, 5, 4), lambda i, j, k: X[max(i - 1, 0), min(j, 2), k])
    )
    assert ops.pad(X, 1).shape == (4, 5, 6)
    np.testing.assert_array_equal(ops.pad(X, (0, 1))[:2, :3, :4].numpy(), X)


def test_sort_sends_the_gradient_back_to_where_each_element_came_from():
    x = leaf([[3.0, 1.0, 2.0], [0.5, 0.5, -1.0]])
    out = ops.sort(x)
    np.testing.assert_array_equal(out.numpy(), [[1, 2, 3], [-1, 0.5, 0.5]])
    out.backward(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    np.testing.assert_array_equal(x.grad.numpy(), [[3, 1, 2], [5, 6, 4]])
    np.testing.assert_array_equal(ops.sort([2.0, np.nan, 1.0]).numpy(), [1, 2, np.nan])
    np.testing.assert_array_equal(ops.sort(x.detach(), axis=None).numpy(), sorted(x.data.flat))


def test_split_gives_the_parts_that_concatenate_joins():
    for where in (3, (1, 2), [1, 1, 3], np.array([2])):
        parts = ops.split(X, where, axis=1)
        assert all(isinstance(p, gt.Tensor) for p in parts)
        np.testing.assert_array_equal(ops.concatenate(parts, axis=1).numpy(), X)
    assert [p.shape[1] for p in ops.split(X, [1, 1, 3], axis=1)] == [1, 0, 2, 0]
    x = leaf(np.zeros(6))
    first, _, last = ops.split(x, 3)
    (first.sum() + 10 * last.sum()).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1, 1, 0, 0, 10, 10])


def test_the_zeros_of_a_triangle_hide_nan():
    x = np.full((2, 2), np.nan)
    np.testing.assert_array_equal(ops.triu(x).numpy(), [[np.nan, np.nan], [0, np.nan]])
    assert ops.tril(gt.tensor([[1, 2], [3, 4]])).tolist() == [[1, 0], [3, 4]]


def test_a_row_taken_twice_adds_up_its_gradients():
    table = leaf(np.arange(6.0).reshape(3, 2))
    out = ops.embedding(table, [[2, 0], [2, 2]])
    np.testing.assert_array_equal(out.numpy(), table.data[[[2, 0], [2, 2]]])
    out.backward(np.arange(8.0).reshape(2, 2, 2))
    np.testing.assert_array_equal(table.grad.numpy(), [[2, 3], [0, 0], [10, 13]])


@pytest.mark.parametrize("indices", [[0, 3], [-1]])
def test_an_index_that_is_no_row_is_refused(indices):
    with pytest.raises(ValueError, match=rf"lie in 0\.\.2, .*\(3, 2\), received {indices[-1]}"):
        ops.embedding(np.zeros((3, 2)), indices)


def test_embedding_needs_integers_and_a_table():
    with pytest.raises(TypeError, match="indices must be integers, received dtype float32"):
        ops.embedding(np.zeros((3, 2)), [1.0])
    with pytest.raises(ValueError, match="expected a table of shape"):
        ops.embedding(1.0, [0])


def test_scatter_slices_undoes_take():
    x = np.arange(6.0).reshape(2, 3)
    out = ops.scatter_slices(x, [1, 1, 3], axis=1, length=5)
    np.testing.assert_array_equal(out.numpy(), [[0, 1, 0, 2, 0], [0, 7, 0, 5, 0]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ops.moveaxis(X, (0, 1), 2),
            r"as many axes must leave as arrive, .*\(0, 1\) and 2",
        ),
        (lambda: ops.moveaxis(X, (0, 0), (1, 2)), r"repeated in \(0, 0\)"),
        (lambda: ops.swapaxes(X, 0, 3), "Axis 3 is out of range for a tensor of rank 3"),
        (lambda: ops.split(X, 5, axis=2), r"axis 2 of shape \(2, 3, 4\) .* into 5 equal parts"),
        (lambda: ops.split(X, 0), "into 0 equal parts"),
        (lambda: ops.roll(X, (1, 2), (0, 1, 2)), "as many shifts as axes"),
        (lambda: ops.repeat(X, (1, 2), 1), "each of the 3 slices along axis 1"),
        (lambda: ops.repeat(X, -1, 1), r"not negative .* received -1"),
        (lambda: ops.pad(X, ((1, 1), (2, 2))), r"each of the 3 axes of shape \(2, 3, 4\)"),
        (lambda: ops.pad(X, -1), "none negative, received -1"),
        (lambda: ops.pad(X, 1, "mirror"), "mode must be one of constant, edge.*received 'mirror'"),
        (lambda: ops.pad(np.zeros((0,)), 1, "edge"), r"pad: .* \(received shapes \(0,\)\)"),
        (lambda: ops.triu(X[0, 0]), r"triu: expected a matrix .* received shape \(4,\)"),
        (lambda: ops.diagonal(1.0), "diagonal: expected a matrix"),
        (lambda: ops.diag(X), "diag: expected a vector or a matrix"),
        (lambda: ops.concatenate([X, X[0]]), "shapes must agree on every axis but 0"),
        (lambda: ops.stack([]), "at least one tensor, received none"),
        (lambda: ops.hstack([]), "at least one tensor, received none"),
    ],
)
def test_messages_say_what_was_expected_and_what_received(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_index_out_of_range_names_the_op():
    with pytest.raises(IndexError, match=r"take: index 5 is out of bounds .*received shapes"):
        ops.take(X, [5], axis=1)
