"""The contestants of the benchmarks are the same net: same logits, same first losses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from gradtape.program import set_threads

os.environ["KERAS_BACKEND"] = "torch"
from benchmarks.nets import data, initial_weights
from benchmarks.peers import contestant

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BATCH, RATE, STEPS = 4, 0.02, 3


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    count = torch.get_num_threads()
    yield
    torch.set_num_threads(count)
    set_threads(None)


def _beginning(name: str, net: str) -> tuple[np.ndarray, list[float]]:
    """Logits of the initial weights, and the first losses after that."""
    x, labels = data(net, BATCH, STEPS)
    one: Any = contestant(name, net, initial_weights(net), RATE, 1)
    logits = one.predict(x)
    return logits, [float(one.step(*batch)) for batch in zip(x, labels, strict=True)]


@pytest.mark.parametrize("net", ["lenet5", "alexnet_small", "resnet20"])
def test_peers_start_as_ours_does(net: str) -> None:
    logits, losses = _beginning("gradtape", net)
    for name in ("torch", "keras"):
        theirs = _beginning(name, net)
        np.testing.assert_allclose(theirs[0], logits, atol=1e-5 * np.abs(logits).max())
        np.testing.assert_allclose(theirs[1], losses, rtol=1e-4)
