"""Ctrl-C waits for the end of a batch; a second one does not."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from gradtape.interrupts import Interrupts


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
