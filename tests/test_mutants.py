"""The mutants: rules broken on purpose, and what the proof of the op says about each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.proof.gradcheck import GradientError
from gradtape.proof.mutants import judge, summary
from gradtape.samples import calls

FEW = calls(((3,), {}), repeats=2)


def test_every_mutant_of_a_right_rule_is_killed() -> None:
    @gt.op(gradients=(lambda g, out, x: g * 2 * gt.ops.cos(2 * x),), samples=FEW)
    def sine_of_twice(x, /):
        return np.sin(2 * x)

    rule = sine_of_twice.gradients
    mutants = judge("sine_of_twice")
    assert {m.kind for m in mutants} == {
        "scale by 1.01", "negate", "return nothing", "skip function",
    }  # fmt: skip
    assert {m.verdict for m in mutants} == {"killed"}
    assert "100.0% killed" in summary(mutants)
    assert sine_of_twice.gradients is rule


def test_the_one_rule_of_an_op_of_many_arrays_is_broken_too() -> None:
    def rule(i: int, g: Any, out: Any, *arrays: Any) -> Any:
        return g * (i + 1)

    @gt.op(gradients=rule, samples=calls(((3,), (3,), {}), repeats=2))
    def weighted(*arrays):
        return sum((i + 1) * a for i, a in enumerate(arrays))

    mutants = judge("weighted")
    assert len(mutants) >= 3 and {m.verdict for m in mutants} == {"killed"}
    assert weighted.rule_of_any is rule


def test_an_op_that_fails_its_proof_kills_nothing() -> None:
    @gt.op(gradients=(lambda g, out, x: g,), samples=FEW)
    def wrong_twice(x, /):
        return 2 * x

    @gt.op(gradients=(lambda g, out, x: 2 * g,))
    def untried(x, /):
        return 2 * x

    with pytest.raises(GradientError, match=r"'wrong_twice' fails its proof before.*order 1"):
        judge("wrong_twice")
    with pytest.raises(GradientError, match=r"'untried' fails its proof before.*no samples"):
        judge("untried")


def test_an_op_without_rule_has_no_mutants() -> None:
    assert judge("argmax") == []
