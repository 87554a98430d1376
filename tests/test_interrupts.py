"""Ctrl-C waits for the end of a batch, a second one does not; both wait for imports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from gradtape.config.interrupts import Interrupts, deferred


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_first_waits_for_the_check() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        interrupts.check()
        press()
        done.append("rest of the batch")
        interrupts.check()
        done.append("next batch")
    assert done == ["rest of the batch"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_one_that_nobody_checked_for_is_raised_at_the_end() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), Interrupts():
        press()
        done.append("all")
    assert done == ["all"]


def test_second_does_not_wait() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), Interrupts():
        press()
        press()
        done.append("never")
    assert done == []


def test_other_errors_are_not_hidden() -> None:
    with pytest.raises(ValueError, match="mine"), Interrupts():
        press()
        raise ValueError("mine")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handler_of_the_user_and_other_threads_are_left_alone() -> None:
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append("user"))
    try:
        with Interrupts() as interrupts:
            press()
            interrupts.check()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == ["user"]

    def in_thread() -> None:
        with Interrupts() as interrupts:
            seen.append(signal.getsignal(signal.SIGINT))
            interrupts.check()

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    assert seen[1:] == [signal.default_int_handler]


def test_what_must_be_whole_is_finished_before_the_handler_is_told() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), deferred(), deferred():
        press()
        press()
        done.append("all")
    assert done == ["all"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        with deferred():
            press()
        done.append("rest of the batch")
        interrupts.check()
    assert done[1:] == ["rest of the batch"]


_PRESSED_AT_EVERY_IMPORT = """
import os, signal, sys
import numpy as np
import gradtape as gt

presses = 0

class Presses:
    def find_spec(self, name, *rest):
        global presses
        presses += 1
        os.kill(os.getpid(), signal.SIGINT)

x = np.ones((2, 5, 5, 1), np.float32)
uses = {
    "eager": lambda: gt.ops.conv(x, x[:1, :2, :2, :, None][0], padding="valid").numpy(),
    "native": lambda: model.predict(x, verbose=0),
}
model = gt.Sequential([gt.Input((5, 5, 1)), gt.layers.Flatten(), gt.layers.Dense(2)])
use = uses[sys.argv[1]]
assert "numba" not in sys.modules
interrupted = 0
sys.meta_path.insert(0, Presses())
for _ in range(40):
    try:
        use()
        break
    except KeyboardInterrupt:
        interrupted += 1
sys.meta_path.pop(0)
assert interrupted and presses > 100, (interrupted, presses)
assert np.isfinite(use()).all() and np.isfinite(uses["eager"]()).all()
print("works")
"""


@pytest.mark.parametrize("how", ["eager", "native"])
def test_an_interrupted_import_of_numba_is_completed(how: str) -> None:
    command = [sys.executable, "-c", _PRESSED_AT_EVERY_IMPORT, how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "works\n", done.stderr
