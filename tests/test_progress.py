"""Progress: what is left on a terminal, in a file, and what it costs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from gradtape.callbacks.progress import Progress, format_logs

pty = pytest.importorskip("pty", reason="needs a pseudo terminal, which Windows has not")
import fcntl  # noqa: E402
import struct  # noqa: E402
import termios  # noqa: E402

#: What is shown is the same without native programs, and they take a second to import.
EAGERLY = {**os.environ, "GRADTAPE_NATIVE": "0"}
TRAIN = """
import time, warnings
import numpy as np
import gradtape as gt
gt.utils.set_random_seed(0)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(96, 4)).astype("float32"), rng.integers(0, 2, 96)
model = gt.Sequential([gt.Input((4,)), gt.layers.Dense(2, activation="softmax")])
model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
slow = gt.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: time.sleep(0.02))
"""
FIT = TRAIN + "model.fit(x, y, 4, epochs=2, validation_data=(x, y), callbacks=[slow])\n"
LINE = r"Epoch {}/2 - \d+\.\ds - loss: \d\.\d{{4}} - accuracy: \d\.\d{{4}}"
VAL = r" - val_loss: \d\.\d{4} - val_accuracy: \d\.\d{4}"


def on_terminal(script: str, columns: int = 120, interrupt_after: float | None = None) -> str:
    """Everything a script writes to a terminal of that width."""
    primary, secondary = pty.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=secondary, stdout=secondary, stderr=secondary,
        env={**EAGERLY, "COLUMNS": str(columns), "TERM": "xterm"},
        start_new_session=True,
    )  # fmt: skip
    os.close(secondary)
    raw = b""
    while True:
        try:
            part = os.read(primary, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        raw += part
        if interrupt_after is not None and b"Epoch 1/2 - " in raw:
            time.sleep(interrupt_after)
            interrupt_after = None
            os.kill(process.pid, signal.SIGINT)
    process.wait(timeout=60)
    os.close(primary)
    return raw.decode()


def screen(raw: str) -> list[str]:
    """The lines that stay: a carriage return goes back, what follows overwrites."""
    rows: list[str] = []
    for text in raw.replace("\r\n", "\n").split("\n"):
        row = ""
        for part in text.split("\r"):
            row = part + row[len(part) :]
        rows.append(row.rstrip())
    return [row for row in rows if row]


def matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text) is not None


def test_finished_epochs_leave_one_complete_line_on_a_terminal() -> None:
    raw = on_terminal(FIT)
    rows = screen(raw)
    assert len(rows) == 2, rows
    for i, row in enumerate(rows, start=1):
        assert matches(LINE.format(i) + VAL, row), row
    assert "Epoch 1/2 |" in raw and "/24 [" in raw, "no bar was seen"
    assert "loss: " in raw.split("Epoch 1/2 - ")[0], "the bar showed no loss"
    assert "validating" not in rows[0]


def test_bar_stays_within_a_narrow_terminal() -> None:
    raw = on_terminal(FIT, columns=60)
    bars = [part for part in raw.split("\r") if part.startswith("Epoch") and "|" in part]
    assert bars and all(len(bar.rstrip("\n")) <= 60 for bar in bars), bars
    assert all(matches(LINE.format(i + 1) + VAL, row) for i, row in enumerate(screen(raw)))


def test_a_file_gets_one_plain_line_per_epoch() -> None:
    """With every `verbose` but 0."""
    script = FIT.replace("epochs=2", "epochs=2, verbose=verbose").replace("[slow]", "[]")
    script = script.replace("model.fit", "for verbose in ('auto', 1, 2):\n    model.fit")
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=EAGERLY
    )
    assert "\r" not in run.stdout and not run.stderr
    rows = run.stdout.splitlines()
    expected = [LINE.format(i) + VAL for _ in range(3) for i in (1, 2)]
    assert [*map(matches, expected, rows)] == [True] * 6 and len(rows) == 6, rows


def test_verbose_2_draws_no_bar_on_a_terminal_and_verbose_0_writes_nothing() -> None:
    raw = on_terminal(
        FIT.replace("epochs=2", "epochs=2, verbose=2")
        + "print('from here on, nothing')\n"
        + "model.fit(x, y, verbose=0, callbacks=[slow])\n"
        + "model.evaluate(x, y, verbose=0)\nmodel.predict(x, verbose=0)\n"
    )
    rows = screen(raw)
    assert "|" not in raw and len(rows) == 3
    assert rows[-1] == "from here on, nothing" and raw.endswith(f"{rows[-1]}\r\n")


def test_evaluate_leaves_a_line_and_predict_none() -> None:
    script = TRAIN + (
        "pause = gt.callbacks.LambdaCallback(\n"
        "    on_test_batch_end=lambda batch, logs: time.sleep(0.03),\n"
        "    on_predict_batch_end=lambda batch, logs: time.sleep(0.03))\n"
        "model.evaluate(x, y, 4, callbacks=[pause])\nmodel.predict(x, 4, callbacks=[pause])\n"
    )
    raw = on_terminal(script)
    (row,) = screen(raw)
    assert matches(r"Evaluate - \d\.\ds - loss: \d\.\d{4} - accuracy: \d\.\d{4}", row), row
    assert "Evaluate |" in raw and "Predict |" in raw


def test_warning_and_prints_of_callbacks_do_not_tear_the_bar() -> None:
    script = FIT.replace(
        "callbacks=[slow]",
        "callbacks=[slow, gt.callbacks.LambdaCallback(\n"
        "    on_epoch_end=lambda epoch, logs: print('saved', epoch))]",
    )
    rows = screen(on_terminal(script))
    assert [row for row in rows if row.startswith("saved")] == ["saved 0", "saved 1"]
    assert len(rows) == 4 and matches(LINE.format(2) + VAL, rows[3]), rows


def test_ctrl_c_says_so_in_one_line_and_raises() -> None:
    script = TRAIN + (
        "try:\n"
        "    model.fit(x, y, 4, epochs=2, callbacks=[slow])\n"
        "except KeyboardInterrupt:\n"
        "    print('caught', len(model.history.epoch), len(model.history.history['loss']),\n"
        "          24 < model.optimizer.iterations < 48)\n"
    )
    rows = screen(on_terminal(script, interrupt_after=0.3))
    assert matches(LINE.format(1), rows[0]), rows
    assert rows[1:] == [
        "Interrupted in epoch 2/2: the model keeps what it learned, model.history the 1 finished "
        "epoch.",
        "caught 1 1 True",
    ]


def test_numbers_keep_four_digits() -> None:
    logs: dict[str, Any] = {"loss": 0.12345, "small": 0.00012345, "zero": 0.0, "n": float("nan")}
    assert format_logs(logs) == "loss: 0.1235 - small: 1.2345e-04 - zero: 0.0000 - n: nan"


def test_counting_a_batch_costs_microseconds() -> None:
    """A percent of a step of a millisecond would be ten."""
    progress = Progress(0)
    progress.begin("Epoch 1/1", 100_000)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(2_000):
            progress.step(lambda: {"loss": 0.5})
        best = min(best, time.perf_counter() - start)
    assert best / 2_000 < 10e-6
