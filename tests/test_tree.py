"""Structures of tensors and of shapes."""

from __future__ import annotations

import numpy as np
import pytest

import gradtape as gt
from gradtape.autograd import tree

A = np.ones(2)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (A, False),
        (gt.tensor(1.0), False),
        ([1, 2], False),
        ([[1.0], [2.0]], False),
        ([np.float32(1)], False),
        (3, False),
        ([A, A], True),
        ((A,), True),
        ({"a": A}, True),
        ([[1.0], [A]], True),
    ],
)
def test_a_structure_holds_arrays_but_is_none(value, expected):
    assert tree.is_structure(value) is expected


def test_map_and_leaves_keep_structure_and_order():
    value = [1.0 * A, (2 * A, {"x": 3 * A})]
    assert [leaf[0] for leaf in tree.tree_leaves(value)] == [1, 2, 3]
    mapped = tree.tree_map(lambda a: a.sum(), value)
    assert mapped == [2, (4, {"x": 6})]
    assert tree.tree_map(sum, [1, 2]) == 3


def test_shapes_are_told_from_structures_of_shapes():
    assert tree.is_shape((None, 3))
    assert tree.is_shape([])
    assert not tree.is_shape([(None, 3)])
    assert not tree.is_shape("12")
    assert tree.shape_map(len, [(None, 3), {"a": [1, 2, 3]}]) == [2, {"a": 3}]
    with pytest.raises(TypeError, match=r"such as \(None, 28, 28, 1\), received 3"):
        tree.shape_map(len, 3)


def test_a_common_shape_is_open_where_the_two_differ():
    assert tree.common_shape((2, 3), (4, 3)) == (None, 3)
    assert tree.common_shape([(2,), {"a": (1,)}], [(2,), {"a": (3,)}]) == [(2,), {"a": (None,)}]
    with pytest.raises(ValueError, match="no common rank"):
        tree.common_shape((2,), (2, 3))
