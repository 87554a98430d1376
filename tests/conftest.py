"""What every test may count on."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import pytest

# A shell starts background jobs with Ctrl-C ignored, and so would be every process of the tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Thousands of tests are no garbage: nobody has to look for it there, now or later.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on there is garbage."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def _ops_of_the_package() -> Iterator[None]:
    """An op that a test defines is gone after it."""
    from gradtape.autograd.tape import NUMPY, OPS

    kept = [(table, dict(table)) for table in (OPS, NUMPY)]
    yield
    for table, before in kept:
        if table != before:
            table.clear()
            table.update(before)
