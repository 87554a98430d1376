"""A training that is killed goes on to the same bits; `make kills` does so hundreds of times."""

from __future__ import annotations

import random

from kills import reference, trial


def test_a_killed_training_ends_as_if_nothing_had_happened() -> None:
    kind = "fit, backups within epochs"
    expected, seconds = reference(kind)
    assert {"model.npz", "history.json"} <= expected.keys()
    assert trial(kind, expected, seconds / 3, random.Random(2), most=1).total() > 0
