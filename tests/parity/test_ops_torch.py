"""Every op agrees with PyTorch, forward and gradient, on the samples that prove its gradient."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from torch_comparison import compared
from torch_functions import NotInTorch
from torch_twins import TWINS, WITHOUT

from gradtape.autograd.tape import OPS

#: The relative errors allowed by dtype: of the result, of the gradients.
TOLERANCES = {"float64": (1e-10, 1e-9), "float32": (1e-5, 1e-4)}
#: Errors are relative to the element or, where terms cancel and leave less of it, to this share of
#: the largest number that went in or came out.
CANCELLED = 0.1

Array = np.ndarray


def relative_error(ours: Array, theirs: Array, given: list[Array]) -> float:
    """The largest error; infinite where shapes or dtypes differ, or any bool or integer does."""
    if ours.shape != theirs.shape or ours.dtype.kind != theirs.dtype.kind:
        return np.inf
    if ours.dtype.kind != "f":
        return 0.0 if np.array_equal(ours, theirs) else np.inf
    if ours.dtype != theirs.dtype:
        return np.inf
    floating = [np.abs(a) for a in (*given, theirs) if a.dtype.kind == "f"]
    largest = max(float(np.max(a, initial=0)) for a in floating)
    scale = np.maximum(np.abs(theirs), CANCELLED * largest)
    return float(np.max(np.abs(ours - theirs) / scale, initial=0))


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")  # the variance of an empty axis
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", sorted(TWINS))
def test_op_agrees_with_torch(name: str, dtype: str) -> None:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    forward, backward = TOLERANCES[dtype]
    count = 0
    for sample in OPS[name].samples(rng):
        try:
            both = compared(name, sample, dtype, rng)
        except NotInTorch:
            continue
        count += 1
        for pair in both.results:
            assert relative_error(*pair, both.given) <= forward, f"{sample}: {pair}"
        for pair in both.gradients:
            assert relative_error(*pair, both.given) <= backward, f"gradient, {sample}: {pair}"
    assert count >= 13


def test_every_op_has_a_twin_or_a_reason_for_having_none() -> None:
    assert set(OPS) == TWINS.keys() | WITHOUT.keys()
    assert not TWINS.keys() & WITHOUT.keys()
    assert all(WITHOUT.values())


def test_a_wrong_result_and_a_wrong_gradient_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OPS["exp"], "forward", lambda x: np.exp(x) * (1 + 1e-9))
    with pytest.raises(AssertionError, match=r"^\(float64"):
        test_op_agrees_with_torch("exp", "float64")
    monkeypatch.setattr(OPS["sin"], "gradients", (lambda g, out, x: g * np.cos(x.data + 1e-7),))
    with pytest.raises(AssertionError, match=r"^gradient"):
        test_op_agrees_with_torch("sin", "float64")
