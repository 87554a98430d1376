"""A training that is killed goes on to the same bits; `make kills` does so hundreds of times."""

from __future__ import annotations

import random

import pytest
from kills import reference, trial


@pytest.mark.parametrize("kind", ["train", "fit, backups within epochs"])
def test_a_killed_training_ends_as_if_nothing_had_happened(kind: str) -> None:
    expected, seconds = reference(kind)
    assert {"model.npz", "history.json"} <= expected.keys()
    killed = trial(kind, expected, seconds / 3, random.Random(2), most=2)
    assert killed.total() > 0
