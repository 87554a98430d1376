"""What functions read beside their arguments: each change is seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.program.readings import Readings

NUMBER, TABLE = 1.0, [1.0]


def plain(x: Any) -> Any:
    return np.exp(x) * math.pi + abs(gt.ops.tanh(x))


def of_global(x: Any) -> Any:
    return x * NUMBER


def nested(x: Any) -> Any:
    return [(lambda y: y * NUMBER)(v) for v in x]


def of_another(x: Any) -> Any:
    return of_global(x) + 1


def with_default(x: Any, *, by: Any = TABLE) -> Any:
    return x * by[0]


def enclosed(by: Any) -> Callable[[Any], Any]:
    return lambda x: x * by


def test_what_reads_nothing_that_changes_stays_the_same() -> None:
    assert Readings([plain]).same()
    assert Readings([enclosed(2.0)]).same()
    assert Readings([gt.activations.relu]).same()  # of this package


@pytest.mark.parametrize("function", [of_global, nested, of_another])
def test_another_value_of_a_global_name_is_seen(
    function: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = Readings([function])
    assert readings.same()
    monkeypatch.setitem(globals(), "NUMBER", 2.0)
    assert not readings.same()


def test_another_function_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = Readings([of_another])
    monkeypatch.setitem(globals(), "of_global", plain)
    assert not readings.same()


def test_another_code_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = Readings([of_another])
    monkeypatch.setattr(of_global, "__code__", plain.__code__)
    assert not readings.same()


@pytest.mark.parametrize("function", [lambda x: x * TABLE[0], with_default, enclosed([1.0])])
def test_what_may_change_in_place_is_never_the_same(function: Any) -> None:
    assert not Readings([function]).same()
