"""A training that is killed goes on to the same bits; `make kills` does so hundreds of times."""

from __future__ import annotations

import random

import pytest
from kills import reference, trial


@pytest.mark.parametrize(
    ("kind", "most", "native"), [("train", 1, "0"), ("fit, backups within epochs", 2, "1")]
)
def test_a_killed_training_ends_as_if_nothing_had_happened(
    monkeypatch: pytest.MonkeyPatch, kind: str, most: int, native: str
) -> None:
    monkeypatch.setenv("GRADTAPE_NATIVE", native)  # what is not imported costs no second
    expected, seconds = reference(kind)
    assert {"model.npz", "history.json"} <= expected.keys()
    killed = trial(kind, expected, seconds / 3, random.Random(2), most)
    assert killed.total() > 0
