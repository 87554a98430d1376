"""Products that sum: einsum against loops and NumPy, the others against their definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import gradtape as gt

ops = gt.ops
RNG = np.random.default_rng(0)


def by_loop(subscripts, *arrays):
    """einsum by its definition: a sum of products over every value of every letter."""
    left, _, right = subscripts.partition("->")
    terms = left.split(",")
    sizes: dict[str, int] = {}
    for term, array in zip(terms, arrays, strict=True):
        for letter, n in zip(term, array.shape, strict=True):
            sizes[letter] = n if n != 1 else sizes.get(letter, 1)
    out = np.zeros([sizes[c] for c in right])
    for values in itertools.product(*(range(n) for n in sizes.values())):
        at = dict(zip(sizes, values, strict=True))
        product = 1.0
        for term, array in zip(terms, arrays, strict=True):
            product *= array[tuple(at[c] % n for c, n in zip(term, array.shape, strict=True))]
        out[tuple(at[c] for c in right)] += product
    return out


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("ij,jk->ki", [(2, 3), (3, 4)]),
        ("bij,bkj->bik", [(2, 3, 4), (2, 2, 4)]),
        ("ii->i", [(3, 3)]),
        ("ii->", [(3, 3)]),
        ("ijiki->kj", [(2, 3, 2, 4, 2)]),
        ("ij->j", [(2, 3)]),
        ("ij,kl->k", [(2, 3), (4, 5)]),
        ("i,j,k->kji", [(2,), (3,), (4,)]),
        ("ij,jk,kl,l->i", [(2, 3), (3, 2), (2, 4), (4,)]),
        ("ij,ij,i->j", [(2, 3), (2, 3), (2,)]),
        ("iij,j->i", [(3, 3, 2), (2,)]),
        ("ij,jk->ik", [(2, 1), (3, 4)]),
        ("ab,ab->ab", [(1, 3), (2, 1)]),
        ("ab,b->a", [(2, 1), (4,)]),
        ("nhwc,klcd->nhwkld", [(1, 2, 2, 3), (2, 1, 3, 2)]),
        (",ij->ji", [(), (2, 3)]),
        ("->", [()]),
        ("ij,jk->ik", [(2, 0), (0, 3)]),
    ],
)
def test_einsum_is_its_definition(subscripts, shapes):
    arrays = [RNG.normal(size=shape) for shape in shapes]
    out = ops.einsum(subscripts, *arrays)
    np.testing.assert_allclose(out.numpy(), by_loop(subscripts, *arrays), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("...ij,...jk->...ik", [(5, 1, 2, 3), (4, 3, 2)]),
        ("i...,...i->...i", [(3, 2, 4), (2, 4, 3)]),
        ("...,...", [(2, 3), (3,)]),
        ("i...i->...", [(3, 2, 3)]),
        ("ij...->ji...", [(2, 3)]),
        ("...->...", [(2, 3)]),
        ("...i->...", [(3,)]),
        ("ij, jk -> ik", [(2, 3), (3, 2)]),
        ("ba,cb", [(2, 3), (4, 2)]),
        ("ba", [(2, 3)]),
        ("...ba", [(4, 2, 3)]),
    ],
)
def test_einsum_reads_ellipsis_and_implicit_output_like_numpy(subscripts, shapes):
    arrays = [RNG.normal(size=shape) for shape in shapes]
    ours = ops.einsum(subscripts, *arrays).numpy()
    theirs = np.einsum(subscripts, *arrays)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_random_subscripts_mean_what_they_mean_to_numpy():
    rng = np.random.default_rng(1)
    for _ in range(200):
        sizes = dict(zip("abcd", rng.integers(1, 4, 4), strict=True))
        terms = ["".join(rng.choice(list("abcd"), rng.integers(1, 4))) for _ in range(3)]
        arrays = [rng.normal(size=[sizes[c] for c in term]) for term in terms]
        known = sorted(set("".join(terms)))
        right = "".join(rng.permutation([c for c in known if rng.random() < 0.5]))
        subscripts = f"{','.join(terms)}->{right}"
        np.testing.assert_allclose(
            ops.einsum(subscripts, *arrays).numpy(), np.einsum(subscripts, *arrays),
            rtol=1e-10, atol=1e-10, err_msg=subscripts,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("subscripts", "shapes", "message"),
    [
        ("ij,jk->ik", [(2, 3)], "describes 2 operands, received 1"),
        ("ij,jk->ik", [(2, 3), (4, 2)], r"axes 'j' in .* have lengths 3 and 4.*\(2, 3\), \(4, 2\)"),
        ("ij->ij", [(2, 3, 4)], r"names 2 axes, received an operand of rank 3\. Let '\.\.\.'"),
        ("ijk->i", [(2, 3)], r"names 3 axes, received an operand of rank 2\.$"),
        ("ij->ik", [(2, 3)], "must name axes of the operands, each once"),
        ("ij->ii", [(2, 3)], "must name axes of the operands, each once"),
        ("...i->i", [(2, 3)], "must also be in its output"),
        ("i1->i", [(2, 3)], "is not letters and at most one"),
        ("...i...->i", [(2, 3)], "is not letters and at most one"),
        ("ii->i", [(2, 3)], "axes 'i' in 'ii->i' have lengths 2 and 3"),
    ],
)
def test_subscripts_that_make_no_sense_are_refused(subscripts, shapes, message):
    with pytest.raises(ValueError, match=message):
        ops.einsum(subscripts, *(np.ones(shape) for shape in shapes))


def test_einsum_of_integers_stays_exact():
    big = np.array([2**53, 1], np.int64)
    assert ops.einsum("i,i->", big, [1, 1]).item() == 2**53 + 1


def test_tensordot_pairs_the_axes_it_is_told():
    x, y = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(4, 3, 5))
    expected = by_loop("ijk,kjl->il", x, y)
    np.testing.assert_allclose(ops.tensordot(x, y, ((1, 2), (1, 0))).numpy(), expected)
    np.testing.assert_allclose(ops.tensordot(x, y, ([-1, -2], [0, 1])).numpy(), expected)
    np.testing.assert_allclose(ops.tensordot(x, y, 1).numpy(), by_loop("ijk,klm->ijlm", x, y))
    assert ops.tensordot(x, y, 0).shape == (2, 3, 4, 4, 3, 5)


@pytest.mark.parametrize("axes", [2, 7, (0, 0), ((0, 1), (0,)), (0, 9)])
def test_tensordot_of_axes_that_do_not_pair_is_refused(axes):
    with pytest.raises(
        ValueError, match=r"must pair axes of equal length, .*\(2, 3, 4\) and \(4, 3"
    ):
        ops.tensordot(np.ones((2, 3, 4)), np.ones((4, 3, 5)), axes)


M, N, V, W = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 4)), *RNG.normal(size=(2, 3))


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (lambda: ops.dot(M, N), by_loop("ij,jk->ik", M, N)),
        (lambda: ops.dot(M, V), by_loop("ij,j->i", M, V)),
        (lambda: ops.dot(V, W), by_loop("i,i->", V, W)),
        (lambda: ops.dot(2.0, M), 2 * M),
        (lambda: ops.inner(M, V), by_loop("ij,j->i", M, V)),
        (lambda: ops.inner(M, N.T), by_loop("ij,jk->ik", M, N)),
        (lambda: ops.inner(M, 3.0), 3 * M),
        (lambda: ops.outer(V, M), by_loop("i,j->ij", V, M.ravel())),
        (lambda: ops.vdot(M, 2 * M), 2 * by_loop("ij,ij->", M, M)),
        (lambda: ops.vecdot(M, V), by_loop("ij,j->i", M, V)),
        (lambda: ops.trace(N, 1), N[0, 1] + N[1, 2] + N[2, 3]),
        (lambda: ops.kron(V, W), by_loop("i,j->ij", V, W).ravel()),
        (lambda: ops.kron(M, N), np.block([[m * N for m in row] for row in M])),
    ],
)
def test_the_relatives_of_matmul_are_their_definitions(ours, expected):
    np.testing.assert_allclose(ours().numpy(), expected, rtol=1e-12)


def test_matmul_says_which_axes_do_not_fit():
    with pytest.raises(ValueError, match=r"last axis of the left tensor \(3\) .* matrix \(2\)"):
        ops.matmul(M, M)
    with pytest.raises(ValueError, match="Multiply by a scalar with"):
        ops.matmul(M, 2.0)


@pytest.mark.parametrize(
    "axes",
    [
        ([0, 1], [1, 2]),
        ([0, 1], [1, 2], [2, 0]),
        ([5, 3], [3, 51], []),
        ([..., 1], [1, 0], [..., 0]),
        ([0, 1], [2, 3], (3, 0)),
    ],
)
def test_einsum_takes_lists_of_numbers_for_letters(axes):
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 3, 3))
    arguments = [x, axes[0], y, *axes[1:]]
    np.testing.assert_allclose(ops.einsum(*arguments).numpy(), np.einsum(*arguments), atol=1e-14)
    tensors = [
        gt.tensor(a, requires_grad=True) if isinstance(a, np.ndarray) else a for a in arguments
    ]
    assert np.einsum(*tensors).requires_grad


@pytest.mark.parametrize(
    ("operands", "message"),
    [
        (([1.0], "i->i"), "or a list of numbers after each, received str"),
        ((M,), "expected subscripts such as 'ij,jk->ik' before the tensors"),
        (([1.0], [0], [1.0], [60]), "axes are numbered 0 to 51, received 60"),
        (([1.0], [0], None, [0]), "received NoneType None"),
    ],
)
def test_einsum_without_subscripts_says_what_it_expects(operands, message):
    with pytest.raises((TypeError, ValueError), match=message):
        ops.einsum(*operands)
